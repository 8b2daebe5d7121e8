"""Help, outputs that exist, JSON, exported models, sizes and times."""
import json
import math
import os
import resource
import unittest

import numpy
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from programs import (DIFFERENCE, INVALID, IO, RESOURCES, USAGE, ProgramTest, edit_manifest,
                      read_events, read_safetensors, run)

MIB = 1 << 20


def evaluate(model, x):
    """The model's output by ONNX's own implementation."""
    return ReferenceEvaluator(model).run(None, {model.graph.input[0].name: x})[0]


class Help(ProgramTest):
    def test_every_command_has_help(self):
        programs = {"wsi-model": [()],
                    "wsic": [(), ("compile",), ("check",), ("show",), ("opt",), ("ops",),
                             ("export",)],
                    "wsirun": [(), ("train",), ("eval",), ("predict",), ("grad",), ("infer",),
                               ("bench",), ("doctor",), ("slides",), ("slides", "make"),
                               ("slides", "scan"), ("slides", "verify"), ("slides", "info")]}
        for program, commands in programs.items():
            for words in commands:
                with self.subTest(program=program, words=words):
                    done = self.succeed(program, *words, "--help")
                    self.assertIn("Usage", done.stdout)
                    self.assertEqual(done.stderr, "")

    def test_a_wrong_command_line_is_usage(self):
        for program, *words in (["wsic"], ["wsic", "fly"], ["wsic", "compile"], ["wsirun"],
                                ["wsirun", "bench", "x.plan", "--steps", "-1"],
                                ["wsirun", "slides"], ["wsi-model"],
                                ["wsi-model", "resnet18", "-o", "x", "--fast"],
                                ["wsi-model", "resnet17", "-o", str(self.folder / "x")]):
            with self.subTest(program=program, words=words):
                self.assertEqual(run(program, *words).returncode, USAGE)


class Outputs(ProgramTest):
    def test_existing_ones_need_force(self):
        plan = self.compile_tiny()
        model = self.folder / "tiny.onnx"
        manifest = self.make_slides(2, test_fraction=0)
        self.succeed("wsirun", "train", plan, "--slides", manifest, "--run-dir",
                     self.folder / "run")
        weights = self.folder / "run" / "last.safetensors"
        numpy.save(self.folder / "x.npy", numpy.zeros((1, 3, 32, 32), numpy.float32))
        numpy.save(self.folder / "y.npy", numpy.zeros(1, numpy.int64))
        out = self.folder / "out"
        (self.folder / "eval").mkdir()
        predictions = self.folder / "eval" / "predictions.csv"
        writing = [
            (out, "wsi-model", "resnet18", "-o", out),
            (out, "wsic", "compile", model, "-o", out),
            (out, "wsic", "export", model, "--weights", weights, "-o", out),
            (out, "wsirun", "grad", plan, "--input", self.folder / "x.npy", "--target",
             self.folder / "y.npy", "-o", out),
            (out, "wsirun", "infer", plan, "--input", self.folder / "x.npy", "-o", out),
            (out, "wsirun", "predict", plan, "--slides", manifest, "-o", out),
            (out, "wsirun", "slides", "scan", self.folder / "slides", "-o", out),
            (predictions, "wsirun", "eval", plan, "--slides", manifest, "--run-dir",
             self.folder / "eval"),
            (manifest, "wsirun", "slides", "make", "-o", self.folder / "slides", "--count", 2,
             "--size", 256),
        ]
        for path, program, *words in writing:
            with self.subTest(words=words[:2]):
                earlier = path.read_bytes() if path == manifest else b"an earlier file"
                path.write_bytes(earlier)
                before = self.snapshot()
                self.fail_with(USAGE, program, *words, saying=("--force", path.name))
                self.assertEqual(self.snapshot(), before)
                self.succeed(program, *words, "--force")
                self.assertNotEqual(path.read_bytes(), b"an earlier file")

    def test_a_folder_that_is_missing(self):
        self.compile_tiny()
        done = run("wsic", "compile", self.folder / "tiny.onnx", "-o",
                   self.folder / "no" / "out.plan")
        self.assertEqual(done.returncode, IO)
        self.assertIn("out.plan", done.stderr.splitlines()[-1])


