"""Nodes that ask for what there is not: the message names node, attribute, value and what is
allowed, and the exit code is 3."""
import unittest

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

from programs import INVALID, ProgramTest

IMAGE = [1, 4, 8, 8]
FLOATS = TensorProto.FLOAT


def weight(*shape):
    return numpy.ones(shape, numpy.float32)


def ints(*values):
    return numpy.array(values, numpy.int64)


class Case:
    """One node named `bad.node` that reads x and the constants `rest`, each an array, a shape of
    a further input, or None where it is absent."""

    def __init__(self, says, op, *rest, x=IMAGE, x_type=FLOATS, opset=22, outputs=1, folds=None,
                 **attributes):
        self.says = says if isinstance(says, tuple) else (says,)
        self.op, self.rest, self.x, self.x_type = op, rest, x, x_type
        self.opset, self.outputs, self.attributes = opset, outputs, attributes
        self.folds = folds  # In place of x, a constant.

    def write(self, path):
        inputs = [helper.make_tensor_value_info("x", self.x_type, self.x)]
        constants = []
        names = ["x"]
        if self.folds is not None:
            names = ["known"]
            constants.append(numpy_helper.from_array(numpy.asarray(self.folds), "known"))
        for i, operand in enumerate(self.rest):
            names.append("" if operand is None else f"operand{i}")
            if isinstance(operand, numpy.ndarray):
                constants.append(numpy_helper.from_array(operand, names[-1]))
            elif isinstance(operand, list):
                inputs.append(helper.make_tensor_value_info(names[-1], FLOATS, operand))
        outputs = [f"y{i}" for i in range(self.outputs)]
        node = helper.make_node(self.op, names, outputs, "bad.node", **self.attributes)
        graph = helper.make_graph(
            [node], "g", inputs,
            [helper.make_tensor_value_info(name, FLOATS, None) for name in outputs], constants)
        onnx.save(helper.make_model(graph, ir_version=8,
                                    opset_imports=[helper.make_opsetid("", self.opset)]), path)


def window(op):
    """Cases that operators with a window share; Conv has its kernel from the weight."""
    conv = op.startswith("Conv")
    rest = [weight(4, 4, 3, 3)] if conv else []
    kernel = {} if conv else {"kernel_shape": [3, 3]}

    def case(says, **attributes):
        return Case(says, op, *rest, **{**kernel, **attributes})

    cases = [
        case(("strides", "0", "1 to"), strides=[1, 0]),
        case(("strides", "-2", "1 to"), strides=[-2, 1]),
        case(("strides", "3 entries", "2 are needed"), strides=[1, 1, 1]),
        case(("dilations", "0", "1 to"), dilations=[0, 1]),
        case(("dilations", "-1", "1 to"), dilations=[1, -1]),
        case(("pads", "-1", "0 to"), pads=[0, -1, 0, 0]),
        case(("pads", "2 entries", "4 are needed"), pads=[1, 1]),
        case(("auto_pad", "SAME", "NOTSET", "SAME_UPPER"), auto_pad="SAME"),
    ]
    if op != "ConvTranspose":
        cases.append(case(("kernel 3 with dilation 8 covers 17", "has 8"), dilations=[8, 8]))
    if not conv:
        cases += [
            Case(("kernel_shape", "0 entries", "2 are needed"), op),
            case(("kernel_shape", "0", "1 to"), kernel_shape=[3, 0]),
            case(("kernel_shape", "1 entries", "2 are needed"), kernel_shape=[3]),
            case(("ceil_mode", "2", "0 to 1"), ceil_mode=2),
            Case(("[1,4]", "no spatial axes"), op, x=[1, 4], kernel_shape=[3, 3]),
        ]
    return cases


WINDOWS = {op: window(op)
           for op in ("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool")}

CONVOLUTIONS = [
    Case(("group", "0", "1 to"), "Conv", weight(4, 4, 3, 3), group=0),
    Case(("group", "-1", "1 to"), "Conv", weight(4, 4, 3, 3), group=-1),
    Case(("group", "3"), "Conv", weight(4, 4, 3, 3), group=3),
    Case(("[4,3,3,3]", "3 input channels", "wants 4"), "Conv", weight(4, 3, 3, 3)),
    Case(("kernel_shape", "[4,4,3,3]"), "Conv", weight(4, 4, 3, 3), kernel_shape=[5, 5]),
    Case(("[4,4,3]", "[1,4,8,8]"), "Conv", weight(4, 4, 3)),
    Case(("[3]", "[4]"), "Conv", weight(4, 4, 3, 3), weight(3)),
    Case(("group", "0", "1 to"), "ConvTranspose", weight(4, 4, 3, 3), group=0),
    Case(("output_padding", "-1"), "ConvTranspose", weight(4, 4, 3, 3), output_padding=[-1, 0]),
    Case("storage_order is 7; allowed are 0 and 1", "MaxPool", kernel_shape=[2, 2],
         storage_order=7),
    Case(("p is 0", "1 and more"), "LpPool", kernel_shape=[2, 2], p=0),
    Case(("p is -1", "1 and more"), "GlobalLpPool", p=-1),
]

