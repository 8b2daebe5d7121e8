#!/usr/bin/env bash
# Trains the demo's network on the demo's slides, a run for each seed and precision, and
# prints what it reaches on slides never seen.
#
# usage: auc.sh BIN OUT [DEVICE [SEEDS [PRECISIONS]]]
#   BIN         where wsic, wsirun and wsi-model are
#   OUT         a folder for slides, plans and runs
#   DEVICE      cpu (default) or cuda
#   SEEDS       of weights and order, "1 2" by default
#   PRECISIONS  "fp32 fp16 bf16" by default
set -euo pipefail
bin=$1 out=$2 device=${3:-cpu} seeds=${4:-1 2} precisions=${5:-fp32 fp16 bf16}
mkdir -p "$out"
"$bin/wsirun" slides make -o "$out/train" --count 64 --size 512 --seed 1 --test-fraction 0.25 --force >"$out/log" 2>&1
"$bin/wsirun" slides make -o "$out/test" --count 40 --size 512 --seed 2 --test-fraction 0 --force >"$out/log" 2>&1
for seed in $seeds; do
  "$bin/wsi-model" resnet18 -o "$out/model.onnx" --norm fixup --classes 2 --seed "$seed" --force >"$out/log" 2>&1
  for precision in $precisions; do
    run=$out/$seed-$precision
    rm -rf "$run" "$run-eval"
    "$bin/wsic" compile "$out/model.onnx" -o "$run.plan" --input-size 512x512 --optimizer adamw \
      --learning-rate 1e-4 --clip-norm 1 --precision "$precision" --device "$device" --force >"$out/log" 2>&1
    start=$SECONDS
    "$bin/wsirun" train "$run.plan" --slides "$out/train/slides.csv" --run-dir "$run" \
      --val-split test --epochs 8 --augment rotations --cache-mem 1GiB --seed "$seed" >"$run.log" 2>&1 ||
      { tail -5 "$run.log"; exit 1; }
    "$bin/wsirun" eval "$run.plan" --checkpoint "$run" --slides "$out/test/slides.csv" \
      --run-dir "$run-eval" --json 2>/dev/null | python3 -c '
import json, sys
run, name, seconds = sys.argv[1:]
events = [json.loads(line) for line in open(f"{run}/events.jsonl")]
epochs = [e["validation_auc"] for e in events if e["event"] == "epoch"]
above = next((i + 1 for i, auc in enumerate(epochs) if auc > 0.95), "never")
skipped = sum(e["event"] == "skip" for e in events)
d = json.loads(sys.stdin.read().splitlines()[-1])
auc, low, high, accuracy = (d[k] for k in ("auc", "auc_ci_low", "auc_ci_high", "accuracy"))
print(f"{name}: AUC {auc:.3f} ({low:.3f} to {high:.3f}), accuracy {accuracy:.3f}, "
      f"validation AUC above 0.95 from epoch {above}, {skipped} steps skipped, {seconds} s")
' "$run" "$device, seed $seed, $precision" $((SECONDS - start))
  done
done
