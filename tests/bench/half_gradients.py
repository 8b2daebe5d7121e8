#!/usr/bin/env python3
"""Gradients in fp16 and bf16 against fp32's, ours and PyTorch's (autocast), from the same weights.

A ResNet-50, batch 1: printed are the median and the least cosine over the parameters, and how
many are at least 0.999. Or the shared goldens that are torchvision's or timm's networks: errors
against PyTorch's gradients in fp64, as golden.py measures them. Wants PyTorch, torchvision and
onnx, for goldens timm too.

usage: half_gradients.py [--bin FOLDER] [--device cpu|cuda] [--side N] [--image FILE] [--norm KIND]
                         [--last-scale S] [--classes N] [--weights FILE] [--alone]
                         [--goldens FOLDER]
  --image       the upper left corner of this picture (a .npy of H x W x 3 bytes, or what Pillow
                reads), normalised as ImageNet is; without it noise
  --norm        batch (in training mode, the default), frozen or group
  --weights     trained ones, a .safetensors file of wsirun train, instead of initial ones
  --alone       PyTorch in fp32 only: on CPUs its fp16 takes minutes
  --last-scale  multiplies the scale of each block's last norm (default 1, as initialised)
"""
import argparse
import json
import os
import sys
import tempfile

import numpy as np
import onnx
import torch
import torchvision

from cuda_check import call, tensors

def run(a, program, *arguments):
    code, text = call(f"{a.bin}/{program}", *arguments)
    if code != 0:
        raise SystemExit(f"{program}: exit code {code}: {text.strip()[-400:]}")
    return text


def ours(a, folder, kind, size, *options):
    """The loss, and the gradients by name."""
    run(a, "wsic", "compile", f"{folder}/model.onnx", "-o", f"{folder}/m.plan", "--device", a.device,
        "--precision", kind, "--force", *size, *options)
    text = run(a, "wsirun", "grad", f"{folder}/m.plan", "--input", f"{folder}/x.npy", "--target",
               f"{folder}/y.npy", "-o", f"{folder}/g.safetensors", "--force", "--json")
    return json.loads(text.splitlines()[-1])["loss"], tensors(f"{folder}/g.safetensors")


