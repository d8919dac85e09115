"""Runs `indexrank fetch` against http.server and nginx, and compares what it finds with what Python finds.

    fetch.py path/to/indexrank [rounds of the race]

Needs nginx, strace, curl, aria2c and rg.
"""

import csv
import gzip
import html.parser
import json
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.dont_write_bytecode = True

import fetch_readme
import fetch_speed
from fetch_run import MEGABYTE, PROGRAM, fetch, rows, start, table
from fetch_save import check_kills, check_large, check_names, check_saved, check_whole
from fetch_servers import Nginx, memory_of, python_server, wait_for

ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 2
WORDS = ["the", "о", "aa", "<p>"]

# What limits and delays each server has. An unlimited one is compared with each.
SERVERS = {
    "plain": "",
    "zipped": "gzip on; gzip_min_length 1; gzip_types text/plain application/json application/octet-stream;",
    "slow files": "limit_rate 550k;",
    "no ranges": "limit_rate 550k; max_ranges 0;",
    "slow pages": "limit_rate 2k;",
    "busy": "location / { limit_req zone=fifty; }",
    "too many": "location / { limit_req zone=fifty; limit_req_status 429; }",
    "numbers": "location /x { return 200 '<title>A small page</title>'; default_type text/html; }",
}


class Outline(html.parser.HTMLParser):
    """The title and the headings of a page."""

    TEXTS = ("title", "h1", "h2", "h3", "h4")

    def __init__(self, text):
        super().__init__()
        self.open = None
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag in self.TEXTS:
            self.open = tag
            self.found.append((tag, ""))

    def handle_endtag(self, tag):
        if tag == self.open:
            self.open = None

    def handle_data(self, data):
        if self.open:
            self.found[-1] = (self.open, self.found[-1][1] + data)

    def texts(self):
        texts = [(tag, " ".join(text.split())) for tag, text in self.found]
        titles = [text for tag, text in texts if tag == "title"]
        headings = [{"level": int(tag[1]), "text": text} for tag, text in texts if tag != "title"]
        return titles[0] if titles else None, headings


def page(number, choose):
    words = choose.choices(["the", "theme", "aaa", "о", "онo", "naïve", "😀", "&amp;", "<b>bold</b>"], k=600)
    paragraphs = "".join(f"<p>{' '.join(words[at::7])}</p>\n" for at in range(7))
    sections = "".join(
        f"<H{level} class='h'>Part&nbsp;{level} of\n <em>page</em> {number}</H{level}>\n" for level in range(1, 6)
    )
    title = f"<title lang=en>\n Page {number} &lt;№&gt;\t&mdash; 😀 </title>" if number % 10 else ""
    return f"<!DOCTYPE html><meta charset=utf-8>{title}<!-- <h1>none</h1> -->\n{sections}{paragraphs}"


def write_pages(root):
    choose = random.Random(1)
    for number in range(1, 101):
        (root / f"p{number:03}.html").write_text(page(number, choose))
    (root / "cyrillic.html").write_bytes(
        page(101, choose).replace("utf-8", "windows-1251").encode("windows-1251", "xmlcharrefreplace")
    )
    (root / "short.html").write_text("no markup, one line")
    (root / "empty.html").write_text("")
    (root / "part.bin").write_bytes(choose.randbytes(10_000))


def expected_row(address):
    """The row of an address, by urllib and html.parser."""
    row = {"url": address, "final_url": address, "title": None, "headings": None, "chars": None, "counts": None}
    try:
        with urllib.request.urlopen(address) as response:
            body = response.read()
            row.update(status=response.status, content_type=response.headers["content-type"], bytes=len(body))
    except urllib.error.HTTPError as error:
        return {"url": address, "status": error.code}
    if row["content_type"].startswith("text/"):
        # http.server names no charset, so it is that of the page.
        text = body.decode("windows-1251" if b"charset=windows-1251" in body else "utf-8")
        row["title"], row["headings"] = Outline(text).texts()
        row["chars"] = len(text)
        row["counts"] = {word: text.count(word) for word in WORDS}
    return row


