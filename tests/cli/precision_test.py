"""Half precision from the command line."""
import json
import unittest

import numpy

from programs import USAGE, ProgramTest, read_events, read_safetensors


def cosine(a, b):
    a, b = a.astype(numpy.float64).ravel(), b.astype(numpy.float64).ravel()
    return a @ b / numpy.sqrt((a @ a) * (b @ b))


class Precision(ProgramTest):
    def gradients(self, model, precision):
        plan = self.folder / f"{precision}.plan"
        out = self.folder / f"{precision}.safetensors"
        self.succeed("wsic", "compile", self.folder / f"{model}.onnx", "-o", plan,
                     "--input-size", "64x64", "--precision", precision, "--force")
        self.assertEqual(json.loads(self.succeed("wsic", "show", plan, "--json").stdout)
                         ["precision"], precision)
        self.succeed("wsirun", "grad", plan, "--input", self.folder / "x.npy", "--target",
                     self.folder / "y.npy", "-o", out, "--threads", 2, "--force")
        return read_safetensors(out)

    def check_gradients(self, model):
        """Of every parameter: fp32 in any plan, and true ones although fp16 scales the loss."""
        random = numpy.random.default_rng(5)
        numpy.save(self.folder / "x.npy",
                   random.uniform(-1, 1, (1, 3, 64, 64)).astype(numpy.float32))
        numpy.save(self.folder / "y.npy", numpy.array([1]))
        self.succeed("wsi-model", model, "-o", self.folder / f"{model}.onnx", "--classes", 2,
                     "--norm", "frozen")
        exact = self.gradients(model, "fp32")
        for precision, least in (("fp16", 0.998), ("bf16", 0.97)):
            half = self.gradients(model, precision)
            self.assertEqual(half.keys(), exact.keys())
            for name, gradient in half.items():
                with self.subTest(model=model, precision=precision, name=name):
                    self.assertEqual(gradient.dtype, numpy.float32)
                    self.assertGreater(cosine(gradient, exact[name]), least)
                    norms = numpy.linalg.norm(gradient) / numpy.linalg.norm(exact[name])
                    self.assertAlmostEqual(norms, 1, delta=0.1)

    def test_gradients_of_a_resnet(self):
        self.check_gradients("resnet18")

    def test_an_overflow_skips_the_step_and_halves_the_scale(self):
        plan = self.compile_tiny("--precision", "fp16")
        manifest = self.make_slides(4, test_fraction=0)
        words = ("train", plan, "--slides", manifest, "--epochs", 6, "--threads", 1)
        run = self.folder / "run"
        self.succeed("wsirun", *words, "--run-dir", run, "--loss-scale", 2.0**22)
        scales = [skip["loss_scale"] for skip in read_events(run, "skip")]
        self.assertEqual(scales, [2.0**(22 - i) for i in range(len(scales))])
        steps = read_events(run, "step")
        self.assertGreater(len(scales), 1)
        self.assertGreater(len(steps), 1)
        self.assertEqual([step["step"] for step in steps], list(range(1, len(steps) + 1)))
        self.assertEqual(steps[-1]["loss_scale"], 2.0**(22 - len(scales)))

    def test_what_there_is_not(self):
        plan = self.compile_tiny("--precision", "bf16")
        model = self.folder / "tiny.onnx"
        self.fail_with(USAGE, "wsic", "compile", model, "-o", self.folder / "out.plan", "--device",
                       "reference", "--precision", "fp16", saying="computes in fp64")
        self.assertFalse((self.folder / "out.plan").exists())
        manifest = self.make_slides(4, test_fraction=0.5)
        done = self.folder / "run"
        self.fail_with(USAGE, "wsirun", "train", plan, "--slides", manifest, "--run-dir", done,
                       "--loss-scale", 1024, "--val-split", "test",
                       saying="the plan is bf16 and has no loss scaling")


if __name__ == "__main__":
    unittest.main()