def theirs(a, net, folder, dtype):
    """As ours; the loss is scaled by the largest of 65536, 32768 ... that does not overflow."""
    image = torch.from_numpy(np.load(f"{folder}/x.npy")).to(a.device)
    label = torch.from_numpy(np.load(f"{folder}/y.npy")).to(a.device)
    scale = 65536.0
    while True:
        net.zero_grad(set_to_none=True)
        with torch.autocast(a.device, dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            loss = torch.nn.functional.cross_entropy(net(image).float(), label)
        (loss * scale).backward()
        gradients = {n: p.grad.double().flatten().cpu().numpy() / scale
                     for n, p in net.named_parameters() if p.grad is not None}
        if all(np.isfinite(g).all() for g in gradients.values()) or scale == 1:
            return loss.item(), gradients
        scale /= 2


def load_weights(a, net, path):
    """The network with the ONNX model's weights: both sides then start from the same."""
    values = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    state = net.state_dict()
    found = {k: torch.from_numpy(values[k].copy()) for k in state if k in values}
    missing = [k for k in state if k not in values and not k.endswith("num_batches_tracked")]
    if missing:
        raise SystemExit(f"{path}: no weights of that name: {missing[:3]}")
    net.load_state_dict(found, strict=False)
    return net.to(a.device)


def cosines(want, got):
    return np.array([got[n] @ want[n] / (np.linalg.norm(got[n]) * np.linalg.norm(want[n]) + 1e-300)
                     for n in want])


def report_cosines(system, kind, found):
    print(f"{system} {kind}: median {np.median(found):.5f}, least {found.min():.4f}, "
          f"{(found >= 0.999).sum()} of {len(found)} parameters at least 0.999", flush=True)


def make_resnet(a, folder):
    run(a, "wsi-model", "resnet50", "-o", f"{folder}/model.onnx", "--classes", a.classes, "--norm",
        a.norm)
    if a.weights:
        run(a, "wsic", "export", f"{folder}/model.onnx", "--weights", a.weights, "-o",
            f"{folder}/trained.onnx")
        os.replace(f"{folder}/trained.onnx", f"{folder}/model.onnx")
    model = onnx.load(f"{folder}/model.onnx")
    for tensor in model.graph.initializer:
        if tensor.name.endswith("bn3.weight"):
            scaled = onnx.numpy_helper.to_array(tensor) * np.float32(a.last_scale)
            tensor.CopyFrom(onnx.numpy_helper.from_array(scaled, tensor.name))
    onnx.save(model, f"{folder}/model.onnx")
    norm = (lambda c: torch.nn.GroupNorm(32, c)) if a.norm == "group" else None
    net = torchvision.models.resnet50(num_classes=a.classes, norm_layer=norm)
    net = load_weights(a, net, f"{folder}/model.onnx")
    if a.norm == "frozen":
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.requires_grad_(False)
    return net.train(a.norm != "frozen")


def make_input(a, folder):
    if a.image:
        if a.image.endswith(".npy"):
            pixels = np.load(a.image)
        else:
            from PIL import Image
            pixels = np.asarray(Image.open(a.image).convert("RGB"))
        pixels = pixels[:a.side, :a.side].astype(np.float32) / 255
        if pixels.shape != (a.side, a.side, 3):
            raise SystemExit(f"{a.image}: has {pixels.shape}, less than the side {a.side}")
        mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
        image = ((pixels - mean) / deviation).transpose(2, 0, 1)[None]
    else:
        image = np.random.default_rng(7).standard_normal((1, 3, a.side, a.side), np.float32)
    np.save(f"{folder}/x.npy", np.ascontiguousarray(image))
    np.save(f"{folder}/y.npy", np.array([0], np.int64))


def compare_resnet(a, folder):
    net = make_resnet(a, folder)
    make_input(a, folder)
    size = ("--input-size", f"{a.side}x{a.side}")
    mode = ("--norm", "train") if a.norm == "batch" else ()
    loss, want = ours(a, folder, "fp32", size, *mode)
    peer_loss, peer_want = theirs(a, net, folder, None)
    print(f"fp32: our loss {loss:.6f}, PyTorch's {peer_loss:.6f}; gradients' least cosine "
          f"{cosines(want, peer_want).min():.6f}", flush=True)
    for kind, dtype in (("fp16", torch.float16), ("bf16", torch.bfloat16)):
        report_cosines("wsirun", kind, cosines(want, ours(a, folder, kind, size, *mode)[1]))
        if not a.alone:
            report_cosines("PyTorch", kind, cosines(peer_want, theirs(a, net, folder, dtype)[1]))


def golden_net(name, classes):
    if name == "timm_dla34":
        import timm
        return timm.create_model("dla34", num_classes=classes)
    options = {"dropout": 0} if name == "mobilenet_v2" else {}
    return torchvision.models.get_model(name, num_classes=classes, **options)


def report_errors(name, system, kind, golden, loss, gradients):
    grads = golden["grads"]
    floor = 1e-3 * max(v["norm"] for v in grads.values())
    errors = []
    for parameter, v in grads.items():
        got = gradients[parameter]
        wrong = [abs(np.linalg.norm(got) - v["norm"])] + [abs(got[i] - s) for i, s in v["samples"]]
        errors.append(max(wrong) / max(v["norm"], floor))
    errors = np.array(errors)
    print(f"{name} {system} {kind}: loss off by {abs(loss / golden['loss'] - 1):.4f}; errors: median "
          f"{np.median(errors):.4f}, largest {errors.max():.4f}, within 0.02 "
          f"{(errors <= 0.02).sum()} of {len(errors)}", flush=True)


def compare_goldens(a, folder):
    for name in ("resnet18", "mobilenet_v2", "timm_dla34"):
        code, text = call(sys.executable, f"{a.goldens}/golden.py", "rebuild",
                          f"{a.goldens}/{name}.ts17.onnx", folder)
        if code != 0:
            raise SystemExit(text)
        with open(f"{a.goldens}/{name}.json", encoding="utf-8") as file:
            golden = json.load(file)
        classes = np.array(golden["logits"]).shape[-1]
        net = load_weights(a, golden_net(name, classes), f"{folder}/model.onnx").train()
        for kind, dtype in (("fp16", torch.float16), ("bf16", torch.bfloat16)):
            report_errors(name, "PyTorch", kind, golden, *theirs(a, net, folder, dtype))
            report_errors(name, "wsirun", kind, golden,
                          *ours(a, folder, kind, (), "--norm", "train"))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/dev/bin")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--image")
    parser.add_argument("--norm", choices=("batch", "frozen", "group"), default="batch")
    parser.add_argument("--classes", type=int, default=3)
    parser.add_argument("--weights")
    parser.add_argument("--last-scale", type=float, default=1.0)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--goldens")
    a = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    with tempfile.TemporaryDirectory() as folder:
        if a.goldens:
            compare_goldens(a, folder)
        else:
            compare_resnet(a, folder)


if __name__ == "__main__":
    main()
