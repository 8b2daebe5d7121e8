"""Ranks killed and stopped at random moments, and what a resumed run would miss."""
import concurrent.futures
import ctypes
import ctypes.util
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import time
import unittest

from programs import write_tiny_model
from ranks import ALL, ENVIRONMENT, LAUNCHER, RanksTest, children, is_rank

KILLS = 20
STOPS = 5  # Of them.
RUNS = 4  # At the same time.
CHECKPOINT_KILLS = 100 if ALL else 20
SEED = int(os.environ.get("WSI_RANDOM_SEED", time.time_ns() % 100000))


class Chaos(RanksTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        print(f"WSI_RANDOM_SEED={SEED} ", end="", flush=True)

    def launch(self, ranks, plan, name, *options):
        launcher = [LAUNCHER, "-n", str(ranks)] if ranks > 1 else []
        process = subprocess.Popen([*launcher, *self.train(plan, name, *options)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=ENVIRONMENT)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    @staticmethod
    def strike(chance, process, kind):
        """Sends a rank the signal at a random moment, be it of the start; None: all were done."""
        started = []
        while process.poll() is None and len(started) < 2:
            started = [child for child in children(process.pid) if is_rank(child)]
            time.sleep(0.002)
        time.sleep(chance.random() * 0.6)
        try:
            os.kill(chance.choice(started), kind)
        except (IndexError, ProcessLookupError):
            return None
        return started

    def survive(self, plan, options, name, kinds, whole):
        """Two ranks are struck and resumed until the signals are used up, and end as undisturbed."""
        chance = random.Random(f"{SEED} {name}")
        run, timeout = 0, 1
        while kinds:
            process = self.launch(2, plan, f"{name}.{run}", *options, "--resume", "auto",
                                  "--comm-timeout", timeout)
            ranks = self.strike(chance, process, kinds[-1])
            if ranks is not None:
                self.assert_gone(ranks, timeout + 10)
                kinds.pop()
            try:
                run += process.wait(timeout=5) == 0  # Done before the signal came, or in spite of it.
            except subprocess.TimeoutExpired:
                process.kill()  # Open MPI's launcher locks itself up in one of a hundred times.
        for i in range(run + 1):
            self.assertEqual(self.trained(2, plan, f"{name}.{i}", *options, "--resume", "auto"),
                             whole)

    @unittest.skipUnless(LAUNCHER, "built without MPI")
    def test_ranks_die_and_stall_at_random_moments(self):
        plan = self.plan(1, "--deterministic", "--optimizer", "adam")
        options = ("--epochs", 12, "--checkpoint-steps", 3)
        whole = self.trained(2, plan, "whole", *options)
        kinds = [signal.SIGSTOP] * STOPS + [signal.SIGKILL] * (KILLS - STOPS)
        self.random.shuffle(kinds)
        # They wait more than they work.
        with concurrent.futures.ThreadPoolExecutor(RUNS) as pool:
            runs = [pool.submit(self.survive, plan, options, f"run{i}", kinds[i::RUNS], whole)
                    for i in range(RUNS)]
            for survived in runs:
                survived.result()

    def test_kills_during_checkpoints(self):
        plan = self.plan(1, "--deterministic", "--optimizer", "adam")
        options = ("--epochs", 1000000, "--checkpoint-steps", 1)
        checkpoints = self.folder / "run" / "checkpoints"
        for _ in range(CHECKPOINT_KILLS):
            process = self.launch(1, plan, "run", *options, "--resume", "auto")
            before = self.latest(checkpoints)
            while self.latest(checkpoints) == before or not list(checkpoints.glob("*.tmp")):
                self.assertIsNone(process.poll(), f"not resumable behind {before}")
            time.sleep(self.random.random() * 0.005)
            process.kill()
            process.wait()
        epoch = 8  # Steps; each writes last.safetensors.
        steps = (int(self.latest(checkpoints).partition("-")[2]) // epoch + 1) * epoch
        whole = self.trained(1, plan, "whole", "--max-steps", steps, *options)
        self.assertEqual(self.trained(1, plan, "run", "--max-steps", steps, *options, "--resume",
                                      "auto"), whole)

    @staticmethod
    def latest(checkpoints):
        try:
            return (checkpoints / "LATEST").read_text().strip()
        except FileNotFoundError:
            return "step-0"


class WhatAResumedRunNeeds(RanksTest):
    """A resume that leaves something out gives other weights: the comparison would notice."""

    def setUp(self):
        super().setUp()
        write_tiny_model(self.model, dropout=True)
        self.options = ("--epochs", 3, "--loss-scale", 2.0 ** 22)
        self.plan_path = self.plan(1, "--deterministic", "--optimizer", "adam", "--precision",
                                   "fp16")
        self.whole = self.trained(1, self.plan_path, "whole", *self.options)
        done = self.on_ranks(1, self.train(self.plan_path, "parts", *self.options, "--max-steps",
                                           2))
        self.assertEqual(done.returncode, 0, done.stderr)

    def resumed(self, change):
        shutil.rmtree(self.folder / "copy", ignore_errors=True)
        shutil.copytree(self.folder / "parts", self.folder / "copy")
        checkpoints = self.folder / "copy" / "checkpoints"
        change(checkpoints / (checkpoints / "LATEST").read_text().strip())
        return self.trained(1, self.plan_path, "copy", *self.options, "--resume", "auto")

    def test_each_part_of_a_checkpoint(self):
        def trainer(**values):
            def change(checkpoint):
                state = json.loads((checkpoint / "trainer.json").read_text())
                for name in values:
                    self.assertNotEqual(state[name], values[name], name)
                replace(checkpoint, "trainer.json", json.dumps(state | values).encode())
            return change

        def zero_moments(checkpoint):
            contents = (checkpoint / "optimizer.safetensors").read_bytes()
            header = 8 + struct.unpack("<Q", contents[:8])[0]
            replace(checkpoint, "optimizer.safetensors",
                    contents[:header] + bytes(len(contents) - header))

        self.assertEqual(self.resumed(lambda checkpoint: None), self.whole)
        for name, change in (("optimizer state", zero_moments),
                             ("data position", trainer(position=0)),
                             ("loss scale", trainer(loss_scale=2.0 ** 22)),
                             ("random state: epoch", trainer(epoch=0)),
                             ("random state: step", trainer(step=0))):
            with self.subTest(left_out=name):
                self.assertNotEqual(self.resumed(change), self.whole)

    def test_the_seed(self):
        done = self.on_ranks(1, [*self.train(self.plan_path, "parts", *self.options, "--resume",
                                             "auto"), "--seed", "4"])
        self.assertEqual(done.returncode, 2, done.stderr)


def replace(checkpoint, name, contents):
    """Changes a file of a checkpoint, and the manifest that would tell."""
    (checkpoint / name).write_bytes(contents)
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for file in manifest["files"]:
        if file["name"] == name:
            file.update(bytes=len(contents), xxh3_128=xxh3_128(contents))
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))


class Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def xxh3_128(contents):
    library = ctypes.CDLL(ctypes.util.find_library("xxhash"))
    library.XXH3_128bits.restype = Hash128
    library.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    result = library.XXH3_128bits(contents, len(contents))
    return f"{result.high:016x}{result.low:016x}"


if __name__ == "__main__":
    unittest.main()
