#!/usr/bin/env python3
"""Training steps on the CPU in fp32 and in other precisions, side by side.

Each round runs every precision once, one after the other, on the same model and threads;
the table gives medians over the rounds and, round by round, the time over that of fp32.

usage: precision.py [--build FOLDER] [--model NAME] [--size N] [--precisions A,B] [--rounds N]
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build/dev")
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--precisions", default="bf16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="measured steps a round")
    return parser.parse_args()


def run(args, tool, *arguments):
    command = [os.path.join(args.build, "bin", tool), *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def main():
    args = parse_arguments()
    precisions = ["fp32", *args.precisions.split(",")]
    times = {precision: [] for precision in precisions}
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.onnx")
        run(args, "wsi-model", args.model, "-o", model, "--classes", 1000)
        for precision in precisions:
            run(args, "wsic", "compile", model, "-o", os.path.join(folder, precision),
                "--precision", precision, "--input-size", f"{args.size}x{args.size}", "--batch", 1,
                "--optimizer", "momentum")
        for _ in range(args.rounds):
            for precision in precisions:
                report = json.loads(run(args, "wsirun", "bench", os.path.join(folder, precision),
                                        "--steps", args.steps, "--threads", args.threads, "--json"))
                times[precision].append(report["step_ms_median"])
    print("| precision | ms a step (median) | its time / that of fp32 (median, range) |\n|---|---|---|")
    for precision in precisions:
        ratios = [a / b for a, b in zip(times[precision], times["fp32"])]
        print(f"| {precision} | {statistics.median(times[precision]):.0f} "
              f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |")


if __name__ == "__main__":
    main()
