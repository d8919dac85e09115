"""Kills a run at each system call of its append, and fails each of these calls, by strace(1).

After each, the database is whole and has all runs of before, and the next run is appended to it. A run
that says that it is appended is there. What is done at the first run, which creates the file, is tried too.

    store_faults.py path/to/indexrank
"""

import collections
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
COMPANIES = 40
# Those by which SQLite writes; reads and locks change nothing.
CALLS = ["openat", "pwrite64", "write", "fsync", "fdatasync", "ftruncate", "unlink"]
DATABASE = "market.sqlite"


def run(folder, archive, *before, more=()):
    words = [*before, PROGRAM, "--from", archive, "-q", "--db", DATABASE, *more]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)


def traced(folder, *inject):
    """strace of the calls on the database, its journal, and their folder."""
    paths = [folder, folder / DATABASE, folder / (DATABASE + "-journal")]
    return ["strace", "-f", "-qq", "-o", folder / "calls",
            "-e", "trace=" + ",".join(CALLS), *(f"--trace-path={path}" for path in paths), *inject]  # fmt: skip


def runs(folder):
    """The exit codes of the runs, after a check of the whole file."""
    database = sqlite3.connect(folder / DATABASE)
    try:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        counts = database.execute(
            "SELECT exit, error IS NULL,"
            " (SELECT count(*) FROM quotes WHERE quotes.run = runs.run),"
            " (SELECT count(*) FROM places WHERE places.run = runs.run)"
            " FROM runs ORDER BY run"
        ).fetchall()
    finally:
        database.close()
    for exit, is_complete, quotes, places in counts:
        whole = (COMPANIES, 40) if is_complete else (0, 0)
        assert (quotes, places) == whole, (exit, quotes, places)
    return [exit for exit, *_ in counts]


def attempt(folder, archive, inject, before):
    first = run(folder, archive, *traced(folder, inject))
    # strace ends as the process that it traces.
    assert first.returncode in (0, 7, 137, -9), (inject, first.returncode, first.stderr)
    if first.returncode == 7:
        assert "cannot write market.sqlite" in first.stderr, (inject, first.stderr)
    path = folder / DATABASE
    hot = (folder / (DATABASE + "-journal")).exists()
    if path.exists() and path.stat().st_size and not hot:
        # A reader finds the runs of before, and this one if it says so.
        found = runs(folder)
        assert found[: len(before)] == before, (inject, found)
        assert first.returncode or len(found) == len(before) + 1, (inject, found)
    second = run(folder, archive)
    assert second.returncode == 0, (inject, second.stderr)
    found = runs(folder)
    assert set(found) == {0}, (inject, found)
    added = len(found) - len(before) - 1
    assert added in (0, 1), (inject, found)
    if first.returncode == 0:
        assert added == 1, (inject, found)
    if first.returncode == 7 and added:
        # The journal is removed, and the sync of the folder fails: the run is there, but a power failure could
        # take it out again.
        assert "fsync" in inject, (inject, first.stderr)
    assert not (folder / (DATABASE + "-journal")).exists(), inject
    return "appended" if added else "not appended, rolled back" if hot else "not appended"


def main():
    work = pathlib.Path(tempfile.mkdtemp())
    try:
        archive = work / "run.warc"
        market = subprocess.Popen(
            [PROGRAM, "serve", "--companies", str(COMPANIES)], stdout=subprocess.PIPE, text=True
        )
        try:
            address = market.stdout.readline().strip()
            recorded = run(work, address, more=["--record", archive])
            assert recorded.returncode == 0, recorded.stderr
        finally:
            market.kill()
        old = work / "old"
        new = work / "new"
        old.mkdir()
        new.mkdir()
        for _ in range(3):
            assert run(old, archive).returncode == 0
        tried = collections.Counter()
        for start, before in ((old, [0, 0, 0]), (new, [])):
            folder = work / "run"
            shutil.copytree(start, folder)
            done = run(folder, archive, *traced(folder))
            assert done.returncode == 0, done.stderr
            calls = re.findall(r"^\d+ +(\w+)\(", (folder / "calls").read_text(), re.M)
            # The journal is removed, and then its name on the disk: the run cannot be lost any more.
            assert calls[-3:] == ["unlink", "openat", "fsync"], calls
            shutil.rmtree(folder)
            for call, most in sorted(collections.Counter(calls).items()):
                for number in range(1, most + 1):
                    for fault in ("signal=KILL", "error=EIO", "error=ENOSPC"):
                        shutil.copytree(start, folder)
                        inject = f"--inject={call}:{fault}:when={number}"
                        outcome = attempt(folder, archive, inject, before)
                        tried[fault.split("=")[0], outcome] += 1
                        shutil.rmtree(folder)
        for (fault, outcome), times in sorted(tried.items()):
            print(f"{fault}: {times} times {outcome}")
        # Each kind of end must have been seen, or the faults missed the append.
        assert tried["signal", "not appended"] > 3, tried
        assert tried["signal", "not appended, rolled back"] > 3, tried
        assert tried["signal", "appended"] > 0, tried
        assert tried["error", "not appended"] > 3, tried
        full_disk(work, archive)
    finally:
        shutil.rmtree(work)


def full_disk(work, archive):
    """A file system with room for the journal alone, and then for the whole run."""
    disk = work / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        shutil.copy(work / "old" / DATABASE, disk)
        out = ["--out", work / "out"]
        before = (disk / DATABASE).read_bytes()
        free = len(before) + 12 * 1024
        subprocess.run(["mount", "-o", f"remount,size={free // 1024}k", disk], check=True)
        full = run(disk, archive, more=out)
        assert full.returncode == 7 and "the disk is full; free some space" in full.stderr, full.stderr
        assert "the files in" in full.stderr, full.stderr
        assert (work / "out/run.json").exists()
        assert (disk / DATABASE).read_bytes() == before
        assert [file.name for file in disk.iterdir()] == [DATABASE]
        subprocess.run(["mount", "-o", "remount,size=1m", disk], check=True)
        assert run(disk, archive, more=out).returncode == 0
        assert runs(disk) == [0, 0, 0, 0]
        print("a full disk: the files stay, the database is as before")
    finally:
        subprocess.run(["umount", disk], check=True)


main()
