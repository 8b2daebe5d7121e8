"""Gradients of what importing takes apart, against formulas."""
import unittest

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

from programs import ProgramTest, read_safetensors


class ImportGradients(ProgramTest):
    def gradient(self, nodes, weight, shape, device, constants=()):
        """Of mean(y^2) by the weight w, where y, of `shape`, is what the nodes make of it."""
        count = int(numpy.prod(shape))
        nodes = [*nodes, helper.make_node("Reshape", ["z", "one_row"], ["r"]),
                 helper.make_node("Mul", ["r", "x"], ["y"])]
        rest = {"w": weight, "one_row": numpy.array([1, -1]), **dict(constants)}
        graph = helper.make_graph(
            nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, count])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, count])],
            [numpy_helper.from_array(tensor, name) for name, tensor in rest.items()])
        path = self.folder / "m.onnx"
        onnx.save(helper.make_model(graph, ir_version=8,
                                    opset_imports=[helper.make_opsetid("", 18)]), path)
        numpy.save(self.folder / "x.npy", numpy.ones((1, count), numpy.float32))
        numpy.save(self.folder / "t.npy", numpy.zeros((1, count), numpy.float32))
        plan, out = self.folder / "m.plan", self.folder / "g.safetensors"
        self.succeed("wsic", "compile", path, "-o", plan, "--loss", "mse", "--device", device,
                     "--force")
        self.succeed("wsirun", "grad", plan, "--input", self.folder / "x.npy", "--target",
                     self.folder / "t.npy", "-o", out, "--force")
        return read_safetensors(out)["w"]

    def check(self, expected, *arguments, **options):
        for device in ("reference", "cpu"):
            with self.subTest(device=device):
                found = self.gradient(*arguments, device, **options)
                numpy.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)

    def test_norms_of_rows_of_zeros_have_gradient_0(self):
        weight = numpy.random.default_rng(0).standard_normal((3, 4)).astype(numpy.float32)
        weight[1] = 0
        # y = |row|, so mean(y^2) = sum(w^2) / 3.
        self.check(2 / 3 * weight, [helper.make_node("ReduceL2", ["w", "axis"], ["z"])], weight,
                   (3, 1), constants={"axis": numpy.array([1])})

    def test_gather_nd_with_batch_axes(self):
        weight = numpy.random.default_rng(1).standard_normal((2, 3, 4)).astype(numpy.float32)
        index = numpy.array([[[2], [0], [2]], [[1], [1], [-2]]])  # [2, 3, 1]
        expected = numpy.zeros_like(weight)
        for batch in range(2):
            for (row,) in index[batch]:
                expected[batch, row] += 2 * weight[batch, row] / 24
        self.check(expected, [helper.make_node("GatherND", ["w", "index"], ["z"], batch_dims=1)],
                   weight, (2, 3, 4), constants={"index": index})

    def test_largest_of_a_window_by_its_index(self):
        weight = numpy.random.default_rng(2).permutation(32).reshape(1, 2, 4, 4)
        weight = weight.astype(numpy.float32)
        nodes = [helper.make_node("MaxPool", ["w"], ["pooled", "at"], kernel_shape=[2, 2],
                                  strides=[2, 2]),
                 helper.make_node("Reshape", ["w", "flat"], ["all"]),
                 helper.make_node("Reshape", ["at", "flat"], ["places"]),
                 helper.make_node("Gather", ["all", "places"], ["z"])]
        blocks = weight.reshape(1, 2, 2, 2, 2, 2)
        largest = blocks == blocks.max(axis=(3, 5), keepdims=True)
        self.check((2 / 8 * blocks * largest).reshape(weight.shape), nodes, weight, (8,),
                   constants={"flat": numpy.array([-1])})


if __name__ == "__main__":
    unittest.main()
