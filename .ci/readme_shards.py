"""Runs the commands of the README's section about shards, and compares what they print with what it shows.

Usage: readme_shards.py PROGRAM
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

SECTION = "## More than one machine\n"
PROGRAM = pathlib.Path(sys.argv[1]).resolve()

section = pathlib.Path("README.md").read_text().split(SECTION)[1].split("\n## ")[0]
(block,) = re.findall(r"^```console\n(.*?)^```$", section, re.M | re.S)
commands = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M)
environment = {**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
server = subprocess.Popen([PROGRAM, "serve"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
try:
    address = server.stdout.readline().strip()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for command, shown in commands:
            command = command.replace("http://127.0.0.1:8000", address)
            ran = subprocess.run(
                ["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
            )  # fmt: skip
            assert ran.stdout == shown, f"{command}\n{ran.stdout}\nREADME:\n{shown}"
        for expected in pathlib.Path("testdata/rankings").iterdir():
            merged = folder / "rankings" / expected.name
            assert merged.read_bytes() == expected.read_bytes(), merged
    print(f"the README's {len(commands)} commands about shards print what it shows")
finally:
    server.kill()
    server.wait()
