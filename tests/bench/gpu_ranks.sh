#!/usr/bin/env bash
# What ranks on GPUs have to show, in one call on the machine that has them:
#   - two ranks give the bits of one rank that accumulates: on one GPU with --comm mpi, and on
#     two with NCCL where there are two;
#   - step time, exposed communication and traces of one rank and of two.
#
# usage: gpu_ranks.sh BIN OUT [DEVICE [SIDE]]
#   BIN     where wsic, wsirun and wsi-model are
#   OUT     a folder for plans, runs and traces
#   DEVICE  cuda, or cpu to try the script where there is no GPU
#   SIDE    of the image that steps are timed on, 4096 by default
set -euo pipefail
bin=$1 out=$2 device=${3:-cuda} side=${4:-4096}
mkdir -p "$out"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
  OMPI_MCA_rmaps_base_oversubscribe=1
gpus=$("$bin/wsirun" doctor --json | sed 's/.*"cuda_devices":\([0-9]*\).*/\1/')
echo "$gpus GPUs"
"$bin/wsirun" slides make -o "$out/slides" --count 8 --size 256 --force >/dev/null
"$bin/wsi-model" resnet18 -o "$out/model.onnx" --classes 2 --norm frozen --force >/dev/null

plan() {  # NAME MODEL SIDE OPTIONS...
  "$bin/wsic" compile "$2" -o "$out/$1.plan" --input-size "$3x$3" --device "$device" --force \
    "${@:4}" 2>&1 | tail -1
}
train() {  # RUN RANKS PLAN OPTIONS...
  rm -rf "${out:?}/$1"
  mpirun -np "$2" "$bin/wsirun" train "$out/$3.plan" --slides "$out/slides/slides.csv" \
    --run-dir "$out/$1" --epochs 3 --seed 3 "${@:4}" >"$out/$1.log" 2>&1 ||
    { echo "$1 FAILED"; tail -5 "$out/$1.log"; return 1; }
}
same() {
  cmp -s "$out/one/last.safetensors" "$out/$1/last.safetensors" &&
    echo "$1: the bits of accumulation on one rank" || { echo "$1: OTHER BITS"; failed=1; }
}

failed=0
for precision in fp32 fp16; do
  echo "$precision"
  options=(--deterministic --optimizer adam --precision "$precision")
  plan two "$out/model.onnx" 256 --accumulate 2 "${options[@]}"
  plan each "$out/model.onnx" 256 "${options[@]}"
  train one 1 two
  train shared 2 each --oversubscribe --comm mpi && same shared || failed=1
  if ((gpus > 1)); then train nccl 2 each --comm nccl && same nccl || failed=1; fi
done

"$bin/wsi-model" resnet50 -o "$out/large.onnx" --classes 2 --force >/dev/null
plan large "$out/large.onnx" "$side" --precision fp16 --norm train
for ranks in 1 $((gpus > 1 ? 2 : 0)); do
  if ((ranks == 0)); then
    echo "one GPU: two ranks with a GPU each were not timed"
    continue
  fi
  mpirun -np "$ranks" "$bin/wsirun" bench "$out/large.plan" --steps 10 --json \
    --trace "$out/ranks-$ranks.json" --force
done
exit "$failed"
