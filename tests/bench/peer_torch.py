#!/usr/bin/env python3
"""One training step of a torchvision or timm network in PyTorch on the CPU, timed.

A step is forward, cross entropy, backward and an SGD-with-momentum update: fp32, batch
norm in training mode, nothing dropped at random. The weights are those of an ONNX file, so
that it is the same model on the same input. Prints one JSON object; `loss` is that of the
first step. With --export, writes the ONNX file instead.

usage: peer_torch.py NETWORK MODEL.onnx X.npy Y.npy [--threads N] [--steps N] [--layout L]
       peer_torch.py NETWORK MODEL.onnx X.npy Y.npy --export
"""
import argparse
import json
import os
import statistics
import time


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("network", help="a torchvision.models name, or timm:NAME")
    parser.add_argument("model", help="ONNX file whose initializers have torchvision's names")
    parser.add_argument("image", help="NCHW float32")
    parser.add_argument("label", help="int64")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--export", action="store_true")
    parser.add_argument("--layout", choices=("nchw", "channels_last"), default="channels_last")
    return parser.parse_args()


def make_network(name, side):
    """The network for images of `side` pixels, without dropout and stochastic depth."""
    source, _, name = name.rpartition(":")
    if source == "timm":
        import timm
        options = {"img_size": side} if "vit" in name else {}
        model = timm.create_model(name, num_classes=1000, **options)
    else:
        import torchvision
        model = getattr(torchvision.models, name)(num_classes=1000)
    for module in model.modules():
        if type(module).__name__ in ("Dropout", "StochasticDepth"):
            module.p = 0.0
        if type(module).__name__ == "DropPath":
            module.drop_prob = 0.0
    return model.train()


def load_weights(model, path, torch):
    """Copies the initializers into the module of the same names; all must be there."""
    import onnx
    from onnx import numpy_helper
    tensors = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy())
               for t in onnx.load(path).graph.initializer}
    state = {name: tensors[name] if not name.endswith("num_batches_tracked") else value
             for name, value in model.state_dict().items()}
    model.load_state_dict(state)


def main():
    args = parse_arguments()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    import numpy
    import torch

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    layout = torch.channels_last if args.layout == "channels_last" else torch.contiguous_format
    image = torch.from_numpy(numpy.load(args.image)).contiguous(memory_format=layout)
    label = torch.from_numpy(numpy.load(args.label))
    model = make_network(args.network, image.shape[-1])
    if args.export:
        torch.onnx.export(model, (image,), args.model, dynamo=False, opset_version=17,
                          training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False)
        return
    load_weights(model, args.model, torch)
    model = model.to(memory_format=layout)
    loss_of = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)

    def step():
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model(image), label)
        loss.backward()
        optimizer.step()
        return time.perf_counter() - start, loss.item()

    first = step()
    for _ in range(args.warmup):
        step()
    seconds = [step()[0] for _ in range(args.steps)]
    print(json.dumps({
        "version": torch.__version__,
        "loss": first[1],
        "step_ms_median": statistics.median(seconds) * 1e3,
        "step_ms_min": min(seconds) * 1e3,
    }))


if __name__ == "__main__":
    main()
