#!/usr/bin/env python3
"""How ranks on one machine's cores scale: predicted against measured.

For each number of ranks: the rates that each has while all measure (wsirun doctor --calibrate),
the step that they predict (wsic explain --world), and steps as they are (wsirun bench), in turns
so that a machine that is busy otherwise is so for all. Efficiency is the step of the first number
of ranks over that of the others. Fails where predicted and measured efficiency differ by more
than --tolerance.

Wants a machine to itself with at least as many cores as ranks x threads: ranks that take turns
on a core are not in the model. --prefix runs the programs at another priority.

usage: ranks.py [--build FOLDER] [--model NAME] [--side N] [--ranks 1,2,4] [--threads 1]
                [--rounds 3] [--steps 5] [--tolerance 0.05] [--launcher mpirun] [--prefix "chrt -f 1"]
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile

ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   OMPI_MCA_rmaps_base_oversubscribe="1")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build/dev")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--ranks", default="1,2,4")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--tolerance", type=float, default=0.05)
    parser.add_argument("--launcher", default="mpirun")
    parser.add_argument("--prefix", default="")
    return parser.parse_args()


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.plan = os.path.join(folder, "model.plan")

    def run(self, program, *words, ranks=1):
        command = [os.path.join(self.args.build, "bin", program), *map(str, words)]
        if ranks > 1:
            command = [self.args.launcher, "-n", str(ranks), *command]
        command = [*shlex.split(self.args.prefix), *command]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=ENVIRONMENT, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: {done.stderr.decode()}")
        return done.stdout

    def compile(self):
        model = os.path.join(self.folder, "model.onnx")
        self.run("wsi-model", self.args.model, "-o", model, "--classes", 2)
        self.run("wsic", "compile", model, "-o", self.plan, "--input-size",
                 f"{self.args.side}x{self.args.side}")

    def rates(self, ranks):
        path = os.path.join(self.folder, f"rates-{ranks}.json")
        if not os.path.exists(path):
            self.run("wsirun", "doctor", "--calibrate", "--threads", self.args.threads, "-o", path,
                     ranks=ranks)
        return path

    def predict(self, ranks):
        words = ["--rates", self.rates(ranks), "--json"]
        if ranks == 1:
            found = json.loads(self.run("wsic", "explain", self.plan, *words))
            return {"step_ms": found["predicted_step_ms"], "collective_ms": 0, "exposed_ms": 0}
        return json.loads(self.run("wsic", "explain", self.plan, "--world", f"{ranks},{ranks}",
                                   *words))["scaling"][0]

    def measure(self, ranks):
        return json.loads(self.run("wsirun", "bench", self.plan, "--threads", self.args.threads,
                                   "--steps", self.args.steps, "--json", ranks=ranks))


def main():
    args = parse_arguments()
    worlds = [int(ranks) for ranks in args.ranks.split(",")]
    with tempfile.TemporaryDirectory(prefix="wsi-ranks-") as folder:
        bench = Bench(args, folder)
        bench.compile()
        predicted = {ranks: bench.predict(ranks) for ranks in worlds}
        measured = {ranks: [] for ranks in worlds}
        for _ in range(args.rounds):
            for ranks in worlds:
                measured[ranks].append(bench.measure(ranks))

    def median(ranks, key):
        return statistics.median(step.get(key, 0) for step in measured[ranks])

    print(f"{args.model}, {args.side} x {args.side}, {args.threads} threads a rank, "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; predicted / measured")
    print(f"{'ranks':>5} {'step ms':>17} {'collectives ms':>17} {'exposed ms':>17} "
          f"{'waiting ms':>10} {'efficiency':>15} {'ratio':>6}")
    failed = False
    for ranks in worlds:
        step = (predicted[ranks]["step_ms"], median(ranks, "step_ms_median"))
        first = (predicted[worlds[0]]["step_ms"], median(worlds[0], "step_ms_median"))
        efficiency = (first[0] / step[0], first[1] / step[1])
        ratio = efficiency[0] / efficiency[1]
        failed |= abs(ratio - 1) > args.tolerance
        pairs = [f"{p:8.1f} /{m:7.1f}" for p, m in (
            step, *((predicted[ranks][key], median(ranks, key))
                    for key in ("collective_ms", "exposed_ms")))]
        print(f"{ranks:>5} {pairs[0]} {pairs[1]} {pairs[2]} {median(ranks, 'waiting_ms'):10.1f} "
              f"{efficiency[0]:7.3f} /{efficiency[1]:6.3f} {ratio:6.3f}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