def compare(found, expected):
    for key, value in expected.items():
        assert found.get(key) == value, (key, found, expected)


def check_pages(folder, address, missing=True):
    """A list with a range, a set and a page that is not there, as NDJSON and as CSV. Returns the rows."""
    names = ["cyrillic.html", "short.html", "empty.html", "part.bin"]
    lists = [f"{address}/p[001-100].html", f"{address}/{{{','.join(names)}}}"]
    options = ["--headings", *(f"--count={word}" for word in WORDS)]
    addresses = [f"{address}/p{number:03}.html" for number in range(1, 101)] + [f"{address}/{name}" for name in names]
    exit = 0
    if missing:
        lists.append(f"{address}/missing.html")
        addresses.append(lists[-1])
        exit = 3
    found, errors = table(folder, *lists, *options, exit=exit)
    assert len(found) == len(addresses)
    for row, one in zip(found, addresses):
        compare(row, expected_row(one))
        assert (row["error"] is not None) == (row["status"] != 200), row
    if missing:
        assert f"failed: {addresses[-1]}: HTTP status 404" in errors, errors
    assert sum((row.get("counts") or {}).get("aa", 0) for row in found) > 100
    fetch(folder, *lists, *options, "--table", "table.csv", exit=exit)
    with open(folder / "table.csv", newline="") as file:
        for row, cells in zip(found, csv.DictReader(file), strict=True):
            same_cells(row, cells)
    return found


def same_cells(row, cells):
    """A row of NDJSON and one of CSV have the same values."""
    del cells["ms"]
    counts = row.get("counts") or {}
    headings = row.get("headings")
    for word in WORDS:
        assert cells.pop(f"count {word}") == str(counts.get(word, "")), (row, cells)
    cell = cells.pop("headings")
    assert (json.loads(cell) if cell else None) == headings, (row, cell)
    for key, cell in cells.items():
        value = row[key]
        assert cell == ("" if value is None else str(value)), (key, row, cells)


def check_local_files(folder):
    choose = random.Random(2)
    text = "".join(choose.choices(["the ", "aaa", "о", "😀", "\r\n", "then"], k=200_000))
    (folder / "plain.txt").write_bytes(text.encode())
    (folder / "utf-16.txt").write_bytes(text.encode("utf-16"))
    (folder / "big-endian.txt").write_bytes(b"\xfe\xff" + text.encode("utf-16-be"))
    (folder / "packed.txt.gz").write_bytes(gzip.compress(text.encode(), 1))
    files = ["plain.txt", "utf-16.txt", "big-endian.txt", "packed.txt.gz"]
    found, _ = table(folder, *files, *(f"--count={word}" for word in WORDS))
    for row, file in zip(found, files, strict=True):
        assert row["url"] == file and row["error"] is None, row
        assert row["counts"] == {word: text.count(word) for word in WORDS}, row
        assert row["chars"] == len(text), row
    ripgrep = subprocess.run(["rg", "--count-matches", "the", "plain.txt"], cwd=folder, capture_output=True, text=True)
    assert int(ripgrep.stdout) == found[0]["counts"]["the"], ripgrep
    found, _ = table(folder, "plain.txt", "--count=THE", "--ignore-case")
    assert found[0]["counts"] == {"THE": text.count("the")}


def check_compression(folder, nginx):
    """A compressed page has the same row, and a saved one the same bytes."""
    plain = check_pages(folder, nginx.addresses["plain"])
    zipped = check_pages(folder, nginx.addresses["zipped"])
    half = (nginx.root / "p001.html").stat().st_size / 2
    assert any(sent < half for _, path, sent, _ in nginx.requests("zipped") if path == "/p001.html")
    for one, other in zip(plain, zipped, strict=True):
        for row in (one, other):
            row.update(url=None, final_url=None)
        assert one == other, (one, other)
    found, _ = table(folder, nginx.addresses["zipped"] + "/p[001-100].html", "--save", "pages")
    check_saved(folder / "pages", found, nginx.root)


