#!/usr/bin/env python3
"""What a GPU has to show: the backend suite, the goldens, step times. One call, on the machine with the GPU.

usage: cuda_check.py --bin FOLDER [--out FOLDER] [--suite] [--goldens FOLDER] [--bench SIDE...]
  --bin      where wsic, wsirun, wsi-model and backend_suite_cuda are (tools/bundle.sh makes such a folder)
  --out      where logs go (default: a new folder)
  --suite    every operator against the fp64 reference
  --goldens  the shared goldens' folder: gradients against PyTorch's, fp32
  --bench    ResNet-50, fp16, batch 1, one training step at these image sides
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

MODELS = ("resnet18", "vgg11_bn", "mobilenet_v2", "unet_norms", "vit_tiny", "timm_dla34")


def call(*command, log=None, timeout=300):
    """Runs it; (exit code, what it printed)."""
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                              timeout=timeout, check=False)
        code, text = done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired as e:
        code, text = 124, ((e.stdout or b"") + (e.stderr or b"")).decode()
    if log is not None:
        with open(log, "w", encoding="utf-8") as file:
            file.write(text)
    return code, text


def suite(a):
    start = time.time()
    code, text = call(f"{a.bin}/backend_suite_cuda", "--gtest_brief=1", log=f"{a.out}/suite.log")
    failed = sorted({line.split("]")[1].split(",")[0].strip() for line in text.splitlines()
                     if line.startswith("[  FAILED  ] Operators/")})
    operators = {}
    for name in failed:
        operators.setdefault(name.split("/")[-1].split("_")[0], []).append(name)
    print(f"suite: exit {code}, {time.time() - start:.0f} s, {len(failed)} failed")
    for operator, names in sorted(operators.items()):
        print(f"  {operator}: {len(names)}, such as {names[0]}")


def goldens(a):
    script = f"{a.goldens}/golden.py"
    for model in MODELS:
        out = f"{a.out}/{model}"
        code, text = call(sys.executable, script, "rebuild", f"{a.goldens}/{model}.ts17.onnx", out)
        if code == 0:
            code, text = call(f"{a.bin}/wsic", "compile", f"{out}/model.onnx", "-o", f"{out}/m.plan",
                              "--norm", "train", "--device", "cuda", "--force")
        if code == 0:
            code, text = call(f"{a.bin}/wsirun", "grad", f"{out}/m.plan", "--input", f"{out}/x.npy",
                              "--target", f"{out}/y.npy", "-o", f"{out}/g.safetensors", "--json",
                              "--force")
        if code == 0:
            loss = json.loads(text.splitlines()[-1])["loss"]
            code, text = call(sys.executable, script, "check", f"{a.goldens}/{model}.json",
                              f"{out}/g.safetensors", "--loss", loss)
        print(f"golden {model}: exit {code}: {text.strip().splitlines()[-1] if text.strip() else ''}")
        for large in ("model.onnx", "m.plan", "g.safetensors", "x.npy", "y.npy"):
            if os.path.exists(f"{out}/{large}"):
                os.remove(f"{out}/{large}")


def bench(a):
    with tempfile.TemporaryDirectory() as folder:
        call(f"{a.bin}/wsi-model", "resnet50", "-o", f"{folder}/m.onnx", "--classes", "3")
        for side in a.bench:
            code, text = call(f"{a.bin}/wsic", "compile", f"{folder}/m.onnx", "-o", f"{folder}/m.plan",
                              "--input-size", f"{side}x{side}", "--device", "cuda", "--precision",
                              "fp16", "--norm", "train", "--force", log=f"{a.out}/compile_{side}.log")
            if code == 0:
                code, text = call(f"{a.bin}/wsirun", "bench", f"{folder}/m.plan", "--steps", "5",
                                  "--warmup", "2", "--json", log=f"{a.out}/bench_{side}.log")
            print(f"resnet50 fp16 {side}: exit {code}: {text.strip()[-600:]}")
            if code == 0:
                code, text = call(f"{a.bin}/wsirun", "bench", f"{folder}/m.plan", "--steps", "2",
                                  "--warmup", "1", "--ops", log=f"{a.out}/ops_{side}.log")
                print(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--out", default=None)
    parser.add_argument("--suite", action="store_true")
    parser.add_argument("--goldens")
    parser.add_argument("--bench", type=int, nargs="*", default=[])
    a = parser.parse_args()
    a.out = a.out or tempfile.mkdtemp()
    print(call(f"{a.bin}/wsirun", "doctor")[1].strip().splitlines()[-1])
    if a.suite:
        suite(a)
    if a.goldens:
        goldens(a)
    if a.bench:
        bench(a)


if __name__ == "__main__":
    main()
