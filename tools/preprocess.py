#!/usr/bin/env python3
"""Prints the preprocessed text of one source with the flags of a build folder, the same in
every checkout: the checkout's own path is taken out.

usage: preprocess.py BUILD_FOLDER SOURCE
"""
import json
import os
import re
import shlex
import subprocess
import sys

build, source = sys.argv[1:]
source = os.path.abspath(source)
for entry in json.load(open(os.path.join(build, "compile_commands.json"))):
    if os.path.abspath(os.path.join(entry["directory"], entry["file"])) == source:
        command = shlex.split(entry["command"])
        # Everything before the compiler is its launcher.
        del command[:next(i for i, word in enumerate(command) if re.search(r"(\+\+|cc)$", word))]
        at = command.index("-o")
        del command[at:at + 2]
        at = command.index("-c")
        command[at:at + 1] = ["-E", "-P"]
        done = subprocess.run(command, cwd=entry["directory"], stdout=subprocess.PIPE)
        sys.stdout.buffer.write(done.stdout.replace(os.getcwd().encode(), b""))
        sys.exit(done.returncode)
sys.exit(f"{source} is not in {build}/compile_commands.json")
