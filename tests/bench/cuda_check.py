#!/usr/bin/env python3
"""What a GPU has to show: the backend suite, the goldens, step times. One call, on the machine with the GPU.

usage: cuda_check.py --bin FOLDER [--out FOLDER] [--suite] [--large] [--goldens FOLDER] [--bench SIDE...] [--kernels [PATTERN]]
  --bin      where wsic, wsirun, wsi-model and backend_suite_cuda are (tools/bundle.sh makes such a folder)
  --out      where logs go (default: a new folder)
  --suite    every operator against the fp64 reference
  --large    tensors of more than 2^31 elements, sums over 10^8 (cuda_large_test)
  --sanitize the suite under these tools of compute-sanitizer: memcheck, racecheck (own kernels only)
  --goldens  the shared goldens' folder: gradients against PyTorch's, in fp32 and, within 2 %, in fp16
  --bench    ResNet-50, fp16, batch 1, one training step at these image sides
  --kernels  single operators in fp16: times, and GB/s of the bytes that have to move; of models whose name
             matches the regular expression, if one is given: "norm|pool" is what ResNet-50 has at 4096
"""
import argparse
import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np

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


SANITIZER = {
    "memcheck": ("compute-sanitizer", "--tool", "memcheck", "--error-exitcode", "99"),
    "racecheck": ("compute-sanitizer", "--tool", "racecheck", "--error-exitcode", "99",
                  "--kernel-name", "kernel_substring=wsi"),
}


def suite(a, tool=None):
    """Each operator in a process of its own: what one of them breaks stays its own."""
    start = time.time()
    program = f"{a.bin}/backend_suite_cuda"
    prefix, title = (SANITIZER[tool], tool) if tool else ((), "suite")
    cases, group = {}, ""
    for line in call(program, "--gtest_list_tests")[1].splitlines():
        if line.startswith("  "):
            name = line.split("#")[0].strip()
            operator = re.split("[/_]", name)[1] if "/" in name else name
            cases.setdefault((group, operator), []).append(name)
        else:
            group = line.strip()

    def run(key):
        log = f"{a.out}/{title}_{key[1]}.log"
        if time.time() - start > a.suite_seconds:
            return key[1], 125, 0, len(cases[key]), "not run: out of time"
        kinds = ":".join(f"{key[0]}{name}" for name in cases[key])
        pattern = f"{key[0]}*/{key[1]}_*" if len(cases[key]) > 1 else kinds
        code, text = call(*prefix, program, "--gtest_brief=1", f"--gtest_filter={pattern}", log=log,
                          timeout=max(1, a.suite_seconds - (time.time() - start)))
        failed = re.findall(r"^\[  FAILED  \] (\S+?)[, ]", text, re.M)
        return key[1], code, len(set(failed)), len(cases[key]), text

    with concurrent.futures.ThreadPoolExecutor(14 if tool else 10) as pool:
        done = list(pool.map(run, sorted(cases, key=lambda key: -len(cases[key]))))
    bad = [row for row in done if row[1] != 0]
    print(f"{title}: {sum(len(names) for names in cases.values())} cases of {len(cases)} operators in "
          f"{time.time() - start:.0f} s, {len(bad)} operators failed")
    with open(f"{a.out}/{title}_failures.log", "w", encoding="utf-8") as file:
        for operator, code, failed, count, text in bad:
            print(f"  {operator}: exit {code}, {failed} of {count}")
            file.write(f"==== {operator}: exit {code}, {failed} of {count}\n{text[:20000]}\n")
    for log in glob.glob(f"{a.out}/{title}_*.log"):
        if not log.endswith("_failures.log"):
            os.remove(log)


def large(a):
    """A process for each group of tests: what one of them breaks on the device stays its own."""
    start = time.time()
    program = f"{a.bin}/cuda_large_test"
    lines = call(program, "--gtest_list_tests")[1].splitlines()
    groups = sorted({line.split("#")[0].strip() for line in lines if re.match(r"\S+\.", line)})
    failed = []

    def run(pattern):
        code, text = call(program, "--gtest_brief=1", f"--gtest_filter={pattern}")
        print(text.strip())
        with open(f"{a.out}/large.log", "a", encoding="utf-8") as file:
            file.write(text)
        return code, sorted(set(re.findall(r"^\[  FAILED  \] (\S+?)[, ]", text, re.M)))

    for group in groups:
        began = time.time()
        code, names = run(f"{group}*")
        print(f"large: {group}* exit {code} in {time.time() - began:.0f} s", flush=True)
        failed += names or ([f"{group}*"] if code != 0 else [])
    for name in failed[:20]:
        print(f"large: {name} again, alone")
        code, _ = run(name)
        print(f"large: {name} alone: exit {code}", flush=True)
    print(f"large: {len(failed)} failed in {time.time() - start:.0f} s")


