#!/usr/bin/env python3
"""ResNet-50 on one GPU: our steps and PyTorch's, in one call, as a table with ratios.

Every row is a process of its own, so that one that runs out of memory or crashes does not
end the others; it is printed as soon as it is there. All are fp16, batch 1, batch norm in
training mode, SGD with momentum. A step's time is the median of steps that each wait for
the device. Peaks are ours of the arena and the scratch beside it, PyTorch's of its
allocator; the JSON file has the driver's numbers as well.

our rows (--ours), comma-separated:
  resident       everything stays on the device
  auto:BUDGET    recompute and offload, as wsic chooses within the budget
  offload:BUDGET without recomputing
  recompute:BUDGET  without copies
  managed:BUDGET    as offload, in managed memory: at most 1 GiB, more may hang a device
A BUDGET is a share of the resident plan's peak (0.5) or a size (60GiB). With one, a row is
run for each of --copies.

rivals (--rivals), comma-separated: eager, compile, checkpoint, save_on_cpu; see gpu_peer.py.

  tests/bench/gpu.sh --bin cuda/bin --sides 4096,8192 --out rows.json
  tests/bench/gpu.sh --bin cuda/bin --sides 8192 --rivals '' \\
      --ours resident,offload:0.5,offload:0.25 --copies demand,groups,prefetch,timed
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

GIB = 2.0 ** 30
HERE = pathlib.Path(__file__).resolve().parent
PACKAGE_FOLDERS = ("import glob, nvidia; "
                   "print(':'.join(d for p in nvidia.__path__ for d in glob.glob(p + '/*/lib')))")
FLAGS = {
    "auto": ["--memory", "auto"],
    "offload": ["--memory", "offload", "--no-recompute"],
    "recompute": ["--memory", "auto", "--no-offload"],
    "managed": ["--memory", "managed", "--no-recompute"],
}


def names(text):
    return [name for name in text.split(",") if name]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/dev/bin"),
                        help="where wsic, wsirun and wsi-model are")
    parser.add_argument("--sides", type=names, default=["4096", "8192"])
    parser.add_argument("--ours", type=names, default=["resident", "auto:0.5"])
    parser.add_argument("--rivals", type=names, default=["compile", "eager"])
    parser.add_argument("--copies", type=names, default=["timed"],
                        help="demand, groups, prefetch, timed")
    parser.add_argument("--host-mem", default="100GiB", help="for copies")
    parser.add_argument("--rates", default="fit",
                        help="what plans with a budget are made with: fit (to the resident run "
                             "at that side), a built-in name or a file")
    parser.add_argument("--bench", type=names, default=[],
                        help="more options of wsirun bench, such as --cuda-graphs=on")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=540, help="for everything")
    parser.add_argument("--row-seconds", type=float, default=200, help="for one row")
    parser.add_argument("--device", default="cuda", help="of our rows; cpu tries this script out")
    parser.add_argument("--python", default=sys.executable, help="one that has PyTorch")
    parser.add_argument("--out", type=pathlib.Path, help="write all rows here, as JSON")
    parser.add_argument("--ops", action="store_true",
                        help="keep the times by operator of our rows in the JSON file")
    a = parser.parse_args()
    for variant in a.ours:
        kind, _, budget = variant.partition(":")
        if not (variant == "resident" or (kind in FLAGS and budget)):
            parser.error(f"--ours {variant}: wanted resident, or auto, offload, recompute or "
                         "managed with :BUDGET")
    return a


class Failure(Exception):
    """What a row's process ended with."""


