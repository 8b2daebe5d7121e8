#!/usr/bin/env bash
# Sets up and builds one preset; prints the folder of the programs as its last line.
#   tools/build.sh [PRESET] [TARGET...]      default: dev, which the tests use too, and the programs
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-dev}
shift || true
targets=("$@")
((${#targets[@]})) || targets=(wsic wsirun wsi-model)

tools/setup.sh >&2
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset" --target "${targets[@]}" >&2
echo "build/$preset/bin"
