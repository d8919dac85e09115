"""Kills a run at each system call of its commit, and fails each of these calls, by strace(1).

After the next start, every output is that of before the run or every one is that of the run. A run with
--resume then requests no page that is kept.

    commit_faults.py path/to/indexrank
"""

import collections
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
COMPANIES = 40
OUTPUTS = [
    *(f"rankings/{name}.json" for name in ("price", "pe", "growth", "potential_profit", "run")),
    "all.csv",
    "trace.json",
    "run.warc",
]
CALLS = ["rename", "renameat", "renameat2", "fsync", "fdatasync", "unlink", "unlinkat", "ftruncate"]


# The first write of each tells who holds the file, the second is its content.
STAGED = [
    *(f"rankings/.{name}.json.indexrank" for name in ("price", "run", "unfinished-commit")),
    ".all.csv.indexrank",
]


def command(address, *more):
    return [
        PROGRAM, "--from", address, "-q", "--workers", "4", "--table", "all.csv",
        "--trace", "trace.json", "--record", "run.warc", *more,
    ]  # fmt: skip


def run(folder, words, **more):
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120, **more)


def contents(folder):
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


def generation(folder, old):
    """Whether the outputs are those of before the run, those of the run, or mixed."""
    now = contents(folder)
    kept = [name for name in OUTPUTS if now[name] == old[name]]
    return "new" if not kept else "old" if len(kept) == len(OUTPUTS) else "mixed"


def check_digests(folder):
    """Every file is the one whose digest the report has: they are of one run."""
    report = json.loads((folder / "rankings/run.json").read_bytes())
    for name, digest in report["sha256"].items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert found == digest, f"{name} is not of the run of run.json"


def main():
    market = subprocess.Popen(
        [PROGRAM, "serve", "--companies", str(COMPANIES)], stdout=subprocess.PIPE, text=True
    )
    address = market.stdout.readline().strip()
    work = pathlib.Path(tempfile.mkdtemp())
    try:
        before = work / "before"
        before.mkdir()
        # The old results are prices in dollars and rankings of three, so each of them differs.
        done = run(before, command(address, "--top", "3", "--in", "USD"))
        assert done.returncode == 0, done.stderr
        old = contents(before)
        calls, requests = count_calls(before, work / "counted", address)
        tried = collections.Counter()
        points = [(call, number) for call, most in sorted(calls.items()) for number in range(1, most + 1)]
        points += [(f"write -P {work / 'run' / file}", number) for file in STAGED for number in (1, 2)]
        for point, number in points:
            for fault in ("signal=KILL", "error=EIO", "error=ENOSPC"):
                folder = work / "run"
                shutil.copytree(before, folder)
                call, *path = point.split(" ", 1)
                inject = [*(path[0].split() if path else []), f"--inject={call}:{fault}:when={number}"]
                outcome = attempt(folder, inject, old, address, requests)
                tried[fault.split("=")[0], outcome] += 1
                shutil.rmtree(folder)
        for (fault, outcome), times in sorted(tried.items()):
            print(f"{fault}: {times} times {outcome}")
        # Each kind of end must have been seen, or the faults missed the commit.
        assert tried["signal", "new after the next start"] > 3, tried
        assert tried["signal", "old"] > 3, tried
        assert tried["error", "new after the next start"] > 3, tried
    finally:
        market.kill()
        shutil.rmtree(work)


def count_calls(before, folder, address):
    """How often a run makes each call, and how many requests it sends."""
    shutil.copytree(before, folder)
    log = folder / "strace"
    trace = ["strace", "-f", "-qq", "-o", log, "-e", "trace=" + ",".join(CALLS)]
    done = run(folder, [*trace, *command(address)])
    assert done.returncode == 0, done.stderr
    names = re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.M)
    report = json.loads((folder / "rankings/run.json").read_bytes())
    return collections.Counter(names), report["requests"]


def attempt(folder, inject, old, address, requests):
    words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=write," + ",".join(CALLS)]
    first = run(folder, [*words, *inject, *command(address)])
    # strace ends as the process that it traces.
    assert first.returncode in (0, 7, 137, -9), (inject, first.returncode, first.stderr)
    at_first = generation(folder, old)
    # No server listens there: this run only begins.
    second = run(folder, [PROGRAM, "--from", "http://127.0.0.1:1", "--retry-pause", "1"])
    assert second.returncode == 4, (inject, second.returncode, second.stderr)
    now = generation(folder, old)
    assert now != "mixed", (inject, first.stderr, second.stderr)
    left = {file.name for file in folder.glob("rankings/*")} - {
        *(pathlib.Path(name).name for name in OUTPUTS),
        "failed-run.json",
    }
    assert not left, (inject, left)
    check_digests(folder)
    if now == "new":
        assert at_first == "new" or "are in place now" in second.stderr, (inject, second.stderr)
        return "new" if at_first == "new" else "new after the next start"
    assert at_first == "old", (inject, first.stderr)
    third = run(folder, command(address, "--resume"))
    assert third.returncode == 0, (inject, third.stderr)
    report = json.loads((folder / "rankings/run.json").read_bytes())
    # Index page 1 is requested once more, to see whether it has changed.
    assert report["resumed"] + report["requests"] <= requests + 1, (inject, report)
    return "old"


main()
