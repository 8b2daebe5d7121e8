"""Plans that keep part of themselves in a file: where it may be, and that nothing is left."""
import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

import numpy

from programs import RESOURCES, USAGE, ProgramTest, command


class Spill(ProgramTest):
    def setUp(self):
        super().setUp()
        self.plan = self.folder / "spill.plan"
        self.file_bytes = int(subprocess.run(
            [os.environ["WSI_RANDOM_PLAN"], "3", self.plan], check=True, capture_output=True,
            text=True).stdout)
        self.assertGreater(self.file_bytes, 4096)
        self.spill = self.folder / "spill"
        self.spill.mkdir()
        for i in range(2):
            values = numpy.linspace(-1, 1 + i, 1024, dtype=numpy.float32)
            numpy.save(self.folder / f"x{i}.npy", values[None])

    def refuse(self, code, *options, saying=(), **environment):
        before = self.snapshot()
        line = self.fail_with(code, "wsirun", "bench", self.plan, "--steps", 1, *options,
                              saying=saying, env={**os.environ, **environment})
        self.assertEqual(self.snapshot(), before)
        return line

    def inputs(self):
        return ("--input", self.folder / "x0.npy", "--input", self.folder / "x1.npy")

    def test_every_command_that_runs_plans_takes_a_folder(self):
        results = []
        for i in range(2):
            output = self.folder / f"y{i}.npy"
            self.succeed("wsirun", "infer", self.plan, *self.inputs(), "-o", output,
                         "--spill-dir", self.spill, "--spill-mem", f"{self.file_bytes}B")
            results.append(numpy.load(output))
        numpy.testing.assert_array_equal(*results)
        target = self.folder / "x1.npy"
        done = self.succeed("wsirun", "grad", self.plan, *self.inputs(), "--target", target,
                            "-o", self.folder / "g.safetensors", "--json", "--spill-dir",
                            self.spill)
        self.assertTrue(numpy.isfinite(json.loads(done.stdout)["loss"]))
        self.succeed("wsirun", "bench", self.plan, "--steps", 2, "--spill-dir", self.spill)
        self.assertEqual(list(self.spill.iterdir()), [])

    def test_no_folder(self):
        self.refuse(USAGE, saying=("--spill-dir", f"({self.file_bytes} bytes)"))

    def test_no_size(self):
        self.refuse(USAGE, "--spill-dir", self.spill, "--spill-mem", "much", saying="--spill-mem")

    def test_folder_that_is_none(self):
        (self.folder / "file").write_text("x")
        for folder, reason in (("missing", "No such file"), ("file", "Not a directory")):
            with self.subTest(folder=folder):
                self.refuse(RESOURCES, "--spill-dir", self.folder / folder,
                            saying=(reason, folder, f"({self.file_bytes} bytes)"))

    def test_folder_where_nothing_can_be_written(self):
        if not pathlib.Path("/sys/kernel").is_dir():
            self.skipTest("no /sys")
        self.refuse(RESOURCES, "--spill-dir", "/sys/kernel", saying=f"({self.file_bytes} bytes)")

    def test_less_than_the_plan_needs(self):
        line = self.refuse(RESOURCES, "--spill-dir", self.spill, "--spill-mem", "4KiB",
                           saying=("--spill-mem allows 4.0 KiB", f"{self.file_bytes}B"))
        works = line.split("raise it to ")[1].split()[0]
        self.succeed("wsirun", "bench", self.plan, "--steps", 1, "--spill-dir", self.spill,
                     "--spill-mem", works)

    def test_full_disk(self):
        if os.environ.get("WSI_SANITIZE"):
            self.skipTest("the sanitizer's runtime must come first")
        self.refuse(RESOURCES, "--spill-dir", self.spill, LD_PRELOAD=os.environ["WSI_FULL_DISK"],
                    WSI_DISK_BYTES="4096", saying=("available", f"({self.file_bytes} bytes)"))

    def test_killed(self):
        with subprocess.Popen(command("wsirun", "bench", self.plan, "--steps", 10**8,
                                      "--spill-dir", self.spill)) as process:
            deadline = time.monotonic() + 30
            while not self.spills(process.pid) and time.monotonic() < deadline:
                time.sleep(0.01)
            self.assertTrue(self.spills(process.pid))
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.assertEqual(list(self.spill.iterdir()), [])

    def spills(self, pid):
        """Whether the process has a file open in the spill folder."""
        links = []
        for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            try:
                links.append(os.readlink(descriptor))
            except OSError:  # Closed meanwhile.
                pass
        return any(link.startswith(f"{self.spill}/") for link in links)


if __name__ == "__main__":
    unittest.main()
