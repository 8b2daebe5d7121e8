#!/usr/bin/env python3
"""One training step of ResNet-50 in PyTorch on a GPU, timed: what a user would run instead.

A step is forward, cross entropy, backward and an SGD-with-momentum update, batch 1, batch
norm in training mode, fp16 by autocast with a gradient scaler, channels last. Prints one
JSON object; what goes wrong, memory that is out included, is in its "error" and the exit
code is 1.

systems
  eager        as PyTorch comes
  compile      the model through torch.compile
  checkpoint   each residual block and the stem through torch.utils.checkpoint
  save_on_cpu  torch.autograd.graph.save_on_cpu(pin_memory=True)
"""
import argparse
import json
import statistics
import sys
import time

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # Width, blocks, first stride.
SYSTEMS = ("eager", "compile", "checkpoint", "save_on_cpu")


def make_resnet50(classes, run):
    """ResNet-50 as torchvision has it; `run(module, x)` applies the stem and each block."""
    from torch import nn

    def normed(inputs, outputs, kernel, stride=1):
        return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
                nn.BatchNorm2d(outputs)]

    class Block(nn.Module):
        def __init__(self, inputs, width, stride):
            super().__init__()
            relu = nn.ReLU(inplace=True)
            self.body = nn.Sequential(*normed(inputs, width, 1), relu,
                                      *normed(width, width, 3, stride), relu,
                                      *normed(width, 4 * width, 1))
            self.skip = nn.Identity()
            if stride > 1 or inputs != 4 * width:
                self.skip = nn.Sequential(*normed(inputs, 4 * width, 1, stride))
            self.relu = relu

        def forward(self, x):
            return self.relu(self.body(x) + self.skip(x))

    class ResNet50(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(*normed(3, 64, 7, 2), nn.ReLU(inplace=True),
                                      nn.MaxPool2d(3, 2, 1))
            blocks, inputs = [], 64
            for width, count, stride in STAGES:
                for i in range(count):
                    blocks.append(Block(inputs, width, stride if i == 0 else 1))
                    inputs = 4 * width
            self.blocks = nn.ModuleList(blocks)
            self.head = nn.Linear(inputs, classes)

        def forward(self, x):
            x = run(self.stem, x)
            for block in self.blocks:
                x = run(block, x)
            return self.head(x.mean((2, 3)))

    return ResNet50()


def measure(a):
    import contextlib
    import torch
    from torch.utils.checkpoint import checkpoint

    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    torch.cuda.init()
    free_before = torch.cuda.mem_get_info()[0]

    def run(module, x):
        if a.system == "checkpoint":
            return checkpoint(module, x, use_reentrant=False)
        return module(x)

    model = make_resnet50(a.classes, run).cuda().to(memory_format=torch.channels_last)
    forward = torch.compile(model) if a.system == "compile" else model
    optimizer = torch.optim.SGD(model.parameters(), 0.001, momentum=0.9)
    scaler = torch.amp.GradScaler("cuda", init_scale=1024.0)
    x = torch.randn(1, 3, a.side, a.side, device="cuda", dtype=torch.half)
    x = x.contiguous(memory_format=torch.channels_last)
    y = torch.zeros(1, device="cuda", dtype=torch.int64)
    loss_of = torch.nn.CrossEntropyLoss()

    def saving():
        if a.system == "save_on_cpu":
            return torch.autograd.graph.save_on_cpu(pin_memory=True)
        return contextlib.nullcontext()

    def step():
        torch.cuda.synchronize()
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with saving(), torch.autocast("cuda", torch.float16):
            loss = loss_of(forward(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        torch.cuda.synchronize()
        return time.perf_counter() - start, loss.item()

    first, loss = step()
    for _ in range(a.warmup):
        step()
    torch.cuda.reset_peak_memory_stats()
    seconds = [step()[0] for _ in range(a.steps)]
    return {
        "loss": loss,
        "ms": statistics.median(seconds) * 1e3,
        "ms_min": min(seconds) * 1e3,
        "load_ms": first * 1e3,
        "peak_bytes": torch.cuda.max_memory_allocated(),
        "driver_bytes": free_before - torch.cuda.mem_get_info()[0],
        "device": torch.cuda.get_device_name(),
        "version": torch.__version__,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("side", type=int, help="of the square image")
    parser.add_argument("--classes", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=2)
    a = parser.parse_args()
    try:
        result = measure(a)
    except Exception as error:  # Whatever PyTorch ends with is the row's result.
        result = {"error": f"{type(error).__name__}: {error}".split("\n")[0][:200]}
    print(json.dumps(result))
    return 1 if "error" in result else 0


if __name__ == "__main__":
    sys.exit(main())