def golden(a, model, precision, tolerance):
    script, out = f"{a.goldens}/golden.py", f"{a.out}/{model}"
    code, text = call(sys.executable, script, "rebuild", f"{a.goldens}/{model}.ts17.onnx", out)
    if code == 0:
        code, text = call(f"{a.bin}/wsic", "compile", f"{out}/model.onnx", "-o", f"{out}/m.plan",
                          "--norm", "train", "--device", a.device, "--precision", precision,
                          "--force")
    if code == 0:
        code, text = call(f"{a.bin}/wsirun", "grad", f"{out}/m.plan", "--input", f"{out}/x.npy",
                          "--target", f"{out}/y.npy", "-o", f"{out}/g.safetensors", "--json",
                          "--force")
    if code == 0:
        loss = json.loads(text.splitlines()[-1])["loss"]
        code, text = call(sys.executable, script, "check", f"{a.goldens}/{model}.json",
                          f"{out}/g.safetensors", *tolerance, "--loss", loss)
        with open(f"{a.goldens}/{model}.json", encoding="utf-8") as file:
            text = text.strip() + f", loss off by {abs(loss / json.load(file)['loss'] - 1):.2g}"
    words = text.strip().splitlines()[-1] if text.strip() else ""
    print(f"golden {model} {precision}: exit {code}: {words}", flush=True)
    shutil.rmtree(out, ignore_errors=True)


def goldens(a):
    for model in MODELS:
        golden(a, model, "fp32", ())
        golden(a, model, "fp16", ("--rtol", 0.02))


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


def tensors(path):
    """The float tensors of a safetensors file, by name, as fp64."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    kinds = {"F32": np.float32, "F16": np.float16, "F64": np.float64}
    return {name: np.frombuffer(data, kinds[t["dtype"]], offset=t["data_offsets"][0],
                                count=int(np.prod(t["shape"]))).astype(np.float64)
            for name, t in header.items() if name != "__metadata__"}


def kernels(a):
    from single_operators import kernel_models
    with tempfile.TemporaryDirectory() as folder:
        for name, made, moved in kernel_models():
            if not re.match(a.kernels, name):
                continue
            with open(f"{folder}/m.onnx", "wb") as file:
                file.write(made.SerializeToString())
            code, text = call(f"{a.bin}/wsic", "compile", f"{folder}/m.onnx", "-o", f"{folder}/m.plan",
                              "--device", a.device, "--precision", "fp16", "--norm", "train", "--force")
            if code == 0:
                code, text = call(f"{a.bin}/wsirun", "bench", f"{folder}/m.plan", "--steps", "10",
                                  "--warmup", "3", "--ops", "--json")
            if code != 0:
                print(f"{name}: exit {code}: {text.strip()[-300:]}")
                continue
            for row in json.loads(text[text.index("{"):])["ops"]:
                if row["op"] in moved:
                    rate = row["gbytes_per_second"]
                    if moved[row["op"]] is not None:
                        rate = moved[row["op"]] * row["launches"] / row["ms"] / 1e6
                    print(f"{name:50} {row['op']:15} {row['launches']} x {row['ms']:9.3f} ms {rate:8.1f} GB/s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--out", default=None)
    parser.add_argument("--suite", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--sanitize", nargs="*", default=[], choices=sorted(SANITIZER))
    parser.add_argument("--suite-seconds", type=float, default=300, help="at most, each time")
    parser.add_argument("--goldens")
    parser.add_argument("--bench", type=int, nargs="*", default=[])
    parser.add_argument("--kernels", nargs="?", const="", metavar="PATTERN")
    parser.add_argument("--device", default="cuda", help="of --kernels and --goldens")
    a = parser.parse_args()
    a.out = a.out or tempfile.mkdtemp()
    print(call(f"{a.bin}/wsirun", "doctor")[1].strip().splitlines()[-1])
    if a.suite:
        suite(a)
    if a.large:
        large(a)
    for tool in a.sanitize:
        suite(a, tool)
    if a.goldens:
        goldens(a)
    if a.bench:
        bench(a)
    if a.kernels is not None:
        kernels(a)


if __name__ == "__main__":
    main()
