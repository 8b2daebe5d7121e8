#!/usr/bin/env bash
# All tests and checks, from a clean clone: set-up, build, tests, format, lint.
#   tools/test.sh [CTEST ARGUMENTS]      for example: tools/test.sh -R conv
set -euo pipefail
cd "$(dirname "$0")/.."

tools/setup.sh
cmake --preset dev >/dev/null
cmake --build --preset dev
ctest --preset dev -j "$(nproc)" "$@"

mapfile -t sources < <(git ls-files '*.cc' '*.h' '*.cu' '*.cuh')
clang-format --dry-run --Werror "${sources[@]}"
echo "format: ${#sources[@]} files are clean"
tools/lint.sh
