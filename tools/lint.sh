#!/usr/bin/env bash
# pyflakes over the scripts, clang-tidy over the sources that are built. A source whose
# preprocessed text, flags and rules are those of an earlier clean run is not looked at again.
#   tools/lint.sh [BUILD_FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/dev}
stamps=${XDG_CACHE_HOME:-$HOME/.cache}/wsic-lint
mkdir -p "$stamps"

lint_one() {
  local file=$1 build=$2 stamps=$3 key
  grep -q "$file\"" "$build/compile_commands.json" || return 0
  key=$({ clang-tidy --version; cat .clang-tidy
          python3 tools/preprocess.py "$build" "$file"; } | sha256sum | cut -d' ' -f1)
  [[ -e $stamps/$key ]] && return 0
  clang-tidy --quiet -p "$build" "$file" 2>/dev/null || { echo "lint: $file" >&2; return 1; }
  : >"$stamps/$key"
}
export -f lint_one

git ls-files '*.py' | xargs pyflakes3
git ls-files '*.cc' ':!tests/*' |
  xargs -P "$(nproc)" -I{} bash -c 'lint_one "$@"' _ {} "$build" "$stamps"
echo "lint: clean"
