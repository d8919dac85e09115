"""The downloads of fetch.py: runs with --save are killed and resumed, from servers of nginx."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import time

from fetch_run import MEGABYTE, PROGRAM, fetch, rows, start
from fetch_servers import memory_of, wait_for


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def check_saved(folder, found, root):
    """The files of a folder are those of the rows, with the bytes of the server, and no others."""
    there = sorted(file.name for file in folder.iterdir())
    assert there == sorted(row["file"] for row in found), there
    for row in found:
        source = root / row["url"].rsplit("/", 1)[1]
        assert row["error"] is None and row["bytes"] == source.stat().st_size, row
        assert row["sha256"] == sha256(folder / row["file"]) == sha256(source), row


def check_kills(folder, nginx):
    """Kills a run of downloads ten times, each time inside of bodies, and resumes it each time."""
    number, size = 12, 5 * MEGABYTE
    for one in range(number):
        (nginx.root / f"big{one:02}.bin").write_bytes(random.randbytes(size))
    arguments = [nginx.addresses["slow files"] + "/big[00-11].bin", "--save", "big", "--workers-per-host", "6"]
    arguments += ["--table", "big.ndjson"]
    saved = folder / "big"
    resume = []
    nginx.requests("slow files")

    def parts():
        return {part.name: part.stat().st_size for part in saved.glob("unfinished-*.part")}

    kills = 0
    while kills < 10:
        before = parts()
        process = start(folder, *arguments, *resume)
        # The journal gets its name after the first part.
        wait_for(lambda: (saved / "unfinished.ndjson").exists() and any(
            length > before.get(name, 0) for name, length in parts().items()), "bytes of a body")  # fmt: skip
        time.sleep(random.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        resume = ["--resume"]
        # A run that is killed between two bodies does not count.
        kills += any(0 < length < size for length in parts().values())
    fetch(folder, *arguments, *resume)
    found = sorted(rows(folder / "big.ndjson"), key=lambda row: row["position"])
    assert len(found) == number
    check_saved(saved, found, nginx.root)
    requests = nginx.requests("slow files")
    bodies = [request for request in requests if request[1] != "/robots.txt"]
    ranges = [request for request in bodies if request[0] == 206]
    assert len(ranges) >= 10 and all(wanted.startswith("bytes=") for *_, wanted in ranges), bodies
    assert {status for status, *_ in bodies} <= {200, 206}, bodies
    sent = sum(sent for _, _, sent, _ in bodies)
    assert sent < 1.5 * number * size, (sent, bodies)
    print(f"{kills} kills: {len(ranges)} requests for the rest, {sent / (number * size):.2f} times the bytes")


def check_names(folder, nginx):
    """Kills a run at each step by which a whole body gets its name, and resumes it."""
    for number in range(4):
        (nginx.root / f"small{number}.bin").write_bytes(random.randbytes(300_000))
    arguments = ["fetch", "--quiet", nginx.addresses["plain"] + "/small[0-3].bin", "--save", "small"]
    arguments += ["--table", "small.ndjson"]
    # strace counts the calls of each thread. A thread that fetches removes what is in the place of its part.
    for call, first in (("linkat", 1), ("unlink", 2)):
        for number in range(first, 5):
            inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
            words = ["strace", "-f", "-qq", "-o", "/dev/null", *inject, PROGRAM, *arguments]
            killed = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60)
            assert killed.returncode in (137, -9), (call, number, killed)
            resumed = subprocess.run([PROGRAM, *arguments, "--resume"], cwd=folder, capture_output=True, text=True)
            assert resumed.returncode == 0, (call, number, resumed)
            found = rows(folder / "small.ndjson")
            assert sorted(row["position"] for row in found) == [1, 2, 3, 4], (call, number, found)
            check_saved(folder / "small", found, nginx.root)
            shutil.rmtree(folder / "small")


def check_whole(folder, nginx):
    """After a kill, a file that has changed is fetched whole, and so is one of a server without ranges."""
    size = MEGABYTE
    for server, name in (("slow files", "changing.bin"), ("no ranges", "constant.bin")):
        source = nginx.root / name
        source.write_bytes(random.randbytes(size))
        # Not of this second: nginx tells versions apart by length and time in seconds.
        os.utime(source, (1_000_000_000, 1_000_000_000))
        arguments = [f"{nginx.addresses[server]}/{name}", "--save", server, "--table", "whole.ndjson"]
        process = start(folder, *arguments)
        part = folder / server / "unfinished-1.part"
        wait_for(lambda: part.exists() and part.stat().st_size > 0, "bytes of a body")
        process.kill()
        process.communicate()
        kept = part.stat().st_size
        assert 0 < kept < size
        if name == "changing.bin":
            source.write_bytes(random.randbytes(size))
        nginx.requests(server)
        fetch(folder, *arguments, "--resume")
        check_saved(folder / server, rows(folder / "whole.ndjson"), nginx.root)
        bodies = [request for request in nginx.requests(server) if request[3] != "-"]
        assert bodies == [(200, f"/{name}", size, f"bytes={kept}-")], bodies


def check_large(folder, nginx):
    """A body of any size is saved, without more memory."""
    (nginx.root / "large.bin").write_bytes(random.randbytes(100 * MEGABYTE))
    arguments = ["--save", "large", "--table", "large.ndjson"]
    process = start(folder, nginx.addresses["plain"] + "/large.bin", *arguments)
    peak = memory_of(process)
    assert process.returncode == 0, process.stderr.read()
    check_saved(folder / "large", rows(folder / "large.ndjson"), nginx.root)
    assert 0 < peak < 64 * MEGABYTE, peak
    shutil.rmtree(folder / "large")
