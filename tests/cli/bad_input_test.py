"""What is wrong with a model, a plan or a manifest ends in one line and changes no file."""
import json
import unittest

import numpy
from onnx import TensorProto, helper

from programs import (DEVICE, INVALID, IO, RESOURCES, USAGE, ProgramTest, edit_manifest, run,
                      save_model, write_tiny_model)


class BadModel(ProgramTest):
    def expect_rejected(self, model, saying, *options, code=INVALID):
        plan = self.folder / "out.plan"
        self.fail_with(code, "wsic", "compile", model, "-o", plan, *options, saying=saying)
        self.assertFalse(plan.exists())
        plan.write_text("an earlier plan")
        before = self.snapshot()
        self.fail_with(code, "wsic", "compile", model, "-o", plan, "--force", *options,
                       saying=saying)
        self.assertEqual(self.snapshot(), before)

    def test_missing(self):
        self.expect_rejected(self.folder / "none.onnx", "none.onnx")

    def test_truncated(self):
        path = self.folder / "tiny.onnx"
        write_tiny_model(path)
        whole = path.read_bytes()
        for share in (0, 0.1, 0.5, 0.9, 0.99):
            with self.subTest(share=share):
                path.write_bytes(whole[:int(len(whole) * share)])
                (self.folder / "out.plan").unlink(missing_ok=True)
                self.expect_rejected(path, "tiny.onnx")

    def test_unsupported_operators_are_all_listed(self):
        path = self.folder / "odd.onnx"
        nodes = [helper.make_node("Det", ["image"], ["a"], "first.det"),
                 helper.make_node("Relu", ["image"], ["b"], "fine"),
                 helper.make_node("Unique", ["b"], ["c"], "second.unique"),
                 helper.make_node("Mine", ["c"], ["scores"], "third.mine", domain="my.domain")]
        save_model(path, nodes, {}, [1, 3, 8, 8], None)
        done = run("wsic", "compile", path, "-o", self.folder / "out.plan")
        self.assertEqual(done.returncode, INVALID, done.stderr)
        for word in ("first.det", "Det", "second.unique", "Unique", "third.mine", "Mine"):
            self.assertIn(word, done.stderr)
        self.assertNotIn("fine", done.stderr)
        self.assertFalse((self.folder / "out.plan").exists())
        checked = run("wsic", "check", path, "--json")
        self.assertEqual(checked.returncode, INVALID)
        problems = json.loads(checked.stdout)["problems"]
        self.assertEqual({p["node"] for p in problems},
                         {"first.det", "second.unique", "third.mine"})
        for problem in problems:
            self.assertEqual(set(problem), {"node", "op", "message", "hint"})

    def test_shape_that_cannot_be_bound(self):
        path = self.folder / "free.onnx"
        nodes = [helper.make_node("Relu", ["image"], ["scores"], "relu")]
        save_model(path, nodes, {}, ["n", 3, "height", "width"], ["n", 3, "height", "width"])
        self.expect_rejected(path, "--input-size", "--loss", "none")

    def test_size_that_does_not_fit_the_weights(self):
        path = self.folder / "dense.onnx"
        nodes = [helper.make_node("Flatten", ["image"], ["f"], "flatten"),
                 helper.make_node("Gemm", ["f", "w"], ["scores"], "dense")]
        save_model(path, nodes, {"w": numpy.zeros((3 * 8 * 8, 2))}, [1, 3, "h", "w"], [1, 2])
        self.expect_rejected(path, "dense", "--input-size", "16x16")

    def test_external_data_outside_the_folder(self):
        inside = self.folder / "model"
        inside.mkdir()
        (self.folder / "weights.bin").write_bytes(bytes(4 * 3))
        for location in ("../weights.bin", str(self.folder / "weights.bin")):
            with self.subTest(location=location):
                tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3],
                                     data_location=TensorProto.EXTERNAL)
                tensor.external_data.add(key="location", value=location)
                graph = helper.make_graph(
                    [helper.make_node("Add", ["image", "w"], ["scores"], "add")], "external",
                    [helper.make_tensor_value_info("image", TensorProto.FLOAT, [2, 3])],
                    [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [2, 3])], [tensor])
                model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
                model.ir_version = 8
                path = inside / "m.onnx"
                path.write_bytes(model.SerializeToString())
                (self.folder / "out.plan").unlink(missing_ok=True)
                self.expect_rejected(path, "weights.bin", "--loss", "none")

    def test_sizes_that_are_none(self):
        path = self.folder / "tiny.onnx"
        write_tiny_model(path)
        for size in ("0x8", "8x", "-1x4", "axb", "99999999999999999999x1"):
            with self.subTest(size=size):
                self.fail_with(USAGE, "wsic", "compile", path, "-o", self.folder / "out.plan",
                               f"--input-size={size}", saying="--input-size")

    def test_what_this_build_cannot_do(self):
        path = self.folder / "tiny.onnx"
        write_tiny_model(path)
        self.fail_with(USAGE, "wsic", "compile", path, "-o", self.folder / "out.plan",
                       "--memory", "stream", saying="--memory")

    def test_graphs_of_a_device_that_has_none(self):
        self.fail_with(USAGE, "wsirun", "bench", self.compile_tiny(), "--cuda-graphs", "on",
                       saying=("--cuda-graphs", "cpu"))

    def test_a_gpu_that_is_not_there(self):
        path, plan = self.folder / "tiny.onnx", self.folder / "cuda.plan"
        write_tiny_model(path)
        self.succeed("wsic", "compile", path, "-o", plan, "--device", "cuda")
        said = json.loads(self.succeed("wsirun", "doctor", "--json").stdout)["cuda"]
        if "compute capability" in said:
            self.skipTest("this machine has a GPU")
        self.fail_with(DEVICE, "wsirun", "bench", plan, saying="cuda")

    def test_budgets_that_nothing_fits(self):
        path = self.folder / "tiny.onnx"
        write_tiny_model(path)
        out = self.folder / "out.plan"
        for option, saying in ((("--device-mem", "0"), "the smallest device that this step fits"),
                               (("--device-mem", "1KiB"), "the largest operator is"),
                               (("--device-mem", "100TiB"), "this machine has"),
                               (("--device-mem", "1GiB", "--host-mem", "100TiB"), "--host-mem"),
                               (("--memory", "resident", "--device-mem", "4KiB"), "does not fit")):
            with self.subTest(option=option):
                done = run("wsic", "compile", path, "-o", out, *option)
                self.assertEqual(done.returncode, RESOURCES, done.stderr)
                self.assertIn(saying, done.stderr)
                self.assertFalse(out.exists())

    def test_damaged_weights(self):
        path = self.folder / "tiny.onnx"
        write_tiny_model(path)
        weights = self.folder / "w.safetensors"
        weights.write_bytes(b"\xff" * 8 + b"{}")
        for arguments in (("compile", path, "--weights", weights, "-o", self.folder / "out.plan"),
                          ("export", path, "--weights", weights, "-o", self.folder / "out.onnx")):
            before = self.snapshot()
            self.fail_with(INVALID, "wsic", *arguments, saying="w.safetensors")
            self.assertEqual(self.snapshot(), before)


