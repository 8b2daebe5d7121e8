#!/usr/bin/env python3
"""The largest square image that a ResNet-50 trains on within a device: found by wsic alone, then run.

For each way (everything resident; recomputing; recomputing and offloading to the host) wsic plans
sides, multiples of 256, until the next one does not fit. With --run, wsirun bench then runs the
largest plan of each, on a machine that has the GPU: it must do so within the planned peak.

usage: largest.py [--bin FOLDER] [--device-mem SIZE] [--host-mem SIZE] [--found FILE] [--run]
  --found  where what was found is kept: read if it is there, written if not, so that the search
           can be made on another machine
"""
import argparse
import json
import os
import subprocess
import tempfile

GIB = 2.0**30
STEP = 256
WAYS = {
    "resident": ["--memory", "resident"],
    "recompute": ["--no-offload"],
    "offload": [],
}


class Largest:
    def __init__(self, a, folder):
        self.a = a
        self.folder = folder
        subprocess.run([f"{a.bin}/wsi-model", "resnet50", "-o", f"{folder}/m.onnx", "--classes", "3"],
                       check=True, capture_output=True)

    def plan(self, way, side):
        """What wsic says of it; None where it does not fit."""
        done = subprocess.run(
            [f"{self.a.bin}/wsic", "compile", f"{self.folder}/m.onnx", "-o", f"{self.folder}/m.plan",
             "--input-size", f"{side}x{side}", "--device", "cuda", "--precision", "fp16", "--norm",
             "train", "--optimizer", "momentum", "--device-mem", self.a.device_mem, "--host-mem",
             self.a.host_mem, "--json", "--force", *WAYS[way]],
            capture_output=True, text=True, check=False)
        if done.returncode not in (0, 4):
            raise SystemExit(f"wsic: exit code {done.returncode}: {done.stderr.strip()[-400:]}")
        return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None

    def find(self, way, least):
        """Not below `least`, which is known to fit: plans that do not fit take wsic longest."""
        fits = least // STEP
        fails = fits + max(fits // 6, 1)
        while self.plan(way, fails * STEP) is not None:
            fits, fails = fails, fails + max(fails // 6, 1)
        while fails - fits > 1:
            middle = (fits + fails) // 2
            if self.plan(way, middle * STEP) is None:
                fails = middle
            else:
                fits = middle
        return fits * STEP

    def run(self):
        """The last plan's measurements; what failed else."""
        done = subprocess.run(
            [f"{self.a.bin}/wsirun", "bench", f"{self.folder}/m.plan", "--steps", "3", "--warmup", "1",
             "--json"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return f"exit code {done.returncode}: {done.stderr.strip()[-300:]}"
        return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/dev/bin")
    parser.add_argument("--device-mem", default="76GiB")
    parser.add_argument("--host-mem", default="100GiB")
    parser.add_argument("--found")
    parser.add_argument("--run", action="store_true")
    a = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        largest = Largest(a, folder)
        if a.found and os.path.exists(a.found):
            with open(a.found, encoding="utf-8") as file:
                found = json.load(file)
        else:
            found, least = {}, 4096
            for way in WAYS:  # Each fits what the one before it does.
                found[way] = largest.find(way, least)
                least = found[way]
            if a.found:
                with open(a.found, "w", encoding="utf-8") as file:
                    json.dump(found, file, indent=1)
        print("| | largest side | device GiB | host GiB | predicted ms | ms a step | measured peak GiB |")
        print("|---|---|---|---|---|---|---|")
        for way, side in found.items():
            planned = largest.plan(way, side)  # The numbers are of the plan that is run.
            if planned is None:
                failed = True
                print(f"| {way} | {side} | this wsic does not plan it: find again | | | | |")
                continue
            line = (f"| {way} | {side} | {planned['device_peak_bytes'] / GIB:.1f} | "
                    f"{planned['host_peak_bytes'] / GIB:.1f} | {planned['predicted_step_ms']:.0f} | ")
            result = largest.run() if a.run else ""
            if isinstance(result, str):
                failed = failed or a.run
                print(f"{line}{result} | |", flush=True)
            else:
                print(f"{line}{result['step_ms_median']:.0f} | "
                      f"{result['device_peak_bytes'] / GIB:.1f} |", flush=True)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
