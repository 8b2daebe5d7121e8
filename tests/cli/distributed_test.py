"""Several ranks on one machine: the same weights as one rank, whatever stops them on the way."""
import json
import os
import random
import signal
import subprocess
import time
import unittest

import numpy
from programs import (DEVICE, INVALID, IO, PREEMPTED, USAGE, command, read_events,
                      read_safetensors, run, write_tiny_model)
from ranks import ALL, IS_MPICH, LAUNCHER, PEER, RanksTest, children, is_rank


OTHER_VERSION = os.environ.get("WSI_OTHER_VERSION", "")


def gpus():
    """How many GPUs plans for cuda can run on."""
    doctor = json.loads(run("wsirun", "doctor", "--json").stdout)
    return doctor["cuda_devices"]


@unittest.skipUnless(LAUNCHER, "built without MPI")
class Distributed(RanksTest):
    def test_ranks_give_the_bits_of_accumulation(self):
        cases = [(2, 2, "momentum", "fp32"), (4, 1, "adam", "fp16")]
        if ALL:
            cases = [(ranks, steps, optimizer, precision)
                     for ranks, steps in ((2, 1), (2, 2), (2, 3), (4, 1), (4, 2))
                     for optimizer in ("momentum", "adam") for precision in ("fp32", "fp16")]
        for ranks, steps, optimizer, precision in cases:
            with self.subTest(ranks=ranks, steps=steps, optimizer=optimizer, precision=precision):
                options = ("--deterministic", "--optimizer", optimizer, "--precision", precision)
                name = f"{ranks}-{steps}-{optimizer}-{precision}"
                one = self.trained(1, self.plan(ranks * steps, *options), name + "-one",
                                   "--epochs", 3)
                many = self.trained(ranks, self.plan(steps, *options), name, "--epochs", 3)
                self.assertEqual(one, many)
                losses = [[(event["loss"], event["learning_rate"]) for event in
                           read_events(self.folder / run_name, "step")]
                          for run_name in (name + "-one", name)]
                self.assertEqual(losses[0], losses[1])

    def test_ranks_that_accumulate_give_the_weights_of_one(self):
        cases = [(2, 2, "momentum", "fp32")]
        if ALL:
            cases = [(ranks, steps, optimizer, precision) for ranks, steps in ((2, 1), (2, 2), (4, 1), (4, 2))
                     for optimizer in ("momentum", "adam") for precision in ("fp32", "fp16")]
        for ranks, steps, optimizer, precision in cases:
            with self.subTest(ranks=ranks, steps=steps, optimizer=optimizer, precision=precision):
                options = ("--optimizer", optimizer, "--precision", precision)
                name = f"{ranks}-{steps}-{optimizer}-{precision}"
                self.trained(1, self.plan(ranks * steps, *options), name + "-one", "--epochs", 3)
                self.trained(ranks, self.plan(steps, *options), name, "--epochs", 3)
                one, many = (read_safetensors(self.folder / run_name / "last.safetensors")
                             for run_name in (name + "-one", name))
                for key, weights in one.items():
                    numpy.testing.assert_allclose(many[key], weights, rtol=1e-5, atol=1e-6)

    def test_a_run_goes_on_with_other_ranks(self):
        options = ("--deterministic", "--optimizer", "adam")
        four, one = self.plan(1, *options), self.plan(4, *options)
        whole = self.trained(4, four, "whole", "--epochs", 2)
        done = self.on_ranks(4, self.train(four, "parts", "--epochs", 2, "--max-steps", 1))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.trained(1, one, "parts", "--epochs", 2, "--resume", "auto"), whole)

    def test_steps_of_ranks_are_timed(self):
        plan = self.plan(1)
        rates = self.folder / "rates.json"
        rates.write_text(json.dumps({
            "device": "test", "matrix_flops_fp32": 1e9, "vector_flops": 1e9, "memory_bytes": 1e9,
            "in_bytes": 1e9, "out_bytes": 1e9, "read_bytes": 1e9, "write_bytes": 1e9,
            "link_bytes": 1e9, "link_seconds": 1e-5}), encoding="utf-8")
        trace = self.folder / "trace.json"
        done = self.on_ranks(2, command("wsirun", "bench", plan, "--steps", 5, "--rates", rates,
                                        "--trace", trace, "--threads", 1, "--json"))
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)  # One object: rank 0's.
        self.assertEqual(found["ranks"], 2)
        self.assertGreater(found["collective_ms"], 0)
        self.assertLessEqual(found["exposed_ms"], found["collective_ms"])
        self.assertLess(found["exposed_ms"], found["step_ms_median"])
        explained = json.loads(self.succeed("wsic", "explain", plan, "--rates", rates, "--world",
                                            "2,2", "--json").stdout)["scaling"][0]
        agreements = 3 * (1e-5 + 24 / 1e9) * 1e3  # The trainer's.
        self.assertAlmostEqual(found["predicted_step_ms"], explained["step_ms"] - agreements)
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
        self.assertIn("gradients.0", [event["name"] for event in events])
        unknown = json.loads(self.on_ranks(2, command("wsirun", "bench", plan, "--steps", 1,
                                                      "--json")).stdout)
        self.assertIsNone(unknown["predicted_step_ms"])

    def test_evaluation_is_shared(self):
        plan = self.plan(1)
        self.trained(1, plan, "run")
        for ranks in (1, 2):
            done = self.on_ranks(ranks, command(
                "wsirun", "eval", plan, "--checkpoint", self.folder / "run", "--slides",
                self.manifest, "--run-dir", self.folder / f"eval{ranks}", "--json"))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["slides"], 12)
        for name in ("predictions.csv", "roc.csv"):
            self.assertEqual((self.folder / "eval1" / name).read_bytes(),
                             (self.folder / "eval2" / name).read_bytes())

    def test_a_rank_dies(self):
        plan = self.plan(1, "--deterministic", "--optimizer", "momentum")
        options = ("--epochs", 10, "--checkpoint-steps", 3)
        whole = self.trained(2, plan, "whole", *options)
        process, ranks = self.start(2, plan, "parts", *options)
        self.assertEqual(len(ranks), 2)
        time.sleep(random.random() * 0.1)
        killed = random.randrange(2)
        os.kill(ranks[killed], signal.SIGKILL)
        process.communicate(timeout=30)
        self.assertNotEqual(process.returncode, 0)
        self.assert_gone(ranks)
        status = json.loads((self.folder / "parts" / "status.json").read_text())
        if not IS_MPICH or status["phase"] == "failed":  # Hydra kills all before they can tell.
            self.assert_failed("parts", killed, f"rank {killed} has ended")
        self.assertEqual(self.trained(2, plan, "parts", *options, "--resume", "auto"), whole)

    def assert_failed(self, name, rank, operation):
        status = json.loads((self.folder / name / "status.json").read_text())
        self.assertEqual((status["phase"], status.get("rank")), ("failed", rank), status)
        self.assertIn(operation, status["operation"])
        self.assertGreater(status["step"], 0)

    def test_a_rank_stalls(self):
        plan = self.plan(1)
        for stopped in (0, 2):
            name = f"run{stopped}"
            process, ranks = self.start(3, plan, name, "--epochs", 100000, "--comm-timeout", 1)
            os.kill(ranks[stopped], signal.SIGSTOP)
            began = time.monotonic()
            _, messages = process.communicate(timeout=30)
            self.assertLess(time.monotonic() - began, 11)  # The timeout and 10 s.
            self.assertEqual(process.returncode, PEER, messages)
            self.assert_gone(ranks)
            self.assertEqual(messages.count("--comm-timeout"), 1, messages)
            self.assert_failed(name, stopped, f"rank {stopped} did not take part within 1 s")
        done = self.on_ranks(2, self.train(plan, "run0", "--epochs", 1, "--resume", "auto"))
        self.assertEqual(done.returncode, 0, done.stderr)
        status = json.loads((self.folder / "run0" / "status.json").read_text())
        self.assertEqual(status["phase"], "finished")

    def test_a_rank_without_the_folder_fails(self):
        """It gives up first, for the others have longer; rank 0 hears of it and writes it down."""
        plan = self.plan(1)
        elsewhere = self.folder / "run" / "run.json" / "no-folder"
        process, ranks = self.start(
            1, plan, "run", "--epochs", 100000, ":", "-n", "1",
            *self.train(plan, elsewhere, "--epochs", 100000, "--comm-timeout", 1), ":", "-n", "1",
            *self.train(plan, "run", "--epochs", 100000))
        os.kill(ranks[2], signal.SIGSTOP)
        _, messages = process.communicate(timeout=30)
        self.assertEqual(process.returncode, PEER, messages)
        self.assert_gone(ranks)
        self.assert_failed("run", 2, "rank 2 did not take part within 1 s")

    def test_all_stop_together(self):
        plan = self.plan(1, "--deterministic", "--optimizer", "momentum")
        options = ("--epochs", 10)
        whole = self.trained(2, plan, "whole", *options)
        process, ranks = self.start(2, plan, "parts", *options)
        process.send_signal(signal.SIGUSR1)
        _, messages = process.communicate(timeout=30)
        # Hydra loses what its ranks end with once in a dozen signals, whatever they run: what each
        # of them ended with is below.
        self.assertIn(process.returncode, (PREEMPTED, 0) if IS_MPICH else (PREEMPTED,), messages)
        self.assertEqual(messages.count("--resume auto"), 1, messages)
        status = json.loads((self.folder / "parts" / "status.json").read_text())
        self.assertEqual(status["phase"], "preempted")
        self.assert_gone(ranks)
        self.assertEqual([(self.codes / str(rank)).read_text().strip() for rank in ranks],
                         [str(PREEMPTED)] * 2, messages)
        self.assertEqual(self.trained(2, plan, "parts", *options, "--resume", "auto"), whole)

    def test_ranks_start_alike(self):
        words = self.train(self.plan(1), "run")
        manifest = self.manifest.with_name("other.csv")
        manifest.write_text("\n".join(self.manifest.read_text().splitlines()[:-1]) + "\n")
        for others, message in (
                (self.train(self.plan(2), "run"), "another plan than"),
                ([str(manifest) if word == str(self.manifest) else word for word in words],
                 "another manifest than"),
                ([*words, "--epochs", "7"], "other options than"),
                ([*words[:2], "no.plan", *words[3:]], "no.plan")):
            done = self.on_ranks(1, [LAUNCHER, "-n", "1", *words, ":", "-n", "1",
                                     *map(str, others)])
            self.assertIn(done.returncode, (INVALID, IO), done.stderr)
            self.assertEqual(done.stderr.count("wsirun train:"), 1, done.stderr)
            self.assertRegex(done.stderr, f"rank 1.*{message}")
            self.assertFalse((self.folder / "run" / "events.jsonl").exists())

    @unittest.skipUnless(OTHER_VERSION, "no wsirun of another version")
    def test_ranks_are_of_one_version(self):
        plan = self.plan(1)
        train, bench = self.train(plan, "run"), command("wsirun", "bench", plan, "--steps", 1)
        for first, second in ((train, [OTHER_VERSION, *train[1:]]),
                              ([OTHER_VERSION, *bench[1:]], bench)):
            done = self.on_ranks(1, [LAUNCHER, "-n", "1", *first, ":", "-n", "1", *second])
            self.assertEqual(done.returncode, INVALID, done.stderr)
            self.assertEqual(done.stdout, "")
            self.assertEqual(done.stderr.count(f"wsirun {first[1]}:"), 1, done.stderr)
            self.assertIn("rank 1 has another version of wsirun than rank 0", done.stderr)
        self.assertFalse((self.folder / "run").exists())

    def test_weights_of_another_model_are_refused_once(self):
        self.trained(1, self.plan(1), "run")
        write_tiny_model(self.model, classes=3)
        other = self.plan(1, "--optimizer", "adam")
        for words in (command("wsirun", "eval", other, "--checkpoint", self.folder / "run",
                              "--slides", self.manifest, "--run-dir", self.folder / "eval"),
                      self.train(other, "new", "--checkpoint", self.folder / "run")):
            done = self.on_ranks(2, words)
            self.assertEqual(done.returncode, INVALID, done.stderr)
            self.assertEqual(done.stderr.count(f"wsirun {words[1]}:"), 1, done.stderr)
            self.assertIn("fc.weight", done.stderr)

    def test_another_models_run_is_not_gone_on_with(self):
        self.trained(1, self.plan(2), "run")
        adam = self.plan(1, "--optimizer", "adam")
        write_tiny_model(self.model, scale=2)
        model = self.plan(1, "--optimizer", "momentum")
        for plan in (adam, model):
            done = self.on_ranks(2, self.train(plan, "run", "--resume", "auto"))
            self.assertEqual(done.returncode, INVALID, done.stderr)
            self.assertEqual(done.stderr.count("begun with another model"), 1, done.stderr)

    def test_a_bad_slide_of_one_rank_is_told_once(self):
        plan = self.plan(1)
        (self.manifest.parent / "slide-0001.tif").write_bytes(b"no slide")
        names = [line.split(",")[2] for line in self.manifest.read_text().splitlines()]
        for name in names[2:6]:
            (self.manifest.parent / name).write_bytes(b"no slide")
        done = self.on_ranks(2, self.train(plan, "run"))
        self.assertEqual(done.returncode, INVALID, done.stderr)
        self.assertRegex(done.stderr, "wsirun train: rank [01]: slide ")
        self.assertEqual(done.stderr.count("wsirun train:"), 1, done.stderr)

    def test_synchronised_norm_has_one_rank_s_batch(self):
        plans = {}
        for name, options in (("one", ("--batch", 2)), ("own", ("--batch", 1)),
                              ("all", ("--batch", 1, "--sync-norm"))):
            plans[name] = self.folder / f"{name}.plan"
            self.succeed("wsic", "compile", self.model, "-o", plans[name], "--norm", "train",
                         "--optimizer", "momentum", "--learning-rate", "0.05", *options)
        self.trained(1, plans["one"], "one", "--epochs", 3)
        for name in ("own", "all"):
            self.trained(2, plans[name], name, "--epochs", 3)
        one, own, every = (read_safetensors(self.folder / name / "last.safetensors")
                           for name in ("one", "own", "all"))
        self.assertIn("bn.running_var", one)
        for key, weights in one.items():
            numpy.testing.assert_allclose(every[key], weights, rtol=1e-5, atol=1e-5, err_msg=key)
        # Without it statistics are those of rank 0's slides.
        self.assertGreater(abs(own["bn.running_mean"] - one["bn.running_mean"]).max(), 1e-3)
        losses = [[event["loss"] for event in read_events(self.folder / name, "step")]
                  for name in ("one", "all")]
        numpy.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)

    def test_synchronised_norm_wants_statistics(self):
        done = run("wsic", "compile", self.model, "-o", self.folder / "p.plan", "--norm", "frozen",
                   "--sync-norm")
        self.assertEqual(done.returncode, INVALID, done.stderr)
        self.assertIn("no batch norm is in training mode", done.stderr)

    def test_refusals_are_told_once(self):
        plan = self.plan(1)
        done = self.on_ranks(2, self.train(plan, "run", "--comm", "nccl"))
        self.assertEqual(done.returncode, USAGE, done.stderr)
        self.assertEqual(done.stderr.count("--comm nccl: the plan is for device 'cpu'"), 1,
                         done.stderr)
        words = [self.train(plan, "run", *options) for options in ((), ("--comm", "mpi"))]
        done = self.on_ranks(1, [LAUNCHER, "-n", "1", *words[0], ":", "-n", "1", *words[1]])
        self.assertEqual(done.returncode, INVALID, done.stderr)
        self.assertEqual(done.stderr.count("rank 1 has another --comm than rank 0"), 1, done.stderr)

    def test_ranks_without_a_gpu_say_so_once(self):
        if gpus():
            self.skipTest("this machine has a GPU")
        plan = self.plan(1, "--device", "cuda")
        done = self.on_ranks(2, self.train(plan, "run"))
        self.assertEqual(done.returncode, INVALID, done.stderr)
        self.assertEqual(done.stderr.count("device cuda: "), 1, done.stderr)
        self.assertIn(f"rank 0: host {os.uname().nodename}: device cuda: ", done.stderr)
        one = self.on_ranks(1, self.train(plan, "run"))
        self.assertEqual(one.returncode, DEVICE, one.stderr)

    def test_ranks_on_gpus_give_the_bits_of_accumulation(self):
        if not gpus():
            self.skipTest("this machine has no GPU")
        options = ("--device", "cuda", "--deterministic", "--optimizer", "adam")
        one = self.trained(1, self.plan(2, *options), "one", "--epochs", 3)
        refused = self.on_ranks(gpus() + 1, self.train(self.plan(1, *options), "refused"))
        self.assertEqual(refused.returncode, INVALID, refused.stderr)
        self.assertEqual(refused.stderr.count("would both compute on"), 1, refused.stderr)
        shared = self.trained(2, self.plan(1, *options), "shared", "--epochs", 3,
                              "--oversubscribe", "--comm", "mpi")
        self.assertEqual(one, shared)
        if gpus() > 1:
            self.assertEqual(one, self.trained(2, self.plan(1, *options), "own", "--epochs", 3,
                                               "--comm", "nccl"))
        else:
            print("one GPU: NCCL between two was not tested")

    def test_nproc_starts_the_ranks(self):
        plan = self.plan(1)
        done = run("wsirun", *self.train(plan, "run", "--nproc", 2)[1:])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(read_events(self.folder / "run", "start")[0]["ranks"], 2)


    def test_nproc_stops_the_ranks(self):
        plan = self.plan(1, "--deterministic", "--optimizer", "momentum")
        options = ("--epochs", 10, "--nproc", 2)
        whole = self.trained(1, plan, "whole", *options)
        for name, number in (("term", signal.SIGTERM), ("int", signal.SIGINT)):
            process = subprocess.Popen(self.train(plan, name, *options), text=True,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            self.addCleanup(process.stderr.close)
            self.addCleanup(process.kill)
            events = self.folder / name / "events.jsonl"
            while process.poll() is None and not (
                    events.exists() and '"event":"step"' in events.read_text(encoding="utf-8")):
                time.sleep(0.005)
            ranks = [child for child in children(process.pid) if is_rank(child)]
            self.assertEqual(len(ranks), 2)
            process.send_signal(number)
            _, messages = process.communicate(timeout=20)
            self.assertIn(process.returncode, (PREEMPTED, 0) if IS_MPICH else (PREEMPTED,), messages)
            self.assertEqual(messages.count("--resume auto"), 1, messages)
            self.assert_gone(ranks)
            self.assertEqual(self.trained(1, plan, name, *options, "--resume", "auto"), whole)


if __name__ == "__main__":
    unittest.main()
