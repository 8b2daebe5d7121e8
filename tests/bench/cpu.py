#!/usr/bin/env python3
"""Training steps of this project and of PyTorch on the CPU, side by side.

Each round runs every contender once, one after the other, on the same model, weights,
input and threads; the table gives medians over the rounds and, round by round, our time
over the rival's. PyTorch runs as it comes, with channels_last tensors, and with
channels_last and an allocator told to keep its memory (glibc's default gives every
activation back to the system and pays for it in page faults).

usage: cpu.py [--build FOLDER] [--python PYTHON] [--models A,B] [--sizes N,M] [--rounds N]
Models are wsi-model's, and torchvision:NAME and timm:NAME as PyTorch exports them.
PYTHON must have torch, torchvision, onnx and numpy, and timm for its models.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

TUNED = {"MALLOC_MMAP_THRESHOLD_": str(1 << 33), "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
         "MALLOC_TOP_PAD_": str(1 << 30)}
HERE = os.path.dirname(os.path.abspath(__file__))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build/dev")
    parser.add_argument("--python", default=".deps/torch/bin/python")
    parser.add_argument("--models", default="resnet18,resnet50")
    parser.add_argument("--sizes", default="512,1024")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5, help="measured steps a round")
    return parser.parse_args()


def run(command, **extra_environment):
    environment = dict(os.environ, **extra_environment)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return done.stdout


def prepare(args, network, size, folder):
    """Writes model, plan and input; returns their paths."""
    tools = os.path.join(args.build, "bin")
    path = {name: os.path.join(folder, f"{network.replace(':', '-')}-{size}{name}")
            for name in (".onnx", ".plan", "-x.npy", "-y.npy", "-g.safetensors")}
    run([args.python, "-c", f"""
import numpy
random = numpy.random.default_rng(1)
numpy.save({path['-x.npy']!r}, random.standard_normal((1, 3, {size}, {size}), numpy.float32))
numpy.save({path['-y.npy']!r}, numpy.array([7], numpy.int64))"""])
    if ":" in network:
        run([args.python, os.path.join(HERE, "peer_torch.py"), network, path[".onnx"],
             path["-x.npy"], path["-y.npy"], "--export"], PYTHONWARNINGS="ignore")
    else:
        run([f"{tools}/wsi-model", network, "-o", path[".onnx"], "--classes", "1000"])
    run([f"{tools}/wsic", "compile", path[".onnx"], "-o", path[".plan"], "--input-size",
         f"{size}x{size}", "--batch", "1", "--optimizer", "momentum"])
    return path


def ours(args, path):
    command = [os.path.join(args.build, "bin", "wsirun"), "bench", path[".plan"], "--steps",
               str(args.steps), "--threads", str(args.threads), "--json"]
    return json.loads(run(command))


def torch(args, network, path, layout, environment):
    command = [args.python, os.path.join(HERE, "peer_torch.py"), network, path[".onnx"],
               path["-x.npy"], path["-y.npy"], "--threads", str(args.threads), "--steps",
               str(args.steps), "--layout", layout]
    return json.loads(run(command, **environment))


def our_loss(args, path):
    command = [os.path.join(args.build, "bin", "wsirun"), "grad", path[".plan"], "--input",
               path["-x.npy"], "--target", path["-y.npy"], "-o", path["-g.safetensors"], "--json"]
    return json.loads(run(command))["loss"]


def compare(args, network, size, folder):
    path = prepare(args, network, size, folder)
    rivals = {"PyTorch": ("nchw", {}), "PyTorch channels_last": ("channels_last", {}),
              "PyTorch channels_last, tuned malloc": ("channels_last", TUNED)}
    times = {name: [] for name in ["wsirun", *rivals]}
    loss = our_loss(args, path)
    for _ in range(args.rounds):
        times["wsirun"].append(ours(args, path)["step_ms_median"])
        for name, (layout, environment) in rivals.items():
            result = torch(args, network, path, layout, environment)
            times[name].append(result["step_ms_median"])
            if abs(result["loss"] - loss) > 1e-3 * abs(loss):
                sys.exit(f"{network} {size}: the first losses differ: {loss} and "
                         f"{result['loss']}: these are not the same model")
    worst = 0.0
    for name in times:
        ratios = [a / b for a, b in zip(times["wsirun"], times[name])]
        ratio = statistics.median(ratios)
        if name != "wsirun":
            worst = max(worst, ratio)
        print(f"| {network} | {size} | {name} | {statistics.median(times[name]):.0f} | {ratio:.2f} "
              f"({min(ratios):.2f} to {max(ratios):.2f}) |", flush=True)
    return worst, result["version"]


def main():
    args = parse_arguments()
    print("| network | side | system | ms a step (median) | our time / its time (range) |")
    print("|---|---|---|---|---|")
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for network in args.models.split(","):
            for size in args.sizes.split(","):
                ratio, version = compare(args, network, int(size), folder)
                worst = max(worst, ratio)
    print(f"\nPyTorch {version}, {args.threads} threads, fp32, batch 1, {args.rounds} rounds of "
          f"{args.steps} steps. Worst ratio: {worst:.2f}.")
    sys.exit(0 if worst <= 1.0 else 1)


if __name__ == "__main__":
    main()