class Json(ProgramTest):
    def test_compile(self):
        self.compile_tiny()
        words = ("compile", self.folder / "tiny.onnx", "--json", "-o", self.folder / "out.plan")
        planned = json.loads(self.succeed("wsic", *words).stdout)
        for key in ("device_peak_bytes", "host_peak_bytes", "file_peak_bytes",
                    "copied_bytes_per_step", "predicted_step_ms"):
            self.assertIn(key, planned)
        self.assertGreater(planned["device_peak_bytes"], 0)
        self.assertNotIn("smallest_device_mem_bytes", planned)
        (self.folder / "out.plan").unlink()
        done = run("wsic", *words, "--device-mem", "1KiB")
        self.assertEqual(done.returncode, RESOURCES)
        self.assertIn("does not fit", done.stderr)
        smallest = json.loads(done.stdout)["smallest_device_mem_bytes"]
        self.assertLessEqual(smallest, planned["device_peak_bytes"])
        self.assertFalse((self.folder / "out.plan").exists())
        tight = json.loads(self.succeed("wsic", *words, "--device-mem", f"{smallest}B").stdout)
        self.assertLessEqual(tight["device_peak_bytes"], smallest)
        below = run("wsic", *words, "--force", "--device-mem", f"{smallest * 95 // 100}B")
        self.assertEqual(below.returncode, RESOURCES)

    def test_managed_memory_gives_the_gradients_of_offload(self):
        self.compile_tiny()
        words = ("compile", self.folder / "tiny.onnx", "--json", "--force", "--norm", "train",
                 "--no-recompute", "-o", self.folder / "out.plan")
        done = run("wsic", *words, "--device-mem", "1KiB")
        budget = f"{json.loads(done.stdout)['smallest_device_mem_bytes']}B"
        numpy.save(self.folder / "x.npy",
                   numpy.linspace(-1, 1, 3072, dtype=numpy.float32).reshape(1, 3, 32, 32))
        numpy.save(self.folder / "y.npy", numpy.array([1]))
        gradients = []
        for memory in ("offload", "managed"):
            planned = json.loads(self.succeed("wsic", *words, "--memory", memory, "--device-mem",
                                              budget).stdout)
            self.assertGreater(planned["copied_bytes_per_step"], 0)
            path = self.folder / f"{memory}.safetensors"
            self.succeed("wsirun", "grad", self.folder / "out.plan", "--input",
                         self.folder / "x.npy", "--target", self.folder / "y.npy", "-o", path)
            gradients.append(path.read_bytes())
        self.assertEqual(*gradients)

    def test_check_and_show(self):
        plan = self.compile_tiny()
        checked = self.succeed("wsic", "check", self.folder / "tiny.onnx", "--json")
        self.assertEqual(json.loads(checked.stdout), {"problems": []})
        self.assertIn("programs", json.loads(self.succeed("wsic", "show", plan, "--json").stdout))

    def test_running(self):
        plan = self.compile_tiny()
        bench = json.loads(self.succeed("wsirun", "bench", plan, "--steps", 2, "--json",
                                        "--ops").stdout)
        for key in ("step_ms_median", "device_peak_bytes", "planned_device_peak_bytes"):
            self.assertGreater(bench[key], 0, key)
        self.assertGreater(len(bench["ops"]), 3)
        for op in bench["ops"]:
            self.assertGreater(op["predicted_ms"], 0, op["op"])
            self.assertGreater(op["launches"], 0, op["op"])
        self.assertEqual(bench["device_arena_bytes"], bench["device_peak_bytes"])
        self.assertIn("usable_cores", json.loads(self.succeed("wsirun", "doctor", "--json").stdout))
        manifest = self.make_slides(4, test_fraction=0)
        result = json.loads(self.succeed("wsirun", "eval", plan, "--slides", manifest,
                                         "--json").stdout)
        for key in ("auc", "auc_ci_low", "auc_ci_high", "accuracy"):
            self.assertGreaterEqual(result[key], 0, key)
            self.assertLessEqual(result[key], 1, key)
        numpy.save(self.folder / "x.npy", numpy.zeros((1, 3, 32, 32), numpy.float32))
        numpy.save(self.folder / "y.npy", numpy.zeros(1, numpy.int64))
        grad = self.succeed("wsirun", "grad", plan, "--input", self.folder / "x.npy", "--target",
                            self.folder / "y.npy", "-o", self.folder / "g.safetensors", "--json")
        self.assertGreater(json.loads(grad.stdout)["loss"], 0)
        self.assertEqual(read_safetensors(self.folder / "g.safetensors")["conv.weight"].shape,
                         (8, 3, 3, 3))


class Slides(ProgramTest):
    def test_exit_codes(self):
        manifest = self.make_slides(2, test_fraction=0)
        slide = self.folder / "slides" / "slide-0001.tiff"
        info = json.loads(self.succeed("wsirun", "slides", "info", slide, "--json").stdout)
        self.assertEqual((info["width"], info["height"]), (256, 256))
        verified = self.succeed("wsirun", "slides", "verify", manifest, "--json")
        self.assertEqual(json.loads(verified.stdout)["findings"], [])
        scanned = self.succeed("wsirun", "slides", "scan", self.folder / "slides", "-o",
                               self.folder / "scan.csv", "--json")
        self.assertEqual(json.loads(scanned.stdout)["slides"], 2)
        edit_manifest(manifest, lambda rows: rows[0].update(hash="0" * 32))
        self.assertEqual(run("wsirun", "slides", "verify", manifest).returncode, DIFFERENCE)
        slide.write_bytes(slide.read_bytes()[:200])
        self.assertEqual(run("wsirun", "slides", "verify", manifest).returncode, INVALID)
        self.fail_with(INVALID, "wsirun", "slides", "info", slide, saying="slide-0001.tiff")
        self.fail_with(IO, "wsirun", "slides", "info", self.folder / "none.tiff",
                       saying="none.tiff")
        self.fail_with(IO, "wsirun", "slides", "scan", self.folder / "none", "-o",
                       self.folder / "other.csv", saying="none")
        (self.folder / "empty").mkdir()
        self.fail_with(INVALID, "wsirun", "slides", "scan", self.folder / "empty", "-o",
                       self.folder / "other.csv", saying="empty")
        self.assertFalse((self.folder / "other.csv").exists())


