"""Runs the built programs, and makes the small models and slides that the tests give them."""
import csv
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import unittest

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

BIN = pathlib.Path(os.environ["WSI_BIN"])
RUN_BIN = pathlib.Path(os.environ.get("WSI_RUN_BIN", BIN))  # Of wsirun.
DATA = pathlib.Path(os.environ.get("WSI_TEST_DATA", "../shared/data"))
OK, DIFFERENCE, USAGE, INVALID, RESOURCES, IO, NUMERIC, DEVICE, PREEMPTED = 0, 1, 2, 3, 4, 5, 6, 8, 75


def command(program, *arguments):
    return [str((RUN_BIN if program == "wsirun" else BIN) / program), *map(str, arguments)]


def run(program, *arguments, **options):
    """The finished process; hardly anything here takes a minute."""
    return subprocess.run(command(program, *arguments), capture_output=True, text=True,
                          check=False, **{"timeout": 60, **options})


class ProgramTest(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="wsi-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def succeed(self, program, *arguments, **options):
        done = run(program, *arguments, **options)
        self.assertEqual(done.returncode, OK, f"{program} {arguments}: {done.stderr}")
        return done

    def fail_with(self, code, program, *arguments, saying=(), **options):
        """Runs to an error: its exit code, one line on stderr, and nothing on stdout."""
        done = run(program, *arguments, **options)
        self.assertEqual(done.returncode, code, f"{program} {arguments}: {done.stderr}")
        self.assertEqual(done.stdout, "")
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        for part in [saying] if isinstance(saying, str) else saying:
            self.assertIn(part, lines[0])
        return lines[0]

    def snapshot(self):
        """Every file beneath the folder with its contents."""
        return {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}

    def compile_tiny(self, *options, **model):
        """A model and its plan in this test's folder; the plan's path."""
        path = self.folder / "tiny.onnx"
        write_tiny_model(path, **model)
        plan = self.folder / "tiny.plan"
        self.succeed("wsic", "compile", path, "-o", plan, "--norm", "train", "--force", *options)
        return plan

    def make_slides(self, count, **options):
        """`count` slides and their manifest, whose path this returns."""
        arguments = [word for name, value in options.items()
                     for word in (f"--{name.replace('_', '-')}", value)]
        folder = self.folder / "slides"
        self.succeed("wsirun", "slides", "make", "-o", folder, "--count", count, "--size", 256,
                     "--lesions", 1, "--threads", 1, *arguments)
        return folder / "slides.csv"


def write_tiny_model(path, size=32, dropout=False, scale=1.0, classes=2):
    """image[1,3,size,size] -> Conv -> BatchNormalization -> Relu -> mean -> Gemm -> [1,classes]."""
    random = numpy.random.default_rng(3)
    weights = {
        "conv.weight": random.standard_normal((8, 3, 3, 3)) * 0.3,
        "bn.weight": numpy.ones(8), "bn.bias": numpy.zeros(8),
        "bn.running_mean": numpy.zeros(8), "bn.running_var": numpy.ones(8),
        "fc.weight": random.standard_normal((classes, 8)) * scale, "fc.bias": numpy.zeros(classes)}
    nodes = [
        helper.make_node("Conv", ["image", "conv.weight"], ["c"], "conv", kernel_shape=[3, 3],
                         strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", *list(weights)[1:5]], ["n"], "bn"),
        helper.make_node("Relu", ["n"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["g"], "pool"),
        helper.make_node("Flatten", ["g"], ["f"], "flatten")]
    if dropout:
        nodes.append(helper.make_node("Dropout", ["f"], ["d"], "dropout"))
    nodes.append(helper.make_node("Gemm", ["d" if dropout else "f", "fc.weight", "fc.bias"],
                                  ["scores"], "fc", transB=1))
    save_model(path, nodes, weights, [1, 3, size, size], [1, classes])


def save_model(path, nodes, weights, input_shape, output_shape):
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info("image", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, output_shape)],
        [numpy_helper.from_array(numpy.asarray(value, numpy.float32), name)
         for name, value in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))


def read_safetensors(path):
    contents = pathlib.Path(path).read_bytes()
    header_bytes = struct.unpack("<Q", contents[:8])[0]
    header = json.loads(contents[8:8 + header_bytes])
    header.pop("__metadata__", None)
    types = {"F32": numpy.float32, "F64": numpy.float64}
    data = contents[8 + header_bytes:]
    return {name: numpy.frombuffer(data[slice(*entry["data_offsets"])], types[entry["dtype"]])
            .reshape(entry["shape"]) for name, entry in header.items()}


def read_events(run_folder, event):
    with open(run_folder / "events.jsonl", encoding="utf-8") as file:
        return [line for line in map(json.loads, file) if line["event"] == event]


def edit_manifest(path, change):
    """Rewrites the manifest with its rows, dictionaries by column, changed in place."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    change(rows)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