class Bench:
    def __init__(self, a, folder):
        self.a = a
        self.folder = folder
        self.end = time.monotonic() + a.seconds
        self.rows = []
        self.environment = dict(os.environ)
        found = subprocess.run([a.python, "-c", PACKAGE_FOLDERS], capture_output=True, text=True,
                               check=False)
        if found.returncode == 0:  # CUDA's libraries come with PyTorch's packages.
            self.environment["LD_LIBRARY_PATH"] = ":".join(
                part for part in (found.stdout.strip(), os.environ.get("LD_LIBRARY_PATH")) if part)

    def left(self):
        return self.end - time.monotonic()

    def call(self, *command, environment=None):
        """The last line that a process prints, which is one JSON object."""
        seconds = min(self.left(), self.a.row_seconds)
        if seconds < 5:
            raise Failure("not run: out of time")
        try:
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                                  timeout=seconds, check=False, env=environment)
        except subprocess.TimeoutExpired:
            raise Failure(f"stopped after {seconds:.0f} s") from None
        lines = done.stdout.strip().splitlines()
        try:
            result = json.loads(lines[-1]) if lines else {}
        except ValueError:
            result = {}
        if done.returncode == 0:
            return result
        words = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
        raise Failure(result.get("error") or f"exit code {done.returncode}: {words[:300]}")

    def ours(self, *command):
        program, *rest = command
        return self.call(self.a.bin / program, *rest, environment=self.environment)

    def add(self, side, system, measure):
        start = time.monotonic()
        row = {"side": side, "system": system}
        try:
            row.update(measure())
        except Failure as failure:
            row["error"] = str(failure)
        if "ms" in row:
            row["ms_per_megapixel"] = row["ms"] / (side * side / 1e6)
        row["row_seconds"] = time.monotonic() - start
        self.rows.append(row)
        if "error" in row:
            print(f"{side} {system}: {row['error']}", flush=True)
        else:
            predicted = f", {row['predicted_ms']:.2f} predicted" if "predicted_ms" in row else ""
            print(f"{side} {system}: {row['ms']:.2f} ms{predicted}, "
                  f"{row['ms_per_megapixel']:.3f} a megapixel, {row['peak_bytes'] / GIB:.2f} GiB, "
                  f"ready after {row['load_ms'] / 1e3:.1f} s", flush=True)
        if self.a.out:
            self.a.out.write_text(json.dumps(self.rows, indent=1) + "\n", encoding="utf-8")
        return row

    def compile_plan(self, side, *options):
        model = self.folder / "model.onnx"
        if not model.exists():
            self.ours("wsi-model", "resnet50", "-o", model, "--classes", 3)
        return self.ours("wsic", "compile", model, "-o", self.folder / "plan", "--input-size",
                         f"{side}x{side}", "--device", self.a.device, "--precision", "fp16",
                         "--norm", "train", "--optimizer", "momentum", "--force", "--json",
                         *options)

    def bench_plan(self, *options):
        result = self.ours("wsirun", "bench", self.folder / "plan", "--json", "--steps",
                           self.a.steps, "--warmup", self.a.warmup, *self.a.bench, *options)
        row = {
            "ms": result["step_ms_median"],
            "ms_min": result["step_ms_min"],
            "predicted_ms": result["predicted_step_ms"],
            "load_ms": result["load_ms"],
            "peak_bytes": result["device_arena_bytes"] + result["backend_private_bytes"],
            "planned_peak_bytes": result["planned_device_peak_bytes"],
            "driver_bytes": result["device_peak_bytes"],
            "host_bytes": result["host_arena_bytes"],
        }
        if self.a.ops:  # By itself: marks cost a little.
            row["ops"] = self.ours("wsirun", "bench", self.folder / "plan", "--json", "--steps", 2,
                                   "--warmup", 1, "--ops", "--choices")
        return row

    def resident(self, side, rates):
        planned = self.compile_plan(side, "--memory", "resident")
        row = self.bench_plan()
        self.ours("wsirun", "bench", self.folder / "plan", "--json", "--steps", 1, "--warmup", 2,
                  "--fit-rates", rates, "--force")
        return {**row, "copied_bytes": planned["copied_bytes_per_step"]}

    def within(self, side, variant, copies, rates):
        kind, _, budget = variant.partition(":")
        try:
            share = float(budget)
        except ValueError:
            share = None
        if share is not None:
            whole = self.compile_plan(side, "--memory", "resident")["device_peak_bytes"]
            budget = f"{int(whole * share)}B"
        named = self.a.rates if self.a.rates != "fit" else rates if rates.exists() else "h100"
        planned = self.compile_plan(side, "--device-mem", budget, "--host-mem", self.a.host_mem,
                                    "--copies", copies, "--rates", named, *FLAGS[kind])
        return {**self.bench_plan(), "copied_bytes": planned["copied_bytes_per_step"]}

    def run_side(self, side):
        a = self.a
        rates = self.folder / f"rates_{side}.json"
        if "resident" in a.ours:
            self.add(side, "wsirun resident", lambda: self.resident(side, rates))
        for rival in a.rivals:
            self.add(side, f"PyTorch {rival}", lambda: self.call(
                a.python, HERE / "gpu_peer.py", rival, side, "--steps", a.steps, "--warmup",
                a.warmup))
        for variant in a.ours:
            for copies in a.copies if variant != "resident" else []:
                self.add(side, f"wsirun {variant.replace(':', ' ')}, copies {copies}",
                         lambda: self.within(side, variant, copies, rates))


def table(rows):
    """Markdown; ratios are to torch.compile at the same side, else to eager, else to none."""
    def cell(value, digits):
        return "" if value is None else f"{value:.{digits}f}"

    lines = ["| side | system | ms a step | ms a megapixel | peak GiB | time / compile | "
             "peak / compile | predicted ms | measured / predicted | copied GiB |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        if "error" in row:
            lines.append(f"| {row['side']} | {row['system']} | {row['error']} | | | | | | | |")
            continue
        same = [r for r in rows if r["side"] == row["side"] and "ms" in r]
        base = next((r for name in ("compile", "eager") for r in same
                     if r["system"] == f"PyTorch {name}"), None)
        eager = "" if base is None or base["system"].endswith("compile") else " (eager)"
        predicted = row.get("predicted_ms")
        copied = row.get("copied_bytes")
        lines.append(
            f"| {row['side']} | {row['system']} | {row['ms']:.2f} | "
            f"{row['ms_per_megapixel']:.3f} | {row['peak_bytes'] / GIB:.2f} | "
            f"{cell(row['ms'] / base['ms'] if base else None, 3)}{eager} | "
            f"{cell(row['peak_bytes'] / base['peak_bytes'] if base else None, 3)}{eager} | "
            f"{cell(predicted, 2)} | {cell(row['ms'] / predicted if predicted else None, 3)} | "
            f"{cell(copied / GIB if copied is not None else None, 1)} |")
    return "\n".join(lines)


def main():
    a = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(a, pathlib.Path(folder))
        for side in a.sides:
            bench.run_side(int(side))
    print()
    print(table(bench.rows))
    return 1 if all("error" in row for row in bench.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
