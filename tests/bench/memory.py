#!/usr/bin/env python3
"""Steps within a budget: what they cost, and that they stay the same.

  memory.py ladder    from the resident peak P down to the smallest device that fits, in
                      equal steps of memory: planned and measured peak, predicted and
                      measured time; stops where a gradient differs in a bit
  memory.py ablation  the seed's evaluation by the simulator: copies on demand, + groups,
                      + prefetch, + fp16, + recompute (nothing runs)
  memory.py quality   predicted time at parts of P over the resident time

usage: memory.py COMMAND [--build FOLDER] [--models A,B] [--side N] [--steps N] [--rates NAME]
                 [--device-mem SIZE]
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile

ABLATION = (("copies on demand", ["--copies", "demand", "--no-recompute"]),
            ("+ groups (the poster's rule)",
             ["--copies", "groups", "--groups", "critical-path", "--no-recompute"]),
            ("+ groups", ["--copies", "groups", "--no-recompute"]),
            ("+ prefetch", ["--copies", "prefetch", "--no-recompute"]),
            ("+ fp16", ["--copies", "prefetch", "--no-recompute", "--precision", "fp16"]),
            ("+ recompute", ["--copies", "prefetch", "--precision", "fp16"]),
            ("all, copies timed", ["--copies", "timed", "--precision", "fp16"]))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("command", choices=("ladder", "ablation", "quality"))
    parser.add_argument("--build", default="build/dev")
    parser.add_argument("--models", default="resnet50,densenet121")
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=8, help="budgets of the ladder")
    parser.add_argument("--rates", default="")
    parser.add_argument("--device-mem", default="32GiB", help="of the ablation")
    return parser.parse_args()


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder

    def run(self, program, *words, may_fail=False):
        command = [os.path.join(self.args.build, "bin", program), *map(str, words)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0 and not may_fail:
            sys.exit(f"{' '.join(command)}: {done.stderr.decode()}")
        return done.stdout

    def path(self, name):
        return os.path.join(self.folder, name)

    def model(self, network):
        path = self.path(network + ".onnx")
        if not os.path.exists(path):
            self.run("wsi-model", network, "-o", path, "--classes", 2)
        return path

    def plan(self, network, *words, may_fail=False):
        side = self.args.side
        rates = ["--rates", self.args.rates] if self.args.rates else []
        text = self.run("wsic", "compile", self.model(network), "-o", self.path("t.plan"),
                        "--force", "--json", "--input-size", f"{side}x{side}", "--optimizer",
                        "momentum", *rates, *words, may_fail=may_fail)
        return json.loads(text)

    def gradients(self, size):
        x, y, out = self.path("x.npy"), self.path("y.npy"), self.path("g.safetensors")
        if not os.path.exists(x):
            write_npy(x, (1, 3, size, size), "<f4", pixels(3 * size * size))
            write_npy(y, (1,), "<i8", (1).to_bytes(8, "little"))
        self.run("wsirun", "grad", self.path("t.plan"), "--input", x, "--target", y, "-o", out,
                 "--force")
        with open(out, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()


def pixels(count):
    """float32 numbers between -1 and 1, the same every time (a linear congruence)."""
    import array
    state, numbers = 1, array.array("f")
    for _ in range(count):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        numbers.append(state / 0x40000000 - 1.0)
    return numbers.tobytes()


def write_npy(path, shape, kind, data):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
        file.write(data)


def mib(size):
    return f"{size / 2**20:.0f}"


def ladder(bench, network):
    peak = bench.plan(network)["device_peak_bytes"]
    expected = bench.gradients(bench.args.side)
    print(f"\n{network}, side {bench.args.side}, P = {mib(peak)} MiB\n")
    print("| state | budget MiB | of P | peak planned | measured | host MiB | copied MiB "
          "| predicted ms | measured ms | gradients |\n|---|---|---|---|---|---|---|---|---|---|")
    for state, words in (("device", ["--keep-state"]), ("anywhere", [])):
        lowest = bench.plan(network, "--device-mem", "1KiB", *words,
                            may_fail=True)["smallest_device_mem_bytes"]
        for i in range(bench.args.steps + 1):
            budget = peak - (peak - lowest) * i // bench.args.steps
            planned = bench.plan(network, "--device-mem", f"{budget}B", *words)
            timed = json.loads(bench.run("wsirun", "bench", bench.path("t.plan"), "--steps", 1, "--warmup", 0,
                                         "--json"))
            same = bench.gradients(bench.args.side) == expected
            ok = timed["device_peak_bytes"] == planned["device_peak_bytes"] <= budget
            print(f"| {state} | {mib(budget)} | {budget / peak:.3f} "
                  f"| {mib(planned['device_peak_bytes'])} | {mib(timed['device_peak_bytes'])} "
                  f"| {mib(planned['host_peak_bytes'])} | {mib(planned['copied_bytes_per_step'])} "
                  f"| {planned['predicted_step_ms']:.0f} | {timed['step_ms_median']:.0f} "
                  f"| {'same bits' if same else 'DIFFER'} |", flush=True)
            if not same or not ok:
                sys.exit("memory.py: gradients or peaks differ")


def ablation(bench, network):
    print(f"\n{network}, side {bench.args.side}, {bench.args.device_mem}, "
          f"rates {bench.args.rates or 'cpu'}\n")
    print("| | predicted s | speed-up | stalled | copied GiB | host GiB |\n|---|---|---|---|---|---|")
    first = None
    for name, words in ABLATION:
        planned = bench.plan(network, "--device-mem", bench.args.device_mem, *words)
        seconds = planned["predicted_step_ms"] / 1e3
        first = first or seconds
        print(f"| {name} | {seconds:.2f} | {first / seconds:.2f} "
              f"| {planned['predicted_stalled_share'] * 100:.0f} % "
              f"| {planned['copied_bytes_per_step'] / 2**30:.0f} "
              f"| {planned['host_peak_bytes'] / 2**30:.0f} |", flush=True)


def quality(bench, network):
    resident = bench.plan(network)
    print(f"\n{network}, side {bench.args.side}, rates {bench.args.rates or 'cpu'}, "
          f"P = {mib(resident['device_peak_bytes'])} MiB\n")
    print("| budget | predicted ms | over resident | host MiB |\n|---|---|---|---|")
    for part in (1, 2, 3, 4, 5):
        budget = resident["device_peak_bytes"] // part
        planned = bench.plan(network, "--device-mem", f"{budget}B", may_fail=True)
        if not planned["fits"]:
            continue
        ratio = planned["predicted_step_ms"] / resident["predicted_step_ms"]
        print(f"| P/{part} | {planned['predicted_step_ms']:.2f} | {ratio:.3f} "
              f"| {mib(planned['host_peak_bytes'])} |", flush=True)


def main():
    args = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, folder)
        for network in args.models.split(","):
            {"ladder": ladder, "ablation": ablation, "quality": quality}[args.command](bench,
                                                                                      network)


if __name__ == "__main__":
    main()