def check_limits(folder, nginx):
    """A server that answers 50 requests a second, and 503 or 429 to the others: all pages arrive."""
    for name, status in (("busy", 503), ("too many", 429)):
        nginx.requests(name)
        began = time.monotonic()
        found, _ = table(folder, nginx.addresses[name] + "/{a,b}p[001-100].html")
        took = time.monotonic() - began
        assert len(found) == 200 and all(row["status"] == 200 and row["error"] is None for row in found)
        statuses = [request[0] for request in nginx.requests(name)]
        refused = statuses.count(status)
        assert refused > 0, statuses
        print(f"50 requests a second, else {status}: 200 pages after {refused} refusals, {took:.1f} s")


def check_interrupt(folder, nginx):
    """Ctrl-C in the middle of a list: exit code 130, and --resume completes the table."""
    arguments = [nginx.addresses["slow pages"] + "/p[001-016].html", "--table", "half.ndjson"]
    process = start(folder, *arguments)
    journal = folder / "unfinished-half.ndjson.ndjson"
    wait_for(lambda: journal.exists() and journal.read_bytes().count(b'"row"') >= 5, "five rows")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 130, (process.returncode, errors)
    assert "--resume" in errors and not (folder / "half.ndjson").exists(), errors
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    done = {entry["row"]["url"].rsplit("/", 1)[1] for entry in entries if "row" in entry}
    nginx.requests("slow pages")
    fetch(folder, *arguments, "--resume")
    found = rows(folder / "half.ndjson")
    assert sorted(row["position"] for row in found) == list(range(1, 17))
    assert all(row["status"] == 200 and row["error"] is None for row in found)
    assert not journal.exists()
    again = {path.rsplit("/", 1)[1] for _, path, _, _ in nginx.requests("slow pages")}
    assert len(done) >= 5 and len(again) > 1 and not done & again, (done, again)


def check_two_hosts(folder, nginx):
    """Slow pages at the head of a list do not hold up those of another host."""
    slow, fast = nginx.addresses["slow pages"], nginx.addresses["plain"]
    # Each slow page takes a second, and eight are under way at a time.
    fetch(folder, slow + "/p[001-016].html", fast + "/p[001-100].html", "--table", "hosts.ndjson")
    order = [row["url"].startswith(fast) for row in rows(folder / "hosts.ndjson")]
    assert len(order) == 116 and order.count(True) == 100
    last = max(place for place, is_fast in enumerate(order) if is_fast)
    assert order[: last + 1].count(False) <= 8, order


def check_robots(folder, nginx):
    """What robots.txt disallows is not requested, unless it is to be ignored."""
    robots = nginx.root / "robots.txt"
    robots.write_text("User-agent: *\nDisallow: /p00\n")
    address = nginx.addresses["plain"]
    nginx.requests("plain")
    try:
        found, errors = table(folder, address + "/p[009-010].html", exit=3)
        assert "robots.txt" in found[0]["error"] and found[0]["status"] is None, found
        assert found[1]["status"] == 200 and found[1]["error"] is None, found
        assert f"failed: {address}/p009.html: " in errors, errors
        paths = [path for _, path, _, _ in nginx.requests("plain")]
        assert sorted(paths) == ["/p010.html", "/robots.txt"], paths
        found, _ = table(folder, address + "/p[009-010].html", "--ignore-robots")
        assert [row["status"] for row in found] == [200, 200], found
        paths = [path for _, path, _, _ in nginx.requests("plain")]
        assert sorted(paths) == ["/p009.html", "/p010.html"], paths
    finally:
        robots.unlink()


def user(number):
    value = {
        "id": number,
        "name": f"Имя {number} \"'; DROP TABLE users; --",
        "score": number / 8,
        "active": number % 2 == 0,
        "tags": ["a", number],
        "address": {"city": "Tver", "zip": f"{number:06}"},
        "note": None,
    }
    if number % 100 == 0:
        value["rare"] = "yes"
    return value


