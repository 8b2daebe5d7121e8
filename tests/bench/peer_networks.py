#!/usr/bin/env python3
"""A torchvision or timm network as PyTorch exports and differentiates it.

Writes into FOLDER:
  ts.onnx, dy.onnx     by the TorchScript exporter (opset 17) and the dynamo exporter, in
                       training mode; one that fails leaves ts.error or dy.error instead
  x.npy, y.npy         two images in NCHW and their labels
  grads.safetensors    every parameter's gradient in float64, under its name in the module
  peer.json            loss in float64, what float32 makes of loss and gradients, versions
Weights and input are those of golden.py, which needs no weights file: drawn by name. Batch
norm runs in training mode, dropout and stochastic depth are off, the loss is cross
entropy (mean over images and pixels).

usage: peer_networks.py SOURCE:NETWORK FOLDER [--size N] [--batch N] [--options JSON]
                        [--golden golden.py] [--exporters ts,dy]
SOURCE is torchvision, segmentation (torchvision's) or timm. Needs torch, torchvision,
timm, onnx and onnxscript.
"""
import argparse
import copy
import importlib.util
import json
import os
import pathlib
import struct
import sys
import time
import unittest.mock
import warnings
import zlib

import numpy
import timm
import torch
import torchvision

CLASSES = 10
RATES = ("drop_rate", "drop_prob", "drop_path_rate", "dropout_p", "attn_drop_rate")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("network", help="torchvision:NAME, segmentation:NAME or timm:NAME")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="another input")
    parser.add_argument("--near-init", action="store_true", help="weights near the network's own")
    parser.add_argument("--options", type=json.loads, default={}, help="of the constructor")
    parser.add_argument("--golden", default="../shared/data/goldens/golden.py")
    parser.add_argument("--exporters", default="ts,dy")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def load_golden(path):
    spec = importlib.util.spec_from_file_location("golden", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Scores(torch.nn.Module):
    """The network's main scores where it returns several outputs."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        result = self.network(x)
        if isinstance(result, dict):
            return result["out"]
        return result[0] if isinstance(result, (tuple, list)) else result


def build(source, name, options):
    if source == "timm":
        return timm.create_model(name, pretrained=False, num_classes=CLASSES, **options)
    if source == "segmentation":
        make = getattr(torchvision.models.segmentation, name)
        return make(weights=None, weights_backbone=None, num_classes=CLASSES, **options)
    return getattr(torchvision.models, name)(weights=None, num_classes=CLASSES, **options)


def switch_off_dropout(network):
    for module in network.modules():
        if isinstance(module, (torch.nn.modules.dropout._DropoutNd,
                               torchvision.ops.StochasticDepth)):
            module.p = 0.0
        for rate in RATES:
            if isinstance(getattr(module, rate, None), float):
                setattr(module, rate, 0.0)


def fill(network, weight, near_init):
    """Parameters and running statistics, each drawn by its name; other buffers stay. Some
    networks explode with such weights: a tenth of them is added to what they start with."""
    with torch.no_grad():
        for name, tensor in network.state_dict(keep_vars=True).items():
            if isinstance(tensor, torch.nn.Parameter) or "running_" in name:
                drawn = torch.from_numpy(weight(name, tuple(tensor.shape)))
                tensor.copy_(tensor + 0.1 * drawn if near_init else drawn)


def ask_for_plain_gradient(module, inputs, output):
    """PyTorch 2.15's batch norm of one image adds up the wrong elements of a gradient that is
    laid out with channels last (central differences say so): it gets a plain copy."""
    if output.requires_grad:
        output.register_hook(torch.Tensor.contiguous)


def step(network, x, y):
    """Loss and gradients by name; None where the loss does not depend on a parameter."""
    hooks = [module.register_forward_hook(ask_for_plain_gradient) for module in network.modules()
             if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    network.zero_grad(set_to_none=True)
    loss = torch.nn.functional.cross_entropy(Scores(network)(x), y)
    loss.backward()
    for hook in hooks:
        hook.remove()
    return loss.item(), {name: None if p.grad is None else p.grad.detach().double().numpy().copy()
                         for name, p in network.named_parameters() if p.requires_grad}


def export(network, x, kind, path):
    """The module itself is exported, so that its names are the parameters' own."""
    start = time.perf_counter()
    model = network if isinstance(network(x), torch.Tensor) else Scores(network)
    model.train()
    if kind == "ts":
        torch.onnx.export(model, (x,), str(path), dynamo=False, opset_version=17,
                          training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
                          input_names=["x"], output_names=["y"])
    else:
        torch.onnx.export(model, (x,), str(path), dynamo=True, opset_version=20, optimize=False,
                          external_data=False, input_names=["x"], output_names=["y"],
                          verbose=False)
    return time.perf_counter() - start


def relative_error(gradients, exact):
    """The worst parameter's error, as golden.py measures it."""
    norms = {name: numpy.linalg.norm(g) for name, g in exact.items() if g is not None}
    floor = 1e-3 * max(norms.values())
    return max(float(numpy.linalg.norm(gradients[name] - exact[name]) / max(norm, floor))
               for name, norm in norms.items())


def float32_errors(network, state, x, y, loss, gradients):
    """The largest errors of float32's loss and gradients on `x` and on inputs a rounding
    away from it: where ReLUs are near zero one input alone says little."""
    worst = [0.0, 0.0]
    for seed in range(4):
        network.load_state_dict(state)
        noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        near = x if seed == 0 else x * (1 + noise * 2**-23)
        loss32, gradients32 = step(network, near, y)
        worst = [max(worst[0], abs(loss32 - loss)),
                 max(worst[1], relative_error(gradients32, gradients))]
    return worst


def other_names(network):
    """Of each parameter that several modules share: exporters may use any."""
    names = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return {same[0]: same[1:] for same in names.values() if len(same) > 1}


def write_safetensors(path, tensors):
    header, data, end = {}, [], 0
    for name, tensor in tensors.items():
        contents = numpy.ascontiguousarray(tensor, numpy.float64).tobytes()
        header[name] = {"dtype": "F64", "shape": list(tensor.shape),
                        "data_offsets": [end, end + len(contents)]}
        end += len(contents)
        data.append(contents)
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + b"".join(data))