class Export(ProgramTest):
    def infer(self, model, *options):
        plan = model.with_suffix(".infer.plan")
        self.succeed("wsic", "compile", model, "-o", plan, "--loss", "none", *options)
        out = model.with_suffix(".npy")
        self.succeed("wsirun", "infer", plan, "--input", self.folder / "x.npy", "-o", out)
        return numpy.load(out)

    def test_a_trained_model_is_the_same_as_onnx(self):
        model = self.folder / "net.onnx"
        size = ("--input-size", "64x64")
        self.succeed("wsi-model", "resnet18", "-o", model, "--classes", 2, *size)
        plan = self.folder / "net.plan"
        self.succeed("wsic", "compile", model, "-o", plan, "--optimizer", "momentum")
        manifest = self.make_slides(2, test_fraction=0)
        self.succeed("wsirun", "train", plan, "--slides", manifest, "--run-dir",
                     self.folder / "run", "--epochs", 2, "--keep", 1)
        trained = self.folder / "trained.onnx"
        self.succeed("wsic", "export", model, "--weights", self.folder / "run", "-o", trained)
        x = numpy.random.default_rng(2).standard_normal((1, 3, 64, 64)).astype(numpy.float32)
        numpy.save(self.folder / "x.npy", x)
        out = self.folder / "direct.npy"
        self.succeed("wsirun", "infer", plan, "--checkpoint", self.folder / "run", "--input",
                     self.folder / "x.npy", "-o", out)
        direct = numpy.load(out)
        numpy.testing.assert_allclose(self.infer(trained), direct, rtol=1e-4, atol=1e-4)
        self.assertGreater(numpy.abs(self.infer(model) - direct).max(), 1e-2)  # It did train.
        evaluated = evaluate(onnx.load(str(trained)), x)
        numpy.testing.assert_allclose(evaluated, direct, rtol=1e-3, atol=1e-3)
        weights = read_safetensors(self.folder / "run" / "best.safetensors")
        initializers = {tensor.name: numpy_helper.to_array(tensor)
                        for tensor in onnx.load(str(model)).graph.initializer}
        floats = {name for name, value in initializers.items() if value.dtype == numpy.float32}
        self.assertLessEqual(set(weights), floats)
        self.assertGreater(len(weights), 100)  # Weights, affine numbers and statistics.
        for name, value in weights.items():
            self.assertEqual(value.shape, initializers[name].shape, name)


class Norms(ProgramTest):
    def test_every_norm_trains_a_step(self):
        manifest = self.make_slides(2, test_fraction=0)
        for norm in ("batch", "frozen", "fixup", "group", "none"):
            with self.subTest(norm=norm):
                model, plan = self.folder / f"{norm}.onnx", self.folder / f"{norm}.plan"
                self.succeed("wsi-model", "resnet18", "-o", model, "--norm", norm, "--classes", 2)
                self.succeed("wsic", "compile", model, "-o", plan, "--input-size", "64x64")
                run_folder = self.folder / norm
                self.succeed("wsirun", "train", plan, "--slides", manifest, "--run-dir",
                             run_folder, "--max-steps", 1, "--learning-rate", 0.001)
                steps = read_events(run_folder, "step")
                self.assertEqual(len(steps), 1)
                self.assertTrue(math.isfinite(steps[0]["loss"]))


class Sizes(ProgramTest):
    def setUp(self):
        super().setUp()
        if os.environ.get("WSI_SANITIZE"):
            self.skipTest("sanitizers take memory and time of their own")

    def test_memory_is_what_was_planned(self):
        model, plan = self.folder / "net.onnx", self.folder / "net.plan"
        self.succeed("wsi-model", "resnet18", "-o", model)
        self.succeed("wsic", "compile", model, "-o", plan, "--input-size", "512x512",
                     "--optimizer", "momentum")
        bench = json.loads(self.succeed("wsirun", "bench", plan, "--steps", 2, "--warmup", 1,
                                        "--threads", 2, "--json").stdout)
        self.assertEqual(bench["device_peak_bytes"], bench["planned_device_peak_bytes"])
        self.assertLess(bench["resident_peak_bytes"],
                        bench["planned_device_peak_bytes"] + bench["weight_bytes"] + 300 * MIB)
        # The step did use the arena.
        self.assertGreater(bench["resident_peak_bytes"], bench["planned_device_peak_bytes"] / 2)

    def test_resnet152_compiles_in_three_seconds(self):
        model = self.folder / "net.onnx"
        self.succeed("wsi-model", "resnet152", "-o", model)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.succeed("wsic", "compile", model, "-o", self.folder / "net.plan", "--input-size",
                     "512x512", "--optimizer", "momentum")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Processor time: this machine may have more to do.
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.assertLess(seconds, 3)


if __name__ == "__main__":
    unittest.main()
