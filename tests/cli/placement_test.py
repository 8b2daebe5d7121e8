"""Where ranks run: what doctor says of it, and the threads of a run."""
import json
import os
import pathlib
import unittest

import ranks as of_ranks
from programs import USAGE, ProgramTest, command, run
from ranks import LAUNCHER, RanksTest

CORES = sorted(os.sched_getaffinity(0))


def doctor(*options, **arguments):
    return json.loads(run("wsirun", "doctor", "--json", *options, **arguments).stdout)


HWLOC = "API" in doctor()["hwloc"]


def processors(text):
    """Those of "0-2,5"."""
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def threads(process):
    """What each thread of a process may run on."""
    return [processors(line.split()[1])
            for status in pathlib.Path(f"/proc/{process}/task").glob("*/status")
            for line in status.read_text(encoding="utf-8").splitlines()
            if line.startswith("Cpus_allowed_list")]


class Doctor(ProgramTest):
    def test_says_what_there_is(self):
        found = doctor()
        for key in ("hwloc", "gpus", "network", "mpi", "ranks"):
            self.assertIn(key, found)
        self.assertEqual(len(found["ranks"]), 1 if HWLOC else 0)
        text = self.succeed("wsirun", "doctor").stdout
        self.assertIn(found["mpi"], text)
        if not HWLOC:
            return
        self.assertEqual(processors(found["bound_to"]), CORES)
        self.assertEqual(found["ranks"][0]["processors"], "as they are")
        known = [p for node in found["numa_nodes"] if node["processors"]
                 for p in processors(node["processors"])]
        self.assertEqual(len(known), len(set(known)))

    @unittest.skipUnless(HWLOC and len(CORES) > 1, "no hwloc, or one processor")
    def test_says_where_ranks_would_be(self):
        first, second = doctor("--nproc", 2)["ranks"]
        own = [processors(rank["processors"]) for rank in (first, second)]
        self.assertFalse(set(own[0]) & set(own[1]))
        self.assertLessEqual(set(own[0]) | set(own[1]), set(CORES))
        many = doctor("--nproc", 2 * len(CORES))["ranks"]
        self.assertEqual(len(many), 2 * len(CORES))
        self.assertEqual(many[0]["processors"], "as they are")
        self.assertIn("cores", many[0]["because"])

    @unittest.skipUnless(HWLOC and len(CORES) > 1, "no hwloc, or one processor")
    def test_what_bound_it_is_respected(self):
        os.sched_setaffinity(0, CORES[-1:])
        self.addCleanup(os.sched_setaffinity, 0, CORES)
        found = doctor()
        self.assertEqual(processors(found["bound_to"]), CORES[-1:])
        self.assertEqual(found["ranks"][0]["processors"], "as they are")
        self.assertEqual(found["ranks"][0]["because"], "bound by what started it")


@unittest.skipUnless(LAUNCHER, "built without MPI")
@unittest.skipUnless(HWLOC and len(CORES) > 1, "no hwloc, or one processor")
class Ranks(RanksTest):
    def setUp(self):
        super().setUp()
        # Or else Open MPI binds them.
        of_ranks.ENVIRONMENT["OMPI_MCA_hwloc_base_binding_policy"] = "none"
        self.addCleanup(of_ranks.ENVIRONMENT.pop, "OMPI_MCA_hwloc_base_binding_policy")

    def run_on(self, *options):
        """Each rank's threads of a run under way."""
        process, ranks = self.start(2, self.plan(1), "run", "--epochs", 2000, *options)
        self.assertEqual(len(ranks), 2)
        found = [threads(rank) for rank in ranks]
        process.terminate()
        return found

    def test_all_threads_are_in_their_ranks_share(self):
        done = self.on_ranks(2, command("wsirun", "doctor", "--json"))
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)  # One object: rank 0's.
        self.assertIn("MPI_THREAD_", told["mpi"])
        wanted = sorted(processors(rank["processors"]) for rank in told["ranks"])
        found = self.run_on()
        for of_rank in found:
            self.assertGreater(len(of_rank), 2)
            self.assertTrue(all(allowed == of_rank[0] for allowed in of_rank), of_rank)
        self.assertEqual(sorted(of_rank[0] for of_rank in found), wanted)

    def test_ranks_may_be_left_alone(self):
        for of_rank in self.run_on("--bind", "none"):
            self.assertIn(CORES, of_rank)
        self.assertEqual(run("wsirun", *self.train(self.plan(1), "x", "--bind", "sideways")[1:])
                         .returncode, USAGE)


if __name__ == "__main__":
    unittest.main()
