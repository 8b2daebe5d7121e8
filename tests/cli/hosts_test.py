"""Several hosts, as network namespaces of this machine, with MPI over TCP between them.

        [switch: bridge]
         |            |
    [host 1: 2 ranks] [host 2: 2 ranks]      10.213.0.1, 10.213.0.2
"""
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from ranks import ENVIRONMENT, IS_MPICH, LAUNCHER, RanksTest, all_processes, is_rank

HOSTS = 2
SUBNET = "10.213.0"


def ip(*words):
    return subprocess.run(["ip", *map(str, words)], capture_output=True, text=True, check=False)


def why_not():
    if not LAUNCHER:
        return "built without MPI"
    if os.geteuid() != 0:
        return "network namespaces want root"
    if not shutil.which("ip") or not shutil.which("unshare"):
        return "no ip or unshare here"
    name = f"wsi{os.getpid()}-try"
    added = ip("netns", "add", name)
    if added.returncode == 0:
        added = ip("-n", name, "link", "add", "b0", "type", "bridge")
        ip("netns", "del", name)
    return f"no network namespaces here: {added.stderr.strip()}" if added.returncode else ""


class Hosts(RanksTest):
    def setUp(self):
        reason = why_not()
        if reason:
            self.skipTest(reason)
        super().setUp()
        self.switch = self.namespace("switch")
        self.checked("-n", self.switch, "link", "add", "bridge", "type", "bridge")
        self.checked("-n", self.switch, "link", "set", "bridge", "up")
        self.hosts = [f"{SUBNET}.{i + 1}" for i in range(HOSTS)]
        self.names = {host: self.namespace(f"host{i}") for i, host in enumerate(self.hosts)}
        for i, (host, name) in enumerate(self.names.items()):
            self.checked("-n", self.switch, "link", "add", f"port{i}", "type", "veth", "peer", "name",
                         "wsi0", "netns", name)
            self.checked("-n", self.switch, "link", "set", f"port{i}", "master", "bridge", "up")
            self.checked("-n", name, "addr", "add", f"{host}/24", "dev", "wsi0")
            for device in ("wsi0", "lo"):
                self.checked("-n", name, "link", "set", device, "up")
        self.agent = self.folder / "agent"
        self.agent.write_text(AGENT.format(prefix=f"wsi{os.getpid()}-"))
        self.agent.chmod(0o755)

    def checked(self, *words):
        done = ip(*words)
        self.assertEqual(done.returncode, 0, f"ip {words}: {done.stderr}")

    def namespace(self, name):
        name = f"wsi{os.getpid()}-{name}"
        self.checked("netns", "add", name)
        self.addCleanup(ip, "netns", "del", name)
        return name

    def on_hosts(self, words):
        """Two ranks a host, from the first host on."""
        if IS_MPICH:
            launcher = [LAUNCHER, "-launcher", "ssh", "-launcher-exec", str(self.agent), "-hosts",
                        ",".join(f"{host}:2" for host in self.hosts), "-iface", "wsi0"]
        else:
            launcher = [LAUNCHER, "--host", ",".join(f"{host}:2" for host in self.hosts)]
            for name, value in (("plm_rsh_agent", self.agent), ("pml", "ob1"),
                                ("btl", "tcp,self"), ("btl_tcp_if_include", f"{SUBNET}.0/24"),
                                ("oob_tcp_if_include", f"{SUBNET}.0/24")):
                launcher += ["--mca", name, str(value)]
        command = [*launcher, "-n", str(2 * HOSTS), *words]
        environment = dict(ENVIRONMENT, UCX_TLS="tcp", UCX_NET_DEVICES="wsi0")
        process = subprocess.Popen([str(self.agent), self.hosts[0], *command], env=environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   start_new_session=True)
        self.addCleanup(process.wait)
        self.addCleanup(self.kill, process)
        self.addCleanup(process.stderr.close)
        return process

    @staticmethod
    def kill(process):
        """With the launcher below it."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def test_hosts_give_the_bits_of_one_rank(self):
        options = ("--deterministic", "--optimizer", "adam")
        one = self.trained(1, self.plan(4, *options), "one", "--epochs", 3)
        process = self.on_hosts(self.train(self.plan(1, *options), "many", "--epochs", 3))
        _, messages = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, messages)
        self.assertEqual((self.folder / "many" / "last.safetensors").read_bytes(), one)

    def test_a_host_is_cut_off(self):
        plan = self.plan(1, "--deterministic", "--optimizer", "adam")
        process = self.on_hosts(self.train(plan, "run", "--epochs", 100000, "--comm-timeout", 2))
        events = self.folder / "run" / "events.jsonl"
        while process.poll() is None and not (
                events.exists() and '"event":"step"' in events.read_text(encoding="utf-8")):
            time.sleep(0.01)
        ranks = [child for child in all_processes() if is_rank(child, self.folder)]
        self.assertEqual(len(ranks), 2 * HOSTS)
        self.checked("-n", self.switch, "link", "set", "port1", "down")
        began = time.monotonic()
        self.assert_gone(ranks, 2 + 10)
        print(f"gone in {time.monotonic() - began:.1f} s ", end="", flush=True)
        self.kill(process)
        status = json.loads((self.folder / "run" / "status.json").read_text())
        self.assertEqual(status["phase"], "failed")
        # Of whichever host was the first to give up, for it is the other's that it misses.
        self.assertRegex(status["operation"], f"rank {status['rank']} did not take part")
        self.assertNotEqual(status["rank"] // 2, status["told_by"] // 2)


# In the place of ssh: agent [OPTION]... HOST COMMAND...
AGENT = """#!/bin/sh
while [ "${{1#-}}" != "$1" ]; do shift; done
host=$1
shift
number=$((${{host##*.}} - 1))
exec ip netns exec {prefix}host$number unshare --uts sh -c "hostname {prefix}host$number; $*"
"""

if __name__ == "__main__":
    unittest.main()