AXES = [Case(("axis", str(axis), "rank 4"), op, *rest, axis=axis)
        for axis in (4, -5)
        for op, *rest in [
            ("Softmax",), ("LogSoftmax",), ("ArgMax",), ("ArgMin",), ("LpNormalization",),
            ("Concat", IMAGE), ("Gather", ints(0)), ("GatherElements", ints(0).reshape(1, 1, 1, 1)),
            ("TopK", ints(1)), ("LayerNormalization", weight(8)),
            ("ScatterElements", ints(0).reshape(1, 1, 1, 1), weight(1, 1, 1, 1))]]
AXES += [
    Case(("axis is 6", "4 axes"), "Flatten", axis=6),
    Case(("axis", "4", "rank 4"), "Split", ints(4), axis=4),
    Case(("axis", "7", "rank 4"), "CumSum", ints(7)),
    Case(("axis", "4", "rank 4"), "ReduceSum", ints(4)),
    Case(("axis", "-5", "rank 4"), "ReduceMean", ints(-5)),
    Case("axes names an axis twice", "ReduceMax", ints(1, -3)),
    Case(("axis", "9", "rank 4"), "Squeeze", ints(9)),
    Case(("axis 3 of [1,4,8,8] is not 1",), "Squeeze", ints(3)),
    Case(("axis", "9", "rank 5"), "Unsqueeze", ints(9)),
    Case(("perm has 3 axes", "wants 4"), "Transpose", perm=[0, 1, 2]),
    Case(("perm names axis 1 twice",), "Transpose", perm=[0, 1, 1, 3]),
    Case(("k is 9", "8"), "TopK", ints(9)),
]

SHAPES = [
    Case(("[1,4,8,8]", "[3]"), op, weight(3))
    for op in ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "PRelu")
] + [
    Case(("[1,4,8,8]", "[5,8]"), "Equal", weight(5, 8)),
    Case(("[1,4,8,8]", "[1,4,9,8]"), "Concat", [1, 4, 9, 8], axis=1),
    Case(("[1,4,8,8]", "[3,8,8]"), "Expand", ints(3, 8, 8)),
    Case(("[1,4,8,8]", "[5,5]"), "Reshape", ints(5, 5)),
    Case(("shape has a -1 at axis 1",), "Reshape", ints(-1, -1)),
    Case(("[4,8]", "[4,3]", "8 and 4"), "MatMul", weight(4, 3), x=[4, 8]),
    Case(("[4,8]", "[4,3]", "8 and 4"), "Gemm", weight(4, 3), x=[4, 8]),
    Case(("[4,3]", "[5]"), "Gemm", weight(8, 3), weight(5), x=[4, 8]),
    Case(("[3]", "4"), "BatchNormalization", weight(3), weight(3), weight(3), weight(3)),
    Case(("num_groups", "3", "4"), "GroupNormalization", weight(4), weight(4), num_groups=3),
    Case(("num_groups", "0"), "GroupNormalization", weight(4), weight(4), num_groups=0),
    Case(("split [4, 5]", "axis of 8"), "Split", ints(4, 5), axis=2, outputs=2),
    Case(("blocksize", "3"), "SpaceToDepth", blocksize=3),
    Case(("blocksize", "0"), "DepthToSpace", blocksize=0),
    Case(("blocksize", "3"), "DepthToSpace", blocksize=3),
    Case(("size", "0"), "LRN", size=0),
    Case(("grid [1,3,3,3]", "[1,4,8,8]", "wants [1, ..., 2]"), "GridSample", [1, 3, 3, 3]),
    Case(("mode", "lanczos", "linear, nearest, cubic"), "GridSample", [1, 3, 3, 2],
         mode="lanczos"),
    Case(("padding_mode", "wrap", "zeros, border, reflection"), "GridSample", [1, 3, 3, 2],
         padding_mode="wrap"),
    Case(("mode", "mirror"), "Pad", ints(0, 0, 1, 1, 0, 0, 1, 1), mode="mirror"),
    Case(("pads", "3"), "Pad", ints(0, 0, 1)),
    Case(("mode", "bilinear"), "Resize", None, numpy.float32([1, 1, 2, 2]), mode="bilinear"),
    Case(("scale 0 of axis 2",), "Resize", None, numpy.float32([1, 1, 0, 2])),
    Case(("batch_dims", "4", "0 to 3"), "GatherND", ints(0).reshape(1, 1), batch_dims=4),
    Case(("equation",), "Einsum", [4, 4], equation="ij,jk->ik"),
    Case(("reduction", "most"), "ScatterElements", ints(0).reshape(1, 1, 1, 1),
         weight(1, 1, 1, 1), reduction="most"),
    Case(("steps", "0"), "Slice", ints(0), ints(2), ints(2), ints(0)),
    Case(("repeats", "-1"), "Tile", ints(1, 1, -1, 1)),
    Case(("p", "3", "1 and 2"), "LpNormalization", p=3),
]

