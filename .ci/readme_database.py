"""Runs the section about the database in the README: its crontab line, its commands, its Python.

The commands must print what the README shows, times and widths of columns aside.

    readme_database.py path/to/indexrank
"""

import os
import pathlib
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile

import duckdb
import duckdb_extension_sqlite_scanner
import pandas

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
SECTION = "## Since yesterday\n"


def blocks(readme):
    """The blocks of code in the section, each with its language."""
    section = readme.split(SECTION)[1].split("\n## ")[0]
    return re.findall(r"^```(\w+)\n(.*?)^```$", section, re.M | re.S)


def normal(text):
    """The text without what differs from run to run."""
    text = re.sub(r"\d{4}-\d\d-\d\d\s+\d\d:\d\d", "TIME", text)
    return " ".join(re.sub("─+", "", text).split())


def run_console(block, folder, environment):
    """Runs each command, and compares what it prints."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    commands = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M)
    assert len(commands) == 5, commands
    servers = []
    try:
        for command, expected in commands:
            command = command.replace("8000", port)
            if command.endswith("&"):
                words = ["bash", "-c", "exec " + command.rstrip("& ")]
                server = subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
                servers.append(server)
                assert server.stdout.readline().strip().endswith(port)
                continue
            done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)
            # Merck's 52-week low looks wrong in every run of the embedded market.
            assert done.returncode in (0, 3), (command, done)
            expected = expected.replace("8000", port)
            assert normal(done.stdout) == normal(expected), f"{command}\n{done.stdout}\nREADME:\n{expected}"
            assert done.stderr == "", (command, done.stderr)
    finally:
        for server in servers:
            server.kill()


def run_crontab(line, home, environment):
    """Runs the command of the line, on the embedded market, as cron does."""
    command = re.fullmatch(r"(?:\S+\s+){5}(.*)\n", line)[1]
    assert "%" not in command, "cron would take it for a new line"
    command = command.replace("indexrank --quiet", "indexrank --from replica --quiet")
    (home / "market").mkdir()
    for run in (1, 2):
        done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True)
        if run == 1:
            assert done.returncode == 2 and "only one complete run" in done.stderr, done
        else:
            assert done.returncode == 0 and "no price or P/E ratio has changed" in done.stdout, done


def main():
    folder = pathlib.Path(tempfile.mkdtemp())
    environment = {**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "HOME": str(folder)}
    environment.pop("NO_COLOR", None)
    try:
        code = blocks(pathlib.Path("README.md").read_text())
        assert [language for language, _ in code] == ["crontab", "console", "python"], code
        run_crontab(code[0][1], folder, environment)
        run_console(code[1][1], folder, environment)
        os.chdir(folder)
        extension = pathlib.Path(duckdb_extension_sqlite_scanner.__path__[0])
        (extension,) = extension.rglob("*.duckdb_extension")
        duckdb.sql(f"LOAD '{extension}'")
        names = {"duckdb": duckdb, "pandas": pandas, "sqlite3": sqlite3}
        lines = [line for line in code[2][1].splitlines() if line]
        values = []
        for line in lines:
            try:
                values.append(eval(line, names))
            except SyntaxError:
                exec(line, names)
        _, medians, largest = values
        rows = medians.fetchall()
        assert [row[1] for row in rows] == [496, 495] and abs(rows[0][2] - 23) < 10, rows
        assert len(names["changes"]) == 496 and len(largest) == 10
        assert pandas.isna(names["changes"].loc["NVR", "price_after"])
        assert (names["changes"]["price_change"].dropna() == 0).all()
        print("the README's commands print what it shows; DuckDB and pandas read the database")
    finally:
        shutil.rmtree(folder)


main()
