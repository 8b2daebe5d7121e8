#!/usr/bin/env bash
# Installs what building and testing needs on Debian 12: system packages and, into
# .deps/ of this checkout, oneDNN and the Python packages of the tests. Asks nothing and
# is safe to run again: what is there is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
  build-essential ccache clang clang-format clang-tidy cmake ninja-build pkg-config git
  libcli11-dev libfmt-dev libgmock-dev libgtest-dev libhwloc-dev libmpich-dev libonnx-dev
  libopenmpi-dev libopenslide-dev libprotobuf-dev libspdlog-dev libtiff-dev libxxhash-dev
  mpich nlohmann-json3-dev openmpi-bin patchelf protobuf-compiler pyflakes3 python3 python3-pip
  python3-venv
)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
    missing+=("$package")
done
if ((${#missing[@]})); then
  as_root=()
  if ((EUID != 0)); then as_root=(sudo); fi
  echo "setup: installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# oneDNN 3.2 (Debian 12 has 2.6, whose backward kernels are slower): the GNU OpenMP build,
# of which we use the one-thread primitives. The wheels hold headers, library and CMake files.
onednn=2023.2.0
if [[ ! -e .deps/onednn-$onednn/lib/libdnnl.so.3 ]]; then
  echo "setup: fetching oneDNN ($onednn)"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  python3 -m pip download --quiet --disable-pip-version-check --no-deps -d "$work" \
    "onednn-devel-cpu-gomp==$onednn" "onednn-cpu-gomp==$onednn"
  for wheel in "$work"/*.whl; do python3 -m zipfile -e "$wheel" "$work/unpacked"; done
  mkdir "$work/onednn"
  cp -r "$work"/unpacked/*.data/data/* "$work/onednn"
  for copy in libdnnl.so libdnnl.so.3; do ln -sf libdnnl.so.3.2 "$work/onednn/lib/$copy"; done
  mkdir -p .deps
  rm -rf ".deps/onednn-$onednn"
  mv "$work/onednn" ".deps/onednn-$onednn"
fi

# Where there is nvcc, NCCL's header, for means over ranks with a GPU each. CUDA and cuDNN are the
# machine's own; NCCL's library is looked for when programs run.
nccl=2.28.9
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
if [[ -x $nvcc && ! -e ${nvcc%/bin/nvcc}/include/nccl.h && ! -e .deps/nccl/include/nccl.h ]]; then
  echo "setup: fetching NCCL's header ($nccl)"
  wheels=$(mktemp -d)
  python3 -m pip download --quiet --disable-pip-version-check --no-deps -d "$wheels" \
    "nvidia-nccl-cu13==$nccl"
  mkdir -p .deps/nccl/include
  python3 - "$wheels"/*.whl .deps/nccl/include/nccl.h <<'EOF'
import pathlib, sys, zipfile
pathlib.Path(sys.argv[2]).write_bytes(zipfile.ZipFile(sys.argv[1]).read("nvidia/nccl/include/nccl.h"))
EOF
  rm -rf "$wheels"
fi

# Python packages for the tests: ONNX's own tools to compare with, and YAML.
if [[ ! -x .deps/python/bin/python ]]; then
  python3 -m venv .deps/python
fi
.deps/python/bin/python -c 'import numpy, onnx, yaml' 2>/dev/null ||
  .deps/python/bin/pip install --quiet --disable-pip-version-check numpy onnx pyyaml
echo "setup: done"
