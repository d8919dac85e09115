"""Runs the commands of the README's section about lists of pages, for fetch.py.

They must print what the README shows, times, speeds and widths of columns aside. A line `…` stands for any
lines.
"""

import os
import pathlib
import re
import signal
import sqlite3
import subprocess

from fetch_servers import accepts, free_ports, wait_for

SECTION = "## Any list of pages\n"
MOST_LINES = 30
# The places of the servers in the section: that of the program, and http.server.
PORTS = ("8000", "8001")
# Position, status, address, numbers; then the milliseconds.
ROW = re.compile(r"^( *\d+ +(?:\d{3}|–) +\S+(?: +[\d,]+)* +)\d+(?= {3}|$)")


def normal(line):
    """The line without what differs from run to run."""
    line = ROW.sub(r"\1MS", line)
    line = re.sub(r"[\d.]+ s, \d+ pages/s", "TIME", line)
    line = re.sub(r"\d+ of them from", "SOME of them from", line)
    return " ".join(re.sub("─+", "", line).split())


def pattern(shown):
    """A regular expression for what a command prints, by the lines that the README shows of it."""
    lines = [normal(line) for line in shown.splitlines()]
    return "".join(r"(?:.*\n)*?" if line == "…" else re.escape(line) + "\n" for line in lines)


def run(program, folder):
    folder.mkdir()
    readme = pathlib.Path("README.md").read_text()
    section = readme.split(SECTION)[1].split("\n## ")[0].strip()
    assert len(section.splitlines()) <= MOST_LINES, section
    (block,) = re.findall(r"^```console\n(.*?)^```$", section, re.M | re.S)
    ports = free_ports(len(PORTS))
    for old, new in zip(PORTS, ports):
        block = block.replace(f":{old}", f":{new}").replace(f" {old} ", f" {new} ")
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    for name in ("NO_COLOR", "CLICOLOR_FORCE", "COLUMNS"):
        environment.pop(name, None)
    # What the section takes for granted.
    (folder / "notes.txt").write_text("3M Co., Corp. and Inc.\n")
    subprocess.run([program, "--from", "replica", "--quiet"], cwd=folder, check=True, stderr=subprocess.DEVNULL)
    commands = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M)
    servers = []
    try:
        for command, shown in commands:
            start = {"cwd": folder, "env": environment, "stdin": subprocess.DEVNULL, "text": True}
            if command.endswith(" &"):
                servers.append(subprocess.Popen(
                    ["bash", "-c", "exec " + command.removesuffix(" &")],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **start))  # fmt: skip
                port = ports[len(servers) - 1]
                wait_for(lambda: accepts(port), command)
                continue
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **start
            )
            if shown.startswith("^C\n"):
                shown = shown.removeprefix("^C\n")
                saved = folder / "pages"
                wait_for(lambda: saved.exists() and any(saved.glob("*-stock")), "a saved page")
                process.send_signal(signal.SIGINT)
            printed, _ = process.communicate(timeout=60)
            printed = "".join(normal(line) + "\n" for line in printed.splitlines())
            assert re.fullmatch(pattern(shown), printed), f"{command}\n{printed}\nREADME:\n{shown}"
        assert len(servers) == len(PORTS)
        database = sqlite3.connect(folder / "figures.sqlite")
        assert database.execute("SELECT count(*) FROM dearest").fetchall() == [(10,)]
        database.close()
        print(f"the README's {len(commands)} commands print what it shows")
    finally:
        for server in servers:
            server.kill()
            server.wait()
