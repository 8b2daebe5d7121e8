"""Starts ranks on this machine, and looks at what becomes of them."""
import os
import pathlib
import subprocess
import time

from programs import ProgramTest, command, write_tiny_model

LAUNCHER = os.environ.get("WSI_MPI_LAUNCHER", "")
IS_MPICH = LAUNCHER and "HYDRA" in subprocess.run(
    [LAUNCHER, "--version"], capture_output=True, text=True, check=False).stdout
PEER = 7
RECORD_EXIT = pathlib.Path(__file__).with_name("record_exit.sh")
# Also where ranks are more than cores, and as root, as in a container.
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   OMPI_MCA_rmaps_base_oversubscribe="1")
# Every optimizer, precision and number of ranks, which takes a minute.
ALL = os.environ.get("WSI_ALL_RANKS") == "1"


def children(process):
    """The process ids below `process`, by command."""
    found = []
    for path in pathlib.Path(f"/proc/{process}/task").glob("*/children"):
        try:
            for child in path.read_text().split():
                found += [int(child), *children(int(child))]
        except OSError:
            continue
    return found


def all_processes():
    """Every process id."""
    return [int(path.name) for path in pathlib.Path("/proc").iterdir() if path.name.isdigit()]


def is_rank(process, folder=""):
    """Whether it is a wsirun, with `folder` in its words."""
    try:
        return (pathlib.Path(f"/proc/{process}/comm").read_text().strip() == "wsirun"
                and str(folder) in pathlib.Path(f"/proc/{process}/cmdline").read_text())
    except OSError:
        return False


def is_alive(process):
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


class RanksTest(ProgramTest):
    """A test with slides, a model, and runs of it on several ranks."""

    def setUp(self):
        super().setUp()
        self.manifest = self.make_slides(12, test_fraction=0.34)
        self.codes = self.folder / "codes"
        self.model = self.folder / "tiny.onnx"
        write_tiny_model(self.model)

    def plan(self, accumulate, *options):
        path = self.folder / f"{'-'.join(map(str, (accumulate, *options)))}.plan"
        if not path.exists():
            self.succeed("wsic", "compile", self.model, "-o", path, "--norm", "frozen",
                         "--accumulate", accumulate, *(options or ("--optimizer", "momentum")))
        return path

    def train(self, plan, name, *options):
        return command("wsirun", "train", plan, "--slides", self.manifest, "--run-dir",
                       self.folder / name, "--val-split", "test", "--threads", 1, "--seed", 3,
                       *options)

    def on_ranks(self, ranks, words):
        launcher = [LAUNCHER, "-n", str(ranks)] if ranks > 1 else []
        return subprocess.run([*launcher, *words], capture_output=True, text=True, check=False,
                              timeout=120, env=ENVIRONMENT)

    def trained(self, ranks, plan, name, *options):
        done = self.on_ranks(ranks, self.train(plan, name, *options))
        self.assertEqual(done.returncode, 0, done.stderr)
        return (self.folder / name / "last.safetensors").read_bytes()

    def start(self, ranks, plan, name, *options):
        """A run under way: its launcher, and its ranks once one step is done. What these end
        with is in self.codes, by process."""
        self.codes.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [LAUNCHER, "-n", str(ranks), str(RECORD_EXIT), str(self.codes),
             *self.train(plan, name, *options)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stderr.close)
        events = self.folder / name / "events.jsonl"
        while process.poll() is None and not (
                events.exists() and '"event":"step"' in events.read_text(encoding="utf-8")):
            time.sleep(0.005)
        return process, [child for child in children(process.pid) if is_rank(child)]

    def assert_gone(self, processes, seconds=10):
        deadline = time.monotonic() + seconds
        while any(map(is_alive, processes)) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual([process for process in processes if is_alive(process)], [])
