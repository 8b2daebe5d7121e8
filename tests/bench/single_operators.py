"""Models of one operator each, for cuda_check.py --kernels: in front of it a product with a parameter, so that it
has an input gradient, behind it a classifier."""
import math

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def depthwise_model(side, channels, kernel, stride):
    """x * scale, a depthwise convolution of it, a classifier; what the operators have to move."""
    out = (side - 1) // stride + 1
    x, y = side * side * channels * 2, out * out * channels * 2
    nodes = [helper.make_node("Mul", ["x", "scale"], ["scaled"]),
             helper.make_node("Conv", ["scaled", "w"], ["y"], group=channels, strides=[stride] * 2,
                              kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4)]
    weights = {"scale": (1, channels, 1, 1), "w": (channels, 1, kernel, kernel)}
    moved = {"Conv": x + y, "ConvInputGrad": x + y, "ConvWeightGrad": x + y}
    return model(nodes, "y", channels, [1, channels, side, side], weights), moved


def line_model(op, shape, axis, **attributes):
    """x * scale, one operator along an axis of NCHW, a classifier."""
    count = math.prod(shape) * 2
    k = attributes.get("k", shape[axis])
    inputs = ["scaled"] + {"CumSum": ["axis"], "TopK": ["k"]}.get(op, [])
    outputs = ["y"] + (["places"] if op == "TopK" else [])
    named = {} if op == "CumSum" else {"perm": attributes["perm"]} if op == "Transpose" else {"axis": axis}
    constants = {"axis": np.array(axis), "k": np.array([k])}
    nodes = [helper.make_node("Mul", ["x", "scale"], ["scaled"]),
             helper.make_node(op, inputs, outputs, **named)]
    if op == "ArgMax":
        nodes.append(helper.make_node("Cast", ["y"], ["z"], to=TensorProto.FLOAT))
    channels = (1 if op == "ArgMax" else k) if axis == 1 else shape[1]
    if op == "Transpose":
        channels = shape[attributes["perm"][1]]
    last = "z" if op == "ArgMax" else "y"
    result = {"TopK": math.prod(shape) // shape[axis] * k * 10, "ArgMax": math.prod(shape) // shape[axis] * 8}
    moved = {op: count + result.get(op, count)}
    return model(nodes, last, channels, list(shape), {"scale": (1, shape[1], 1, 1)}, constants), moved


def norm_model(side, channels):
    """Two blocks like those of a residual network, without their convolutions: relu(norm(relu(norm(x))) + x).
    Their operators in training: statistics and map, with and without residual; both parts of the gradient, with the
    mask from x or y, with and without the other branch's gradient."""
    nodes = [helper.make_node("Mul", ["x", "scale"], ["z0"])]
    weights = {"scale": (1, channels, 1, 1)}
    for block in range(2):
        z, inner = f"z{block}", f"inner{block}"
        for norm, (x, y) in enumerate(((z, "a"), (inner, "b"))):
            own = [f"{v}{block}{norm}" for v in ("gamma", "beta", "mean", "var")]
            weights |= {name: (channels,) for name in own}
            nodes.append(helper.make_node("BatchNormalization", [x, *own], [f"{y}{block}"]))
            if norm == 0:
                nodes.append(helper.make_node("Relu", [f"a{block}"], [inner]))
        nodes += [helper.make_node("Add", [f"b{block}", z], [f"sum{block}"]),
                  helper.make_node("Relu", [f"sum{block}"], [f"z{block + 1}"])]
    moved = dict.fromkeys(("BatchNormStats", "BatchNormApply", "BatchNormGradStats", "BatchNormGradApply"))
    return model(nodes, "z2", channels, [1, channels, side, side], weights), moved


def pool_model(side, channels):
    """The pooling in front of a residual network's blocks."""
    nodes = [helper.make_node("Mul", ["x", "scale"], ["scaled"]),
             helper.make_node("MaxPool", ["scaled"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)]
    moved = dict.fromkeys(("MaxPool", "MaxPoolGrad"))
    return model(nodes, "y", channels, [1, channels, side, side], {"scale": (1, channels, 1, 1)}), moved


def model(nodes, last, channels, shape, weights, constants=None):
    nodes = [*nodes, helper.make_node("GlobalAveragePool", [last], ["pooled"]),
             helper.make_node("Flatten", ["pooled"], ["flat"]),
             helper.make_node("Gemm", ["flat", "fc"], ["logits"], transB=1)]
    weights = {**weights, "fc": (3, channels)}
    tensors = [numpy_helper.from_array(np.full(dims, 0.01, np.float32), name)
               for name, dims in weights.items()]
    used = {name for node in nodes for name in node.input}
    tensors += [numpy_helper.from_array(value.astype(np.int64), name)
                for name, value in (constants or {}).items() if name in used]
    graph = helper.make_graph(
        nodes, "kernel", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def kernel_models():
    """(name, model, bytes of a launch by operator; None: as wsirun counts them)"""
    for side, widths in ((2048, (64,)), (1024, (64, 256)), (512, (128, 256, 512)), (256, (256, 512, 1024)),
                         (128, (512, 1024, 2048))):
        for channels in widths:
            yield f"norm {side} x {side} x {channels}", *norm_model(side, channels)
    yield "pool 2048 x 2048 x 64", *pool_model(2048, 64)
    for side, channels, kernel, stride in ((112, 96, 3, 1), (112, 96, 3, 2), (14, 576, 3, 1),
                                           (512, 128, 7, 1), (1024, 96, 5, 1), (1024, 96, 5, 2),
                                           (2048, 32, 3, 1), (2048, 96, 3, 2)):
        name = f"depthwise {kernel}x{kernel} stride {stride}, {side} x {side} x {channels}"
        yield name, *depthwise_model(side, channels, kernel, stride)
    for shape, perm in (((1, 64, 1024, 1024), [0, 2, 3, 1]), ((1, 33, 1021, 1023), [0, 1, 3, 2])):
        yield f"Transpose of {shape} by {perm}", *line_model("Transpose", shape, 1, perm=perm)
    for shape, axis in (((1, 21, 1024, 1024), 1), ((1, 8, 8, 1 << 20), 3), ((1, 1, 1, 1 << 24), 3)):
        size = " x ".join(str(n) for n in shape)
        yield f"ArgMax along {axis} of {size}", *line_model("ArgMax", shape, axis)
        yield f"CumSum along {axis} of {size}", *line_model("CumSum", shape, axis)
        yield f"TopK 10 along {axis} of {size}", *line_model("TopK", shape, axis, k=10)
