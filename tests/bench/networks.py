#!/usr/bin/env python3
"""Networks of torchvision and timm: do they train, and with PyTorch's gradients?

Each network is exported by both of PyTorch's exporters and differentiated by PyTorch in
float64 (peer_networks.py); then wsic compiles what the exporters wrote, wsirun takes one
step on the CPU backend and on the fp64 reference backend, and every gradient is compared,
all of it. As in golden.py, a gradient's error is the norm of its difference over
max(its norm, a thousandth of the largest gradient's norm). The CPU is held to four times
the error that PyTorch's own float32 gradients show on the network, at least 1e-3; the
reference backend to 1e-6.

Prints one line a network, exporter and device, exits 1 if any is off.

usage: networks.py [--build FOLDER] [--python PYTHON] [--only REGEX] [--devices cpu,reference]
                   [--exporters ts,dy] [--work FOLDER] [--markdown FILE]
PYTHON must have torch, torchvision, timm, onnx, onnxscript and numpy.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import numpy

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from network_list import NETWORKS  # noqa: E402

TOLERANCE = {"cpu": 1e-3, "reference": 1e-6}
EXPORTERS = {"ts": "TorchScript", "dy": "dynamo"}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default="build/dev")
    parser.add_argument("--python", default=".deps/torch/bin/python")
    parser.add_argument("--only", default="", help="networks whose SOURCE:NAME this finds")
    parser.add_argument("--devices", default="cpu,reference")
    parser.add_argument("--exporters", default="ts,dy")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--timeout", type=int, default=300, help="seconds a command")
    parser.add_argument("--work", type=pathlib.Path,
                        help="keep exports of networks that fail here, and use those that are")
    parser.add_argument("--json", type=pathlib.Path,
                        help="keep results here; the table shows all that are")
    parser.add_argument("--markdown", type=pathlib.Path, help="write the table here")
    parser.add_argument("--missing", action="store_true",
                        help="only what --json does not have yet")
    return parser.parse_args()


def export(args, network, folder):
    """What PyTorch says, or why it says nothing."""
    if (folder / "peer.json").exists():
        return json.loads((folder / "peer.json").read_text())
    options = dict(NETWORKS[network])
    command = [args.python, str(HERE / "peer_networks.py"), network, str(folder),
               "--golden", str(golden_path()), "--exporters", args.exporters]
    for name in ("size", "batch", "seed"):
        if name in options:
            command += [f"--{name}", str(options.pop(name))]
    if options.pop("near_init", False):
        command.append("--near-init")
    command += ["--options", json.dumps(options)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              timeout=args.timeout)
    except subprocess.TimeoutExpired:
        return {"error": f"PyTorch took more than {args.timeout} s"}
    if done.returncode != 0:
        return {"error": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]}
    return json.loads((folder / "peer.json").read_text())


def golden_path():
    data = pathlib.Path(os.environ.get("WSI_TEST_DATA", "../shared/data"))
    return (data / "goldens" / "golden.py").resolve()


def read_safetensors(path):
    contents = numpy.memmap(path, numpy.uint8, "r")
    header_bytes = int.from_bytes(contents[:8].tobytes(), "little")
    header = json.loads(contents[8:8 + header_bytes].tobytes())
    header.pop("__metadata__", None)
    types = {"F32": numpy.float32, "F64": numpy.float64}
    return {name: contents[slice(*(8 + header_bytes + at for at in entry["data_offsets"]))]
            .view(types[entry["dtype"]]).reshape(entry["shape"]) for name, entry in header.items()}


def compare(found, exact, other_names):
    """The worst parameter and its error; infinite where one is missing or misshapen."""
    floor = 1e-3 * max(numpy.linalg.norm(g) for g in exact.values())
    worst, where = 0.0, ""
    for name, gradient in exact.items():
        names = [name, f"network.{name}", *other_names.get(name, [])]
        ours = next((found[known] for known in names if known in found), None)
        error = numpy.inf
        if ours is not None and ours.shape == gradient.shape:
            difference = numpy.linalg.norm(ours.astype(numpy.float64) - gradient)
            error = float(difference / max(numpy.linalg.norm(gradient), floor))
        if not error <= worst:  # Not a number is worse than anything.
            worst, where = error, name
    return worst, where


class Step:
    """One export on one device: compiled, run, compared."""

    def __init__(self, args, folder, exporter, device, peer):
        self.result = {"exporter": exporter, "device": device}
        self.tools = args.build / "bin"
        self.timeout = args.timeout
        reason = folder / f"{exporter}.error"
        if reason.exists():
            self.result["not_exported"] = reason.read_text().strip().splitlines()[0][:200]
            return
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            scratch = pathlib.Path(scratch)
            try:
                self.take(args, folder, scratch, peer)
            except subprocess.TimeoutExpired as expired:
                self.result["error"] = f"{expired.cmd[0]} took more than {self.timeout} s"

    def run(self, program, *arguments):
        done = subprocess.run([str(self.tools / program), *map(str, arguments)], check=False,
                              capture_output=True, text=True, timeout=self.timeout)
        if done.returncode != 0:
            self.result["error"] = done.stderr.strip()[:2000] or f"exit {done.returncode}"
            return None
        return done.stdout

    def take(self, args, folder, scratch, peer):
        device = self.result["device"]
        plan, gradients = scratch / "m.plan", scratch / "g.safetensors"
        if self.run("wsic", "compile", folder / f"{self.result['exporter']}.onnx", "-o", plan,
                    "--norm", "train", "--device", device) is None:
            return
        said = self.run("wsirun", "grad", plan, "--input", folder / "x.npy", "--target",
                        folder / "y.npy", "-o", gradients, "--threads", args.threads, "--json")
        if said is None:
            return
        loss = json.loads(said)["loss"]
        worst, where = compare(read_safetensors(gradients),
                               read_safetensors(folder / "grads.safetensors"),
                               peer["other_names"])
        limit = TOLERANCE[device]
        loss_limit = limit
        if device == "cpu":
            limit = max(limit, 4 * peer["fp32_error"])
            loss_limit = max(1e-4, 4 * peer["fp32_loss_error"])
        loss_error = abs(loss - peer["loss"]) / max(1.0, abs(peer["loss"]))
        self.result |= {"loss_error": loss_error, "worst": where, "error_norm": worst,
                        "limit": limit, "agrees": worst <= limit and loss_error <= loss_limit}
        if device == "cpu":
            timed = self.run("wsirun", "bench", plan, "--threads", args.threads, "--steps", 3,
                             "--warmup", 1, "--json")
            if timed is not None:
                self.result["step_ms"] = json.loads(timed)["step_ms_median"]


def verdict(result):
    if "not_exported" in result:
        return "not exported"
    if "error" in result:
        return "FAILS"
    return "agrees" if result["agrees"] else "DIFFERS"


def check(args, network, folder):
    peer = export(args, network, folder)
    if "error" in peer:
        return {"network": network, "error": peer["error"], "steps": []}
    steps = [Step(args, folder, exporter, device, peer).result
             for device in args.devices.split(",") for exporter in args.exporters.split(",")]
    return {"network": network, "size": peer["size"], "batch": peer["batch"],
            "parameters": peer["parameters"], "fp32_error": peer["fp32_error"],
            "versions": f"PyTorch {peer['torch']}, torchvision {peer['torchvision']}, "
                        f"timm {peer['timm']}", "steps": steps}


def report(result):
    if "error" in result:
        print(f"{result['network']}: PyTorch: {result['error']}", flush=True)
    for step in result["steps"]:
        line = f"{result['network']} {step['exporter']} {step['device']}: {verdict(step)}"
        if "agrees" in step:
            line += (f", loss {step['loss_error']:.1e}, worst {step['error_norm']:.1e} of "
                     f"{step['limit']:.0e} ({step['worst']})")
            if "step_ms" in step:
                line += f", {step['step_ms']:.1f} ms"
        print(line, flush=True)
        for key in ("error", "not_exported"):
            if key in step:
                print("    " + step[key].replace("\n", "\n    "), flush=True)


def passes(result):
    return "error" not in result and all(verdict(s) in ("agrees", "not exported")
                                         for s in result["steps"])


def cell(result, exporter, device):
    found = [s for s in result["steps"] if (s["exporter"], s["device"]) == (exporter, device)]
    if not found:
        return ""
    step = found[0]
    return f"{step['error_norm']:.0e}" if verdict(step) == "agrees" else verdict(step)


def markdown(results):
    columns = [(e, d) for d in TOLERANCE for e in EXPORTERS]
    lines = ["| network | input | parameters | PyTorch fp32 | " +
             " | ".join(f"{EXPORTERS[e]}, {d}" for e, d in columns) + " |",
             "|---|---|---|---|" + "---|" * len(columns)]
    for result in sorted(results, key=lambda r: r["network"].split(":")[1]):
        name = result["network"].split(":")[1]
        if "error" in result:
            lines.append(f"| {name} | | | | {result['error']} |" + " |" * (len(columns) - 1))
            continue
        lines.append(f"| {name} | {result['batch']}x{result['size']}x{result['size']} | "
                     f"{result['parameters'] / 1e6:.1f} M | {result['fp32_error']:.0e} | " +
                     " | ".join(cell(result, *column) for column in columns) + " |")
    return "\n".join(lines) + "\n"


def main():
    args = parse_arguments()
    names = [name for name in NETWORKS if re.search(args.only, name)]
    if not names:
        sys.exit(f"no network's name has {args.only!r}; network_list.py lists them")
    known = {}
    if args.json and args.json.exists():
        known = {r["network"]: r for r in json.loads(args.json.read_text())}
    if args.missing:
        names = [name for name in names if name not in known]
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or pathlib.Path(temporary)
        for name in names:
            folder = work / name.replace(":", "-")
            result = check(args, name, folder)
            report(result)
            known[name] = result
            if args.json:
                args.json.write_text(json.dumps(list(known.values()), indent=1))
            if passes(result) or not args.work:
                shutil.rmtree(folder, ignore_errors=True)
    if args.markdown:
        args.markdown.write_text(markdown(known.values()))
    good = sum(passes(known[name]) for name in names)
    print(f"{good} of {len(names)} networks agree")
    sys.exit(0 if good == len(names) else 1)


if __name__ == "__main__":
    main()
