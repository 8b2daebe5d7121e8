#!/usr/bin/env python3
"""How ranks on one machine's cores scale: predicted against measured.

In rounds, and in each for every number of ranks in turn: the rates that a rank has while all
measure (wsirun doctor --calibrate), and at once steps as they are (wsirun bench). The rates predict
a step (wsic explain --world). Efficiency is the step of the first number of ranks over that of the
others, round by round, so that what changes about the machine between rounds is in neither; what is
compared are medians over rounds, as many as there is time for.

Each rank has cores of its own, as many for every number of ranks: one a compute thread and, where
the machine has them, one for the collectives. It wants these cores to itself. Where they are fewer
than ranks x threads nothing is measured: ranks that take turns on a core are not in the model.

Ends with 0 where all efficiencies are predicted within --tolerance, 1 where not, 2 where the machine
or the options do not allow it, 3 where a program fails.

usage: ranks.py [--bin FOLDER] [--model NAME] [--side N] [--ranks 1,2,4] [--threads 1]
                [--cores-per-rank N] [--seconds 140] [--steps 10] [--tolerance 0.05]
                [--launcher mpirun] [--prefix "chrt -f 1"]
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

BEYOND, UNSUITABLE, FAILED = 1, 2, 3
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   OMPI_MCA_rmaps_base_oversubscribe="1",
                   OMPI_MCA_hwloc_base_binding_policy="none")
LEAST_ROUNDS = 2


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bin", default="build/dev/bin")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--ranks", default="1,2,4")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cores-per-rank", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=140)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--tolerance", type=float, default=0.05)
    parser.add_argument("--launcher", default="mpirun")
    parser.add_argument("--prefix", default="")
    return parser.parse_args()


def end(code, message):
    print(f"ranks.py: {message}", file=sys.stderr)
    sys.exit(code)


def own_cores():
    """A processor of each core that this process may use, neighbours beside each other."""
    cores = {}
    for processor in sorted(os.sched_getaffinity(0)):
        path = f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list"
        try:
            with open(path, encoding="ascii") as file:
                core = file.read().strip()
        except OSError:
            core = str(processor)
        cores.setdefault(core, processor)
    return list(cores.values())


def may_bind():
    """Whether a process may choose its cores."""
    try:
        os.sched_setaffinity(0, os.sched_getaffinity(0))
    except OSError:
        return False
    return True


def run_as_rank(processors, command):
    """This process becomes the program, on its share of `processors`, given by rank."""
    rank = os.environ.get("OMPI_COMM_WORLD_LOCAL_RANK") or os.environ.get("MPI_LOCALRANKID") or "0"
    os.sched_setaffinity(0, map(int, processors.split("/")[int(rank)].split(",")))
    os.execv(command[0], command)


class Bench:
    def __init__(self, args, cores, folder):
        self.args, self.cores, self.folder = args, cores, folder
        self.plan = os.path.join(folder, "model.plan")

    def run(self, program, *words, ranks=0):
        """What the program prints; with `ranks`, of so many of it on their cores."""
        command = [os.path.join(self.args.bin, program), *map(str, words)]
        if ranks > 0 and self.args.binds:
            each = self.args.cores_per_rank
            processors = "/".join(",".join(map(str, self.cores[rank * each:(rank + 1) * each]))
                                  for rank in range(ranks))
            command = [sys.executable, os.path.abspath(__file__), "--as-rank", processors, *command]
        if ranks > 1:
            command = [self.args.launcher, "-n", str(ranks), *command]
        command = [*shlex.split(self.args.prefix), *command]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env=ENVIRONMENT, check=False)
        except OSError as error:
            end(FAILED, f"{command[0]}: {error.strerror}")
        if done.returncode != 0:
            end(FAILED, f"{' '.join(command)} ends with {done.returncode}: "
                        f"{done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def compile(self):
        model = os.path.join(self.folder, "model.onnx")
        self.run("wsi-model", self.args.model, "-o", model, "--classes", 2)
        self.run("wsic", "compile", model, "-o", self.plan, "--input-size",
                 f"{self.args.side}x{self.args.side}")

    def predict(self, ranks):
        rates = os.path.join(self.folder, "rates.json")
        self.run("wsirun", "doctor", "--calibrate", "--threads", self.args.threads, "--force",
                 "-o", rates, ranks=ranks)
        words = ["--rates", rates, "--json"]
        if ranks == 1:
            found = json.loads(self.run("wsic", "explain", self.plan, *words))
            return {"step_ms": found["predicted_step_ms"], "collective_ms": 0, "exposed_ms": 0}
        return json.loads(self.run("wsic", "explain", self.plan, "--world", f"{ranks},{ranks}",
                                   *words))["scaling"][0]

    def measure(self, ranks):
        found = json.loads(self.run("wsirun", "bench", self.plan, "--threads", self.args.threads,
                                    "--steps", self.args.steps, "--json", ranks=ranks))
        return {"collective_ms": 0, "exposed_ms": 0, "waiting_ms": 0, **found,
                "step_ms": found["step_ms_median"]}

    def rounds(self, worlds):
        """By round and number of ranks, what was predicted and what measured."""
        # Virtual machines give memory when it is first used: calibration's, too.
        self.predict(max(worlds))
        self.measure(max(worlds))
        start = time.monotonic()
        rounds = []
        while True:
            rounds.append({ranks: (self.predict(ranks), self.measure(ranks)) for ranks in worlds})
            spent = time.monotonic() - start
            steps = ", ".join(f"{ranks}: {predicted['step_ms']:.1f} / {measured['step_ms']:.1f}"
                              for ranks, (predicted, measured) in rounds[-1].items())
            print(f"after {spent:.0f} s, ms by ranks, predicted / measured: {steps}", file=sys.stderr,
                  flush=True)
            enough = spent * (len(rounds) + 1) / len(rounds) > self.args.seconds
            if len(rounds) >= LEAST_ROUNDS and enough:
                return rounds


def share_cores(args, worlds):
    """The cores to use; sets how many each rank has."""
    cores = own_cores()
    each = args.cores_per_rank or max(args.threads, min(len(cores) // max(worlds), args.threads + 1))
    if each < args.threads or max(worlds) * each > len(cores):
        end(UNSUITABLE, f"{max(worlds)} ranks of {args.threads} threads on {each} cores each: there "
                        f"are {len(cores)} cores; try fewer --ranks or --threads")
    args.cores_per_rank = each
    args.binds = may_bind()
    return cores


def compare(args, worlds, rounds):
    """Prints the table for docs/benchmarks.md; whether all is within the tolerance."""
    def both(ranks, key):
        predicted, measured = (statistics.median(by_ranks[ranks][kind][key] for by_ranks in rounds)
                               for kind in (0, 1))
        return f"{predicted:.1f} / {measured:.1f}"

    def efficiencies(ranks, kind):
        return [by_ranks[worlds[0]][kind]["step_ms"] / by_ranks[ranks][kind]["step_ms"]
                for by_ranks in rounds]

    print(f"{args.model}, {args.side} x {args.side}, {args.threads} threads on "
          f"{args.cores_per_rank} cores a rank{'' if args.binds else ' (not bound to them)'}, "
          f"{len(rounds)} rounds, load {os.getloadavg()[0]:.1f}; predicted / measured, medians\n")
    print("| ranks | step, ms | collectives, ms | exposed, ms | waiting, ms | efficiency "
          "| measured, by round | predicted / measured |\n|---|---|---|---|---|---|---|---|")
    within = True
    for ranks in worlds:
        predicted, measured = efficiencies(ranks, 0), efficiencies(ranks, 1)
        ratio = statistics.median(predicted) / statistics.median(measured)
        within &= abs(ratio - 1) <= args.tolerance
        waiting = statistics.median(by_ranks[ranks][1]["waiting_ms"] for by_ranks in rounds)
        print(f"| {ranks} | {both(ranks, 'step_ms')} | {both(ranks, 'collective_ms')} "
              f"| {both(ranks, 'exposed_ms')} | {waiting:.1f} "
              f"| {statistics.median(predicted):.3f} / {statistics.median(measured):.3f} "
              f"| {min(measured):.3f} to {max(measured):.3f} | {ratio:.3f} |")
    return within


def main():
    args = parse_arguments()
    try:
        worlds = [int(ranks) for ranks in args.ranks.split(",")]
    except ValueError:
        worlds = []
    if min(worlds, default=0) < 1 or min(args.threads, args.steps) < 1:
        end(UNSUITABLE, "--ranks, --threads and --steps are positive; --ranks a list such as 1,2,4")
    cores = share_cores(args, worlds)
    with tempfile.TemporaryDirectory(prefix="wsi-ranks-") as folder:
        bench = Bench(args, cores, folder)
        bench.compile()
        rounds = bench.rounds(worlds)
    return 0 if compare(args, worlds, rounds) else BEYOND


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-rank"]:
        run_as_rank(sys.argv[2], sys.argv[3:])
    sys.exit(main())