def check_objects(folder, nginx):
    """500 pages of JSON become 500 rows; a second run replaces them."""
    users = nginx.root / "users"
    users.mkdir()
    expected = [user(number) for number in range(1, 501)]
    for one in expected:
        (users / f"{one['id']}.json").write_text(json.dumps(one, ensure_ascii=False))
    arguments = ["--db", "x.sqlite", "--into", "users", "--key", "id"]
    for _ in range(2):
        found, _ = table(folder, nginx.addresses["zipped"] + "/users/[1-500].json", *arguments)
        assert len(found) == 500 and all(row["rows"] == 1 and row["error"] is None for row in found)
        compare_objects(folder, expected)
    # An array of changed and further objects beside a page that is no JSON.
    more = [{**user(number), "name": "changed"} for number in range(491, 511)]
    (users / "more.json").write_text(json.dumps(more))
    (users / "broken.json").write_text('{"id": 7, "name": "half')
    found, errors = table(folder, nginx.addresses["plain"] + "/users/{more,broken}.json", *arguments, exit=3)
    assert [row.get("rows") for row in found] == [20, None], found
    assert found[0]["error"] is None and found[1]["error"], found
    assert f"failed: {nginx.addresses['plain']}/users/broken.json: " in errors, errors
    compare_objects(folder, expected[:490] + more)


def compare_objects(folder, expected):
    database = sqlite3.connect(folder / "x.sqlite")
    try:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        cursor = database.execute("SELECT * FROM users ORDER BY id")
        names = [name for name, *_ in cursor.description]
        assert sorted(names) == sorted(expected[99]), names
        found = [dict(zip(names, values)) for values in cursor]
    finally:
        database.close()
    assert len(found) == len(expected)
    for row, one in zip(found, expected, strict=True):
        for name, value in row.items():
            wanted = one.get(name)
            if isinstance(wanted, (list, dict)):
                value = json.loads(value)
            assert value == wanted and type(value) in (type(wanted), int), (name, row, one)


def check_memory(folder, nginx):
    """A list of 100,000 addresses takes hardly more memory than one of 1,000."""
    address = nginx.addresses["numbers"]
    peaks = {}
    for number in (1_000, 100_000):
        (folder / "numbers.txt").write_text(f"{address}/x[1-{number}]\n")
        process = start(folder, "--urls", "numbers.txt", "--table", "numbers.ndjson")
        began = time.monotonic()
        peaks[number] = memory_of(process)
        took = time.monotonic() - began
        assert process.returncode == 0, process.stderr.read()
        positions = set()
        with open(folder / "numbers.ndjson") as lines:
            for line in lines:
                row = json.loads(line)
                assert row["status"] == 200 and row["bytes"] == 27, row
                positions.add(row["position"])
        assert positions == set(range(1, number + 1))
        (folder / "numbers.ndjson").unlink()
    print(f"{number} addresses: {took:.1f} s, {number / took:.0f} pages/s, peak memory", end=" ")
    print(f"{peaks[number] / MEGABYTE:.1f} MB; of 1,000 addresses {peaks[1_000] / MEGABYTE:.1f} MB")
    assert 0 < peaks[number] < 64 * MEGABYTE, peaks


def main():
    random.seed(3)
    work = pathlib.Path(tempfile.mkdtemp())
    nginx = None
    try:
        folder = work / "client"
        folder.mkdir()
        nginx = Nginx(work / "nginx", SERVERS)
        write_pages(nginx.root)
        for number in range(1, 101):
            for letter in "ab":
                shutil.copy(nginx.root / f"p{number:03}.html", nginx.root / f"{letter}p{number:03}.html")
        with python_server(nginx.root) as address:
            check_pages(folder, address)
        check_local_files(folder)
        print("http.server and local files: the rows are those of urllib, html.parser and str.count")
        check_compression(folder, nginx)
        for check in (
            check_kills, check_names, check_whole, check_large, check_limits, check_interrupt, check_two_hosts,
            check_robots, check_objects, check_memory,
        ):  # fmt: skip
            began = time.monotonic()
            check(folder, nginx)
            print(f"{check.__name__}: {time.monotonic() - began:.1f} s")
        fetch_speed.race(PROGRAM, work / "race", nginx, ROUNDS)
        fetch_readme.run(PROGRAM, work / "readme")
    finally:
        if nginx:
            nginx.close()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