def main():
    args = parse_arguments()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    source, name = args.network.split(":")
    golden = load_golden(args.golden)
    args.folder.mkdir(parents=True, exist_ok=True)
    network = build(source, name, args.options).train()
    switch_off_dropout(network)
    fill(network, golden.weight, args.near_init)
    state = copy.deepcopy(network.state_dict())

    seed = zlib.crc32(f"input:{name}".encode()) + args.seed
    random = numpy.random.RandomState(seed & 0x7FFFFFFF)
    x = random.standard_normal((args.batch, 3, args.size, args.size)).astype(numpy.float32)
    with torch.no_grad():
        shape = Scores(network)(torch.from_numpy(x)).shape
    y = random.randint(0, CLASSES, (shape[0], *shape[2:]))
    numpy.save(args.folder / "x.npy", x)
    numpy.save(args.folder / "y.npy", y.astype(numpy.int64))

    x, y = torch.from_numpy(x), torch.from_numpy(y)
    network.load_state_dict(state)
    with unittest.mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
        loss, gradients = step(network.double(), x.double(), y)  # Some cast to float inside.
    network.float()
    errors = float32_errors(network, state, x, y, loss, gradients)
    write_safetensors(args.folder / "grads.safetensors",
                      {key: g for key, g in gradients.items() if g is not None})

    seconds = {}
    for kind in args.exporters.split(","):
        network.load_state_dict(state)
        path = args.folder / f"{kind}.onnx"
        try:
            seconds[kind] = export(network, x, kind, path)
        except Exception as error:  # The exporters raise whatever they like.
            path.unlink(missing_ok=True)
            (args.folder / f"{kind}.error").write_text(f"{type(error).__name__}: {error}\n")
            print(f"{args.network}: {kind}: {type(error).__name__}", file=sys.stderr)
    (args.folder / "peer.json").write_text(json.dumps({
        "network": args.network, "size": args.size, "batch": args.batch, "loss": loss,
        "fp32_loss_error": errors[0], "fp32_error": errors[1],
        "other_names": other_names(network),
        "without_gradient": [key for key, g in gradients.items() if g is None],
        "parameters": sum(p.numel() for p in network.parameters()), "export_seconds": seconds,
        "torch": torch.__version__, "torchvision": torchvision.__version__,
        "timm": timm.__version__}, indent=1))


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
