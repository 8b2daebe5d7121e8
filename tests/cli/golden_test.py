"""Gradients of PyTorch's models against those that PyTorch computed in fp64."""
import json
import subprocess
import sys
import unittest

from programs import DATA, ProgramTest

GOLDENS = DATA / "goldens"


class Golden(ProgramTest):
    def golden(self, *arguments):
        done = subprocess.run([sys.executable, str(GOLDENS / "golden.py"), *map(str, arguments)],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def check(self, name, device, *check_options):
        if not GOLDENS.exists():
            self.skipTest(f"{GOLDENS} is missing; set WSI_TEST_DATA to the folder of test data")
        for exporter in ("ts17", "dy20"):
            with self.subTest(exporter=exporter):
                out = self.folder / exporter
                self.golden("rebuild", GOLDENS / f"{name}.{exporter}.onnx", out)
                self.succeed("wsic", "compile", out / "model.onnx", "-o", out / "m.plan",
                             "--norm", "train", "--device", device)
                done = self.succeed("wsirun", "grad", out / "m.plan", "--input", out / "x.npy",
                                    "--target", out / "y.npy", "-o", out / "g.safetensors",
                                    "--threads", 2, "--json")
                said = self.golden("check", GOLDENS / f"{name}.json", out / "g.safetensors",
                                   "--loss", json.loads(done.stdout)["loss"], *check_options)
                self.assertRegex(said, r"(\d+) of \1 gradients agree")

    def test_resnet18(self):
        self.check("resnet18", "cpu")

    def test_vgg11_bn(self):
        self.check("vgg11_bn", "cpu")

    def test_mobilenet_v2(self):
        self.check("mobilenet_v2", "cpu")

    def test_unet_norms(self):
        self.check("unet_norms", "cpu")

    def test_vit_tiny(self):
        self.check("vit_tiny", "cpu")

    def test_unet_norms_reference(self):
        self.check("unet_norms", "reference", "--rtol", "1e-6")

    def test_vit_tiny_reference(self):
        self.check("vit_tiny", "reference", "--rtol", "1e-6")

    def test_resnet18_reference(self):
        self.check("resnet18", "reference", "--rtol", "1e-6")

    def test_vgg11_bn_reference(self):
        self.check("vgg11_bn", "reference", "--rtol", "1e-6")

    def test_mobilenet_v2_reference(self):
        self.check("mobilenet_v2", "reference", "--rtol", "1e-6")


if __name__ == "__main__":
    unittest.main()
