#!/usr/bin/env bash
# The main job, end to end on the CPU: synthetic slides, a ResNet-18, a plan, training from
# slide-level labels alone until the validation AUC is reached, evaluation on slides never
# seen, and the trained model back as ONNX.
#   tools/demo.sh [--slide FILE] [--out FOLDER]
#     --slide FILE   afterwards also trains some steps on this slide at its full size
#     --out FOLDER   where everything goes; emptied first (default: out/demo)
set -euo pipefail
cd "$(dirname "$0")/.."

slide=
out=out/demo
while (($#)); do
  case $1 in
    --slide) slide=${2:?--slide wants a file}; shift 2 ;;
    --out) out=${2:?--out wants a folder}; shift 2 ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done
if [[ -n $slide && ! -r $slide ]]; then
  echo "demo: $slide: no such file" >&2
  exit 3
fi

bin=$(tools/build.sh | tail -1)
start=$SECONDS
mkdir -p "$out"
rm -rf "$out"/{train,test,run,eval,big} "$out"/*.{onnx,plan,npy}
step() { printf '\n== %s\n' "$*"; }

step "slides: 64 to learn from (a quarter of them to validate on), 40 to test on"
"$bin/wsirun" slides make -o "$out/train" --count 64 --size 512 --seed 1 --test-fraction 0.25
"$bin/wsirun" slides make -o "$out/test" --count 40 --size 512 --seed 2 --test-fraction 0

step "model: ResNet-18 with Fixup initialisation, two classes; plan for 512 x 512 pixels"
"$bin/wsi-model" resnet18 -o "$out/resnet18.onnx" --norm fixup --classes 2 --seed 1
"$bin/wsic" compile "$out/resnet18.onnx" -o "$out/resnet18.plan" --input-size 512x512 \
  --optimizer adamw --learning-rate 1e-4 --clip-norm 1

step "training from slide-level labels until validation tells the classes apart"
"$bin/wsirun" train "$out/resnet18.plan" --slides "$out/train/slides.csv" --run-dir "$out/run" \
  --val-split test --epochs 40 --until-auc 0.95 --min-epochs 8 --augment rotations \
  --cache-mem 1GiB --seed 1

step "evaluation on the test slides"
"$bin/wsirun" eval "$out/resnet18.plan" --checkpoint "$out/run" \
  --slides "$out/test/slides.csv" --run-dir "$out/eval" --json | tee "$out/eval.json"

step "export: the trained weights back into the ONNX model"
"$bin/wsic" export "$out/resnet18.onnx" --weights "$out/run" -o "$out/trained.onnx"

if [[ -n $slide ]]; then
  step "the slide $slide at its full size"
  read -r height width < <("$bin/wsirun" slides info "$slide" --json |
    python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["height"], d["width"])')
  printf 'slide_id,path,label\nslide,%s,0\n' "$(realpath "$slide")" >"$out/big.csv"
  "$bin/wsic" compile "$out/resnet18.onnx" -o "$out/big.plan" --input-size "${height}x${width}" \
    --optimizer momentum --learning-rate 1e-3
  "$bin/wsirun" train "$out/big.plan" --slides "$out/big.csv" --run-dir "$out/big" --epochs 3
fi

step "summary"
python3 - "$out" $((SECONDS - start)) <<'PYTHON'
import json
import sys

out, seconds = sys.argv[1:]
epochs = [e for e in map(json.loads, open(f"{out}/run/events.jsonl")) if e["event"] == "epoch"]
result = json.load(open(f"{out}/eval.json"))
print(f"epochs trained      {len(epochs)}")
print(f"validation AUC      {max(e['validation_auc'] for e in epochs):.3f}")
print(f"test AUC            {result['auc']:.3f} (95 % CI {result['auc_ci_low']:.3f} to "
      f"{result['auc_ci_high']:.3f}), {result['slides']} slides")
print(f"test accuracy       {result['accuracy']:.3f}")
print(f"predictions, ROC    {out}/eval/predictions.csv, {out}/eval/roc.csv")
print(f"trained model       {out}/trained.onnx")
print(f"time                {int(seconds) // 60} min {int(seconds) % 60} s after set-up and build")
sys.exit(0 if result["auc"] >= 0.9 else 1)
PYTHON
