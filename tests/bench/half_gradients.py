#!/usr/bin/env python3
"""A ResNet-50's gradients in fp16 and bf16 against fp32's, ours and PyTorch's, on the CPU.

Batch 1, a random image, batch norm in training mode, parameters as each initialises them.
Printed are the median and the least cosine over the parameters. Wants PyTorch, torchvision
and onnx.

usage: half_gradients.py [--bin FOLDER] [--side N] [--last-scale S]
  --last-scale  ours only: multiplies the scale of each block's last batch norm (default 1)
"""
import argparse
import tempfile

import numpy as np
import onnx
import torch
import torchvision

from cuda_check import call, tensors


def report(system, kind, want, got):
    cosines = [g @ want[n] / (np.linalg.norm(g) * np.linalg.norm(want[n]) + 1e-300)
               for n, g in got.items()]
    print(f"{system} {kind}: median {np.median(cosines):.3f}, least {min(cosines):.3f}", flush=True)


def peer(side):
    torch.manual_seed(0)
    model = torchvision.models.resnet50(num_classes=3).train()
    image, label = torch.randn(1, 3, side, side), torch.tensor([1])

    def gradients(dtype):
        model.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            loss = torch.nn.functional.cross_entropy(model(image).float(), label)
        loss.backward()
        return {n: p.grad.double().flatten().numpy().copy() for n, p in model.named_parameters()}

    want = gradients(None)
    for dtype in (torch.float16, torch.bfloat16):
        report("PyTorch", str(dtype).split(".")[-1], want, gradients(dtype))


def ours(a, folder):
    def run(program, *arguments):
        code, text = call(f"{a.bin}/{program}", *arguments)
        if code != 0:
            raise SystemExit(f"{program}: exit code {code}: {text.strip()[-400:]}")

    run("wsi-model", "resnet50", "-o", f"{folder}/m.onnx", "--classes", 3)
    model = onnx.load(f"{folder}/m.onnx")
    for tensor in model.graph.initializer:
        if tensor.name.endswith("bn3.weight"):
            scaled = onnx.numpy_helper.to_array(tensor) * np.float32(a.last_scale)
            tensor.CopyFrom(onnx.numpy_helper.from_array(scaled, tensor.name))
    onnx.save(model, f"{folder}/m.onnx")
    image = np.random.default_rng(7).standard_normal((1, 3, a.side, a.side), np.float32)
    np.save(f"{folder}/x.npy", image)
    np.save(f"{folder}/y.npy", np.array([1], np.int64))
    want = None
    for kind in ("fp32", "fp16", "bf16"):
        run("wsic", "compile", f"{folder}/m.onnx", "-o", f"{folder}/m.plan", "--input-size",
            f"{a.side}x{a.side}", "--precision", kind, "--norm", "train", "--force")
        run("wsirun", "grad", f"{folder}/m.plan", "--input", f"{folder}/x.npy", "--target",
            f"{folder}/y.npy", "-o", f"{folder}/g.safetensors", "--force")
        got = tensors(f"{folder}/g.safetensors")
        if want is None:
            want = got
        else:
            report("wsirun", kind, want, got)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", default="build/dev/bin")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--last-scale", type=float, default=1.0)
    a = parser.parse_args()
    peer(a.side)
    with tempfile.TemporaryDirectory() as folder:
        ours(a, folder)


if __name__ == "__main__":
    main()
