"""Training as its users see it: stopped, resumed, on a full disk, with bad slides."""
import csv
import json
import os
import signal
import subprocess
import time
import unittest

import numpy
from onnx import helper
from programs import (DATA, INVALID, PREEMPTED, RESOURCES, USAGE, ProgramTest, command,
                      edit_manifest, read_events, read_safetensors, run, save_model)

FULL_DISK = os.environ["WSI_FULL_DISK"]  # The library that lets checkpoints fill a disk.


class Training(ProgramTest):
    def setUp(self):
        super().setUp()
        self.manifest = self.make_slides(4, test_fraction=0.5)
        self.plan = self.compile_tiny("--optimizer", "momentum", dropout=True)

    def train(self, name, *options, threads=1):
        return ["train", self.plan, "--slides", self.manifest, "--run-dir", self.folder / name,
                "--val-split", "test", "--threads", threads, *options]

    def last_weights(self, name):
        return (self.folder / name / "last.safetensors").read_bytes()

    def test_sigterm_saves_and_resuming_changes_nothing(self):
        options = ("--epochs", 100, "--seed", 3, "--augment", "rotations")
        self.succeed("wsirun", *self.train("whole", *options))
        process = subprocess.Popen(command("wsirun", *self.train("parts", *options)),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        events = self.folder / "parts" / "events.jsonl"
        while process.poll() is None and not (
                events.exists() and '"event":"step"' in events.read_text(encoding="utf-8")):
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
        _, messages = process.communicate(timeout=60)
        self.assertEqual(process.returncode, PREEMPTED, messages)
        self.assertIn("--resume auto", messages.splitlines()[-1])
        self.assertTrue((self.folder / "parts" / "checkpoints" / "LATEST").exists())
        status = json.loads((self.folder / "parts" / "status.json").read_text())
        self.assertEqual(status["phase"], "preempted")
        self.assertLess(status["step"], 200)
        self.succeed("wsirun", *self.train("parts", *options, "--resume", "auto"))
        self.assertEqual(self.last_weights("parts"), self.last_weights("whole"))
        self.assertEqual(len(read_events(self.folder / "parts", "step")), 200)

    def test_two_threads_give_the_same_bits(self):
        self.succeed("wsirun", *self.train("one", "--epochs", 2))
        self.succeed("wsirun", *self.train("two", "--epochs", 2, "--loader-threads", 2,
                                           threads=2))
        self.assertEqual(self.last_weights("one"), self.last_weights("two"))
        self.succeed("wsirun", *self.train("other", "--epochs", 2, "--seed", 1))
        self.assertNotEqual(self.last_weights("one"), self.last_weights("other"))

    def test_a_full_disk_leaves_the_earlier_checkpoint(self):
        options = ("--epochs", 4, "--keep", 9)
        self.succeed("wsirun", *self.train("whole", *options))
        environment = dict(os.environ, LD_PRELOAD=FULL_DISK, WSI_DISK_BYTES="9000",
                           ASAN_OPTIONS="verify_asan_link_order=0")
        done = run("wsirun", *self.train("full", *options), env=environment)
        self.assertEqual(done.returncode, RESOURCES, done.stderr)
        self.assertIn("No space left on device", done.stderr.splitlines()[-1])
        checkpoints = self.folder / "full" / "checkpoints"
        latest = (checkpoints / "LATEST").read_text().strip()
        self.assertEqual({path.name for path in checkpoints.iterdir()} - {"LATEST"},
                         {f"step-{2 * epoch}" for epoch in range(1, int(latest[5:]) // 2 + 1)})
        self.succeed("wsirun", *self.train("full", *options, "--resume", "auto"))
        self.assertEqual(self.last_weights("full"), self.last_weights("whole"))

    def test_a_damaged_checkpoint_is_refused(self):
        self.succeed("wsirun", *self.train("run"))
        path = self.folder / "run" / "checkpoints" / "step-2" / "optimizer.safetensors"
        damaged = bytearray(path.read_bytes())
        damaged[-1] ^= 1
        path.write_bytes(damaged)
        self.fail_with(INVALID, "wsirun", *self.train("run", "--resume", "auto", "--epochs", 2),
                       saying="optimizer.safetensors")

    def test_a_run_is_not_overwritten_unasked(self):
        self.succeed("wsirun", *self.train("run"))
        before = self.snapshot()
        self.fail_with(USAGE, "wsirun", *self.train("run"), saying="--force")
        self.assertEqual(self.snapshot(), before)
        self.succeed("wsirun", *self.train("run", "--force", "--seed", 1))
        self.assertNotEqual(self.snapshot(), before)

    def test_another_models_run_is_not_resumed(self):
        self.succeed("wsirun", *self.train("run"))
        self.plan = self.compile_tiny("--optimizer", "adam", dropout=True)
        before = self.snapshot()
        self.fail_with(INVALID, "wsirun", *self.train("run", "--resume", "auto"),
                       saying=("momentum", "adam"))
        self.assertEqual(self.snapshot(), before)

    def test_a_loss_that_is_not_finite(self):
        done = run("wsirun", *self.train("run", "--learning-rate", 1e38, "--epochs", 9))
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertRegex(done.stderr.splitlines()[-1], "step [0-9]+.*slide")

    def test_eval_prints_auc_and_writes_predictions(self):
        self.succeed("wsirun", *self.train("run"))
        done = self.succeed("wsirun", "eval", self.plan, "--checkpoint", self.folder / "run",
                            "--slides", self.manifest, "--run-dir", self.folder / "eval")
        self.assertRegex(done.stdout, r"4 slides: accuracy [01]\.\d+, AUC [01]\.\d+ \(95 % CI "
                                      r"[01]\.\d+ to [01]\.\d+\)")
        with open(self.folder / "eval" / "predictions.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([row["slide_id"] for row in rows],
                         [f"slide-{i:04}" for i in range(4)])
        for row in rows:
            p = float(row["p_normal"]), float(row["p_tumor"])
            self.assertAlmostEqual(sum(p), 1, places=6)
            self.assertEqual(row["predicted"], "normal" if p[0] >= p[1] else "tumor")
        self.assertTrue((self.folder / "eval" / "roc.csv").exists())
        self.succeed("wsirun", "predict", self.plan, "--checkpoint", self.folder / "run",
                     "--slides", self.manifest, "-o", self.folder / "p.csv")
        with open(self.folder / "p.csv", encoding="utf-8") as file:
            self.assertEqual([row["p_tumor"] for row in csv.DictReader(file)],
                             [row["p_tumor"] for row in rows])

    def add_slide(self, path):
        edit_manifest(self.manifest, lambda rows: rows.append(dict(
            rows[0], slide_id="bad", case_id="bad", path=str(path), hash="")))

    def check_bad_slide(self, path):
        self.add_slide(path)
        done = run("wsirun", *self.train("run"))
        self.assertEqual(done.returncode, INVALID, done.stderr)
        self.assertIn("slide bad", done.stderr.splitlines()[-1])
        done = self.succeed("wsirun", *self.train("skipping", "--on-bad-slide", "skip"))
        self.assertEqual(len(read_events(self.folder / "skipping", "step")), 2)
        skipped = [line for line in done.stderr.splitlines() if "slide bad" in line]
        self.assertEqual(len(skipped), 1, done.stderr)
        self.assertEqual(skipped[0].count("skipped"), 1)
        weights = self.folder / "skipping"
        self.fail_with(INVALID, "wsirun", "eval", self.plan, "--checkpoint", weights, "--slides",
                       self.manifest, saying="slide bad")
        done = self.succeed("wsirun", "eval", self.plan, "--checkpoint", weights, "--slides",
                            self.manifest, "--on-bad-slide", "skip", "--json")
        self.assertEqual(json.loads(done.stdout)["slides"], 4)

    def test_a_slide_that_is_none(self):
        path = self.folder / "bad.tiff"
        path.write_bytes(b"II*\0" + bytes(100))
        self.check_bad_slide(path)

    def test_a_slide_that_opens_but_cannot_be_read(self):
        path = DATA / "slides" / "unreadable.svs"
        if not path.exists():
            self.skipTest(f"{path} is missing; set WSI_TEST_DATA to the folder of test data")
        self.check_bad_slide(path.resolve())

    def test_weights_have_onnx_names_and_shapes(self):
        self.succeed("wsirun", *self.train("run"))
        shapes = {name: value.shape for name, value in
                  read_safetensors(self.folder / "run" / "best.safetensors").items()}
        self.assertEqual(shapes, {
            "conv.weight": (8, 3, 3, 3), "bn.weight": (8,), "bn.bias": (8,),
            "bn.running_mean": (8,), "bn.running_var": (8,), "fc.weight": (2, 8),
            "fc.bias": (2,)})

    def test_accumulation_in_little_memory_gives_the_same_weights(self):
        """Accumulators and moments live on the host; each is reset behind its update."""
        random = numpy.random.default_rng(5)
        weights = {"conv.weight": random.standard_normal((3, 3, 1, 1)),
                   "in.weight": random.standard_normal((256, 3072)) * 0.02,
                   "in.bias": numpy.zeros(256), "mid.weight": random.standard_normal((256, 256)) * 0.1,
                   "out.weight": random.standard_normal((2, 256)) * 0.1, "out.bias": numpy.zeros(2)}
        nodes = [helper.make_node("Conv", ["image", "conv.weight"], ["i"], "conv"),
                 helper.make_node("Flatten", ["i"], ["f"], "flatten"),
                 helper.make_node("Gemm", ["f", "in.weight", "in.bias"], ["a"], "in", transB=1),
                 helper.make_node("Relu", ["a"], ["b"], "relu"),
                 helper.make_node("Gemm", ["b", "mid.weight"], ["c"], "mid", transB=1),
                 helper.make_node("Gemm", ["c", "out.weight", "out.bias"], ["scores"], "out",
                                  transB=1)]
        model = self.folder / "wide.onnx"
        save_model(model, nodes, weights, [1, 3, 32, 32], [1, 2])
        for precision in ("fp32", "fp16"):
            results = []
            for memory in (("--memory", "resident"), ("--device-mem", "14MiB")):
                plan = self.folder / "wide.plan"
                done = self.succeed("wsic", "compile", model, "-o", plan, "--accumulate", 2,
                                    "--optimizer", "adam", "--deterministic", "--precision",
                                    precision, *memory, "--force", "--json")
                self.assertEqual(json.loads(done.stdout)["host_peak_bytes"] > 0,
                                 memory[0] == "--device-mem")
                self.succeed("wsirun", "train", plan, "--slides", self.manifest, "--run-dir",
                             self.folder / "run", "--val-split", "test", "--epochs", 3, "--force")
                results.append(read_safetensors(self.folder / "run" / "last.safetensors"))
            for name, resident in results[0].items():
                self.assertEqual(resident.tobytes(), results[1][name].tobytes(), name)


if __name__ == "__main__":
    unittest.main()
