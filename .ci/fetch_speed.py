"""The race of fetch.py: `indexrank fetch --save` against curl and aria2c, in interleaved rounds."""

import hashlib
import os
import random
import shutil
import statistics
import subprocess
import time

from fetch_servers import memory_of

FILES = 200
SIZE = 5_000_000
PARALLEL = 16


def commands(program, address, addresses):
    """The command of each program. Each runs in an empty folder."""
    listed = str(addresses)
    return {
        "indexrank": [program, "fetch", "--quiet", "--save", ".", "--workers", str(PARALLEL),
                      "--workers-per-host", str(PARALLEL), f"{address}/race[001-{FILES}].bin"],
        "curl": ["curl", "--no-progress-meter", "--fail", "--parallel", "--parallel-max", str(PARALLEL),
                 "--remote-name-all", f"{address}/race[001-{FILES}].bin"],
        "aria2c": ["aria2c", "--quiet", "-i", listed, "-j", str(PARALLEL), "-x1", "--file-allocation=none"],
    }  # fmt: skip


def race(program, folder, nginx, rounds):
    """Prints the median speed and the peak memory of each program. All get the same bytes."""
    folder.mkdir()
    names = [f"race{number:03}.bin" for number in range(1, FILES + 1)]
    sums = {}
    for name in names:
        body = random.randbytes(SIZE)
        (nginx.root / name).write_bytes(body)
        sums[name] = hashlib.sha256(body).digest()
    addresses = folder / "addresses.txt"
    address = nginx.addresses["plain"]
    addresses.write_text("".join(f"{address}/{name}\n" for name in names))
    times, peaks = {}, {}
    racers = list(commands(program, address, addresses).items())
    for turn in range(rounds):
        # Each begins a round in turn, and none while the disk is busy with files of before.
        racers = racers[1:] + racers[:1]
        for name, command in racers:
            os.sync()
            target = folder / name
            target.mkdir()
            began = time.monotonic()
            process = subprocess.Popen(command, cwd=target, stdout=subprocess.DEVNULL)
            peak = memory_of(process)
            times.setdefault(name, []).append(time.monotonic() - began)
            peaks[name] = max(peak, peaks.get(name, 0))
            assert process.returncode == 0, (name, process.returncode)
            files = {file.name: file for file in target.iterdir()}
            assert sorted(files) == names, (name, sorted(files))
            for file in names if turn == 0 else ():
                assert hashlib.sha256(files[file].read_bytes()).digest() == sums[file], (name, file)
            shutil.rmtree(target)
    for name in names:
        (nginx.root / name).unlink()
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    print(f"{FILES} files of {SIZE / 1e6:.0f} MB, {PARALLEL} at a time, medians of {rounds} rounds:")
    for name, median in medians.items():
        speed = FILES * SIZE / median / 1e6
        spread = f"{min(times[name]):.2f} to {max(times[name]):.2f} s"
        print(f"  {name:9} {speed:5.0f} MB/s  {median:.2f} s ({spread})  peak memory {peaks[name] / 1e6:.1f} MB")
    best = min(median for name, median in medians.items() if name != "indexrank")
    print(f"  indexrank has {best / medians['indexrank']:.2f} times the speed of the faster of the others")