TYPES = [
    Case(("i64", "floats"), op, x_type=TensorProto.INT64)
    for op in ("Sigmoid", "Exp", "Erf", "Softplus", "Softmax", "GlobalAveragePool", "Sqrt", "Gelu")
] + [
    Case(("i64", "f32"), "Add", ints(1)),
    Case(("bool", "numbers"), "Neg", x_type=TensorProto.BOOL),
    Case(("f32", "bool"), "Not"),
    Case(("f32", "bool"), "And", weight(8)),
    Case(("i64", "floats"), "Conv", weight(4, 4, 3, 3).astype(numpy.int64),
         x_type=TensorProto.INT64),
    Case(("STRING", "float, double"), "Cast", to=TensorProto.STRING),
    Case(("17", "float, double"), "Cast", to=TensorProto.FLOAT8E4M3FN),
    Case(("f32", "integers"), "Gather", weight(1)),
    Case(("axis", "a float", "an integer"), "Softmax", axis=1.5),
    Case(("axis", "a string", "an integer"), "Softmax", axis="1"),
    Case(("colour", "opset 22"), "Relu", colour=3),
]


FOLDED = [
    Case(("[200000,200000]", "64.0 MiB"), "EyeLike", x=[200000, 200000]),
    Case(("[200000,200000]", "64.0 MiB"), "Trilu", x=[200000, 200000]),
    Case(("16.0 GiB", "64.0 MiB"), "ConstantOfShape", x_type=TensorProto.INT64, x=[2],
         folds=ints(65536, 65536)),
    Case(("GiB", "64.0 MiB"), "Range", ints(10**10), ints(1), x_type=TensorProto.INT64, x=[],
         folds=numpy.int64(0)),
]


class BadNodes(ProgramTest):
    def check(self, cases):
        for i, case in enumerate(cases):
            with self.subTest(op=case.op, attributes=case.attributes, case=i):
                path = self.folder / f"{i}.onnx"
                case.write(path)
                self.fail_with(INVALID, "wsic", "compile", path, "-o", self.folder / "out.plan",
                               "--loss", "none", saying=("bad.node", case.op, *case.says))
                self.assertFalse((self.folder / "out.plan").exists())

    def test_windows(self):
        for op, cases in WINDOWS.items():
            with self.subTest(op=op):
                self.check(cases)

    def test_convolutions(self):
        self.check(CONVOLUTIONS)

    def test_axes(self):
        self.check(AXES)

    def test_shapes(self):
        self.check(SHAPES)

    def test_types(self):
        self.check(TYPES)

    def test_constants_above_the_cap(self):
        self.check(FOLDED)

    def test_what_decides_about_structure_must_be_known(self):
        body = helper.make_graph(
            [helper.make_node("Identity", ["more"], ["again"]),
             helper.make_node("Relu", ["value"], ["next"])], "body",
            [helper.make_tensor_value_info("i", TensorProto.INT64, []),
             helper.make_tensor_value_info("more", TensorProto.BOOL, []),
             helper.make_tensor_value_info("value", FLOATS, IMAGE)],
            [helper.make_tensor_value_info("again", TensorProto.BOOL, []),
             helper.make_tensor_value_info("next", FLOATS, IMAGE)])
        branch = helper.make_graph([helper.make_node("Relu", ["x"], ["out"])], "branch", [],
                                   [helper.make_tensor_value_info("out", FLOATS, IMAGE)])
        truth = numpy.array(True)
        cases = {
            ("Loop", "trip count", "'count'"): ["Loop", ["count", "truth", "x"], {"body": body}],
            ("Loop", "more than 10000 times"): ["Loop", ["huge", "truth", "x"], {"body": body}],
            ("Loop", "10000"): ["Loop", ["", "", "x"], {"body": body}],
            ("If", "cond", "'flag'"): ["If", ["flag"],
                                       {"then_branch": branch, "else_branch": branch}],
        }
        for says, (op, names, attributes) in cases.items():
            with self.subTest(says=says):
                graph = helper.make_graph(
                    [helper.make_node(op, names, ["y"], "bad.node", **attributes)], "g",
                    [helper.make_tensor_value_info("x", FLOATS, IMAGE),
                     helper.make_tensor_value_info("count", TensorProto.INT64, []),
                     helper.make_tensor_value_info("flag", TensorProto.BOOL, [])],
                    [helper.make_tensor_value_info("y", FLOATS, IMAGE)],
                    [numpy_helper.from_array(truth, "truth"),
                     numpy_helper.from_array(numpy.array(10**12), "huge")])
                path = self.folder / "loop.onnx"
                onnx.save(helper.make_model(graph, ir_version=8,
                                            opset_imports=[helper.make_opsetid("", 17)]), path)
                self.fail_with(INVALID, "wsic", "compile", path, "-o", self.folder / "out.plan",
                               "--loss", "none", saying=("bad.node", *says))


if __name__ == "__main__":
    unittest.main()
