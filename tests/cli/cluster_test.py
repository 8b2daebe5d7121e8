"""Scripts for clusters: wsirun slurm, whose script tests/cluster/slurm.sh runs, and docs/mpijob.yaml."""
import pathlib
import re
import shutil
import subprocess
import unittest

import yaml
from programs import INVALID, IO, USAGE, ProgramTest, run


class Slurm(ProgramTest):
    def setUp(self):
        super().setUp()
        self.plan = self.compile_tiny()

    def script(self, *options):
        return self.succeed("wsirun", "slurm", self.plan, "--slides", "my slides.csv", "--run-dir",
                            "runs/a", *options).stdout

    def directives(self, script):
        return dict(re.findall(r"^#SBATCH --([a-z-]+)=?(.*)$", script, re.MULTILINE))

    def command(self, script):
        """The words that srun gets, from a shell that has a srun of its own."""
        tools = self.folder / "tools"
        tools.mkdir(exist_ok=True)
        srun = tools / "srun"
        srun.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\nexit "${SRUN_CODE:-0}"\n',
                        encoding="utf-8")
        scontrol = tools / "scontrol"
        scontrol.write_text('#!/bin/bash\necho "scontrol $*"\n', encoding="utf-8")
        for tool in (srun, scontrol):
            tool.chmod(0o755)

        def finished(code):
            done = subprocess.run(["bash", "-c", script], capture_output=True, text=True,
                                  check=False, env={"PATH": f"{tools}:/usr/bin:/bin",
                                                    "SLURM_JOB_ID": "7", "SRUN_CODE": str(code)})
            return done.returncode, done.stdout.splitlines()
        return finished

    def test_the_script(self):
        script = self.script("--nodes", 2, "--ranks-per-node", 4, "--cpus-per-task", 3, "--time",
                             "2-12:00:00", "--partition", "long", "--epochs", 30)
        found = self.directives(script)
        self.assertEqual(found["job-name"], "a")
        self.assertEqual((found["nodes"], found["ntasks-per-node"], found["cpus-per-task"]),
                         ("2", "4", "3"))
        self.assertEqual((found["time"], found["partition"]), ("2-12:00:00", "long"))
        self.assertEqual(found["signal"], "USR1@120")
        self.assertIn("requeue", found)
        self.assertNotIn("gpus-per-task", found)
        finished = self.command(script)
        code, words = finished(0)
        self.assertEqual(code, 0)
        at = words.index("train")
        self.assertIn("--cpus-per-task=3", words[:at])
        self.assertEqual(words[at + 1:], [
            str(self.plan), "--slides", "my slides.csv", "--run-dir", "runs/a", "--epochs", "30",
            "--resume", "auto", "--threads", "3"])
        self.assertEqual(finished(75), (75, words + ["scontrol requeue 7"]))
        self.assertEqual(finished(7), (7, words))

    def test_the_plans_memory_is_asked_for(self):
        def mebibytes(*options):
            return int(self.directives(self.script(*options))["mem"][:-1])
        one = mebibytes()
        self.assertGreater(one, 1024)
        self.assertLess(one, 1400)
        self.assertAlmostEqual(mebibytes("--ranks-per-node", 4), 4 * one, delta=4)
        self.assertAlmostEqual(mebibytes("--cache-mem", "10GiB"), one + 11 * 1024, delta=2)
        self.assertEqual(mebibytes("--mem", "3GiB"), 3072)

    def test_what_the_user_says_counts(self):
        words = self.script("--resume", "auto", "--threads", 2, "--job-name", "b")
        self.assertEqual(words.count("--resume auto"), 1)
        self.assertEqual(words.count("--threads"), 1)
        self.assertEqual(self.directives(words)["output"], "b-%j.log")

    @unittest.skipUnless(shutil.which("shellcheck"), "no shellcheck")
    def test_shellcheck_has_nothing_to_say(self):
        path = self.folder / "job.sh"
        path.write_text(self.script("--nodes", 2), encoding="utf-8")
        done = subprocess.run(["shellcheck", path], capture_output=True, text=True, check=False)
        self.assertEqual(done.stdout, "")

    def test_bad_command_lines(self):
        line = ("slurm", self.plan, "--slides", "s.csv", "--run-dir", "r")
        for options, saying in (
                (("--epochs", 0), "--epochs"), (("--nproc", 2), "--ranks-per-node"),
                (("--force",), "start over"), (("--tim", 1), "--tim"),
                (("--time", "soon"), "'soon'"), (("--time", "1-2"), "'1-2'"),
                (("--time", "1:2"), "'1:2'"), (("--time", 3), "--time 3"),
                (("--mem", "much"), "--mem")):
            with self.subTest(options=options):
                self.fail_with(USAGE, "wsirun", *line, *options, saying=saying)
        self.assertEqual(run("wsirun", *line, "--job-name", "a b").returncode, USAGE)
        self.fail_with(USAGE, "wsirun", "slurm", self.plan, "--slides", "s.csv",
                       saying="--run-dir")
        self.fail_with(IO, "wsirun", "slurm", self.folder / "no.plan", *line[2:], saying="no.plan")
        self.fail_with(INVALID, "wsirun", "slurm", self.folder / "tiny.onnx", *line[2:],
                       saying="tiny.onnx")

    def test_a_plan_that_does_not_train(self):
        self.succeed("wsic", "compile", self.folder / "tiny.onnx", "-o", self.folder / "i.plan",
                     "--loss", "none")
        self.fail_with(INVALID, "wsirun", "slurm", self.folder / "i.plan", "--slides", "s.csv",
                       "--run-dir", "r", saying="does not train")


class MpiJob(ProgramTest):
    def test_the_example(self):
        path = pathlib.Path(__file__).parents[2] / "docs" / "mpijob.yaml"
        job = yaml.safe_load(path.read_text(encoding="utf-8"))
        self.assertEqual((job["apiVersion"], job["kind"]), ("kubeflow.org/v2beta1", "MPIJob"))
        spec = job["spec"]
        pods = {}
        for name, replicas in spec["mpiReplicaSpecs"].items():
            pods[name] = pod = replicas["template"]["spec"]
            volumes = [volume["name"] for volume in pod["volumes"]]
            for mount in pod["containers"][0]["volumeMounts"]:
                self.assertIn(mount["name"], volumes)
        self.assertEqual(set(pods), {"Launcher", "Worker"})
        slots = spec["slotsPerWorker"]
        limits = pods["Worker"]["containers"][0]["resources"]["limits"]
        self.assertEqual(limits["nvidia.com/gpu"], slots)
        launcher = pods["Launcher"]
        words = launcher["containers"][0]["command"]
        self.assertTrue(all(isinstance(word, str) for word in words))
        ranks = spec["mpiReplicaSpecs"]["Worker"]["replicas"] * slots
        self.assertEqual(words[words.index("-np") + 1], str(ranks))
        patience = int(words[words.index("odls_base_sigkill_timeout") + 1])
        self.assertLess(2 * patience, launcher["terminationGracePeriodSeconds"])
        # The options are those of train: slurm reads them as train does.
        at = words.index("train")
        self.assertIn("auto", words[at:])
        self.succeed("wsirun", "slurm", self.compile_tiny(), *words[at + 2:])


if __name__ == "__main__":
    unittest.main()