class BadPlan(ProgramTest):
    def setUp(self):
        super().setUp()
        self.plan = self.compile_tiny()
        self.whole = self.plan.read_bytes()

    def expect_rejected(self):
        self.fail_with(INVALID, "wsirun", "bench", self.plan, "--steps", 1, saying="tiny.plan")

    def test_flipped_bit(self):
        random = numpy.random.default_rng(1)
        for at in [0, 9, 60, *random.integers(0, len(self.whole), 20)]:
            with self.subTest(at=at):
                damaged = bytearray(self.whole)
                damaged[at] ^= 1 << int(random.integers(8))
                self.plan.write_bytes(damaged)
                self.expect_rejected()

    def test_cut_short(self):
        for share in (0, 0.01, 0.5, 0.999):
            with self.subTest(share=share):
                self.plan.write_bytes(self.whole[:int(len(self.whole) * share)])
                self.expect_rejected()

    def test_missing(self):
        self.fail_with(IO, "wsirun", "bench", self.folder / "none.plan", saying="none.plan")

    def test_shown_as_rejected_too(self):
        self.plan.write_bytes(self.whole[:-1])
        self.fail_with(INVALID, "wsic", "show", self.plan, saying="tiny.plan")

    def test_arrays_of_another_shape(self):
        numpy.save(self.folder / "x.npy", numpy.zeros((1, 3, 32, 31), numpy.float32))
        before = self.snapshot()
        self.fail_with(INVALID, "wsirun", "infer", self.plan, "--input", self.folder / "x.npy",
                       "-o", self.folder / "y.npy", saying=("x.npy", "[1,3,32,31]"))
        self.assertEqual(self.snapshot(), before)


class BadManifest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.plan = self.compile_tiny()
        self.manifest = self.make_slides(4, test_fraction=0.5)

    def expect_rejected(self, saying):
        line = self.fail_with(INVALID, "wsirun", "train", self.plan, "--slides", self.manifest,
                              "--run-dir", self.folder / "run", saying=saying)
        self.assertIn("slides.csv", line)
        self.assertFalse((self.folder / "run" / "run.json").exists())

    def test_unknown_label(self):
        self.succeed("wsirun", "train", self.plan, "--slides", self.manifest, "--run-dir",
                     self.folder / "trained")
        edit_manifest(self.manifest, lambda rows: rows[2].update(label="strange"))
        self.fail_with(INVALID, "wsirun", "eval", self.plan, "--checkpoint",
                       self.folder / "trained", "--slides", self.manifest,
                       saying=("slides.csv", "strange"))

    def test_more_classes_than_scores(self):
        edit_manifest(self.manifest, lambda rows: rows[2].update(label="third"))
        self.expect_rejected("3 classes")

    def test_duplicate(self):
        edit_manifest(self.manifest, lambda rows: rows[1].update(slide_id=rows[0]["slide_id"]))
        self.expect_rejected("slide-0000")

    def test_missing_file(self):
        edit_manifest(self.manifest, lambda rows: rows[3].update(path="nowhere.tiff"))
        self.expect_rejected("nowhere.tiff")

    def test_missing_manifest(self):
        self.fail_with(IO, "wsirun", "train", self.plan, "--slides", self.folder / "none.csv",
                       "--run-dir", self.folder / "run", saying="none.csv")

    def test_unknown_split(self):
        edit_manifest(self.manifest, lambda rows: rows[0].update(split="sometimes"))
        self.expect_rejected("sometimes")


if __name__ == "__main__":
    unittest.main()
