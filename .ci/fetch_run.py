"""Runs `indexrank fetch` for fetch.py, and reads its rows."""

import json
import pathlib
import subprocess
import sys

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
MEGABYTE = 1_000_000


def start(folder, *arguments, **more):
    return subprocess.Popen(
        [PROGRAM, "fetch", "--quiet", *map(str, arguments)],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more,
    )  # fmt: skip


def fetch(folder, *arguments, exit=0):
    """Runs the program. Returns what it prints on stderr."""
    process = start(folder, *arguments)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == exit, (arguments, process.returncode, errors)
    return errors


def rows(file):
    """The rows of NDJSON in the order of the file, each without the time that it took."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row in rows:
        assert (row.pop("ms") is None) == (row["status"] is None and row["bytes"] is None), row
    return rows


def table(folder, *arguments, exit=0):
    """Runs the program. Returns its rows in the order of the list, and what it prints on stderr."""
    (folder / "table.ndjson").unlink(missing_ok=True)
    errors = fetch(folder, *arguments, "--table", "table.ndjson", exit=exit)
    found = sorted(rows(folder / "table.ndjson"), key=lambda row: row["position"])
    assert [row["position"] for row in found] == list(range(1, len(found) + 1))
    return found, errors
