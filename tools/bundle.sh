#!/usr/bin/env bash
# Makes a folder that runs on machines without this one's packages: the programs, and
# beside them in lib/ the shared libraries that they need, found through $ORIGIN. What
# belongs to the machine stays out: the C library, the driver, CUDA and cuDNN.
#   tools/bundle.sh BUILD_FOLDER OUTPUT_FOLDER [PROGRAM...]    (default: wsic wsirun wsi-model)
set -euo pipefail
if (($# < 2)); then
  sed -n '2,5p' "$0" >&2
  exit 2
fi
build=$1
output=$2
shift 2
programs=("$@")
if ((${#programs[@]} == 0)); then programs=(wsic wsirun wsi-model); fi

# The C library, the compiler's runtime and the loader; the driver and CUDA.
left='^(ld-linux.*|linux-vdso|libc|libm|libdl|librt|libpthread|libgcc_s|libstdc\+\+|libcuda|libnvidia.*|libcud.*|libcublas.*|libnvrtc.*|libnvJitLink)\.so'
mkdir -p "$output/bin" "$output/lib"
for program in "${programs[@]}"; do
  cp "$build/bin/$program" "$output/bin/$program"
  strip --strip-unneeded "$output/bin/$program"
  patchelf --set-rpath '$ORIGIN/../lib' "$output/bin/$program"
  ldd "$build/bin/$program" | awk '$2 == "=>" && $3 ~ /^\// {print $1, $3}' |
    while read -r name path; do
      if [[ $name =~ $left || -e $output/lib/$name ]]; then continue; fi
      cp -L "$path" "$output/lib/$name"
      chmod u+w "$output/lib/$name"
      strip --strip-unneeded "$output/lib/$name"
      patchelf --set-rpath '$ORIGIN' "$output/lib/$name"
    done
done
echo "bundle: $(du -sh "$output" | cut -f1) in $output"
