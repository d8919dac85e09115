//! Messages, output and exit codes for wrong usage and missing access.

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;

use crate::support::{MARKET, command, files, indexrank, start_serve};

#[test]
fn rejects_wrong_usage_with_a_hint_and_code_2() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("page.warc", "<html></html>"),
        ("empty.warc", ""),
        ("torn.warc", "WARC/1.1\r\n\r\n"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    for (arguments, message) in [
        (
            &["--workers", "0"][..],
            "expected a whole number from 1 to 4096",
        ),
        (
            &["--workers", "many"],
            "expected a whole number from 1 to 4096",
        ),
        (&["--readers", "-1"], "--readers"),
        (&["--top", "0"], "expected a whole number from 1 to 1000000"),
        (
            &["--min-companies", "0"],
            "expected a whole number from 1 to 1000000, or a share from 1% to 100%",
        ),
        (&["--min-companies", "101%"], "or a share from 1% to 100%"),
        (&["--min-companies", "0.5"], "or a share from 1% to 100%"),
        (&["--timeout", "0"], "expected seconds from 0.001 to 86400"),
        (
            &["--timeout", "NaN"],
            "expected seconds from 0.001 to 86400",
        ),
        (&["--from", "elsewhere"], "expected live, replica, a file"),
        (
            &["--from", "http://"],
            "expected one like http://127.0.0.1:8000",
        ),
        (
            &["--from", "http://a b"],
            "expected one like http://127.0.0.1:8000",
        ),
        (
            &["--from", "http://127.0.0.1:99999"],
            "expected one like http://127.0.0.1:8000",
        ),
        (
            &["--from", "http://127.0.0.1/stocks/mmm-stock"],
            "expected only scheme, host and port",
        ),
        (
            &["--from", "missing.warc.gz"],
            "there is no file missing.warc.gz",
        ),
        (&["--from", "page.warc"], "page.warc is not a WARC archive"),
        (
            &["--index", "../etc"],
            "expected a name as in the site's addresses",
        ),
        (
            &["--index", ""],
            "expected a name as in the site's addresses",
        ),
        (&["--usd-rub", "0"], "expected roubles per dollar"),
        (&["--usd-rub", "-5"], "expected roubles per dollar"),
        (&["--usd-rub", "0.00009"], "from 0.0001 to 10000000"),
        (&["--usd-rub", "10000001"], "from 0.0001 to 10000000"),
        (&["--rate", "EUR"], "expected a currency and roubles"),
        (&["--rate", "EUR="], "expected a currency and roubles"),
        (&["--rate", "EUR=1e2"], "expected a currency and roubles"),
        (&["--rate", "EUR=0.00009"], "from 0.0001 to 10000000"),
        (&["--rate", "EUR=10000000.1"], "from 0.0001 to 10000000"),
        (&["--rate", "=1"], "expected a currency code"),
        (&["--rate", "eur=1"], "three capital letters"),
        (&["--rate", "GBX=1"], "GBX is a hundredth of GBP; use GBP"),
        (&["--rate", "GBp=1"], "GBp is a hundredth of GBP; use GBP"),
        (&["--rate", "ZAc=1"], "ZAc is a hundredth of ZAR; use ZAR"),
        (&["--rate", "ILA=1"], "ILA is a hundredth of ILS; use ILS"),
        (&["--rate", "RUB=1"], "the rate of RUB is always 1"),
        (&["--rate", "XXX=1"], "XXX stands for no currency"),
        (
            &["--rate", "EUR=1", "--rate", "USD=1", "--rate", "EUR=1"],
            "--rate: two rates of EUR are given, expected one",
        ),
        (
            &["--rate", "USD=1", "--usd-rub", "1"],
            "--usd-rub and --rate: two rates of USD are given, expected one",
        ),
        (
            &["--rate", "EUR=1", "--rate-date", "2022-02-04"],
            "cannot be used with",
        ),
        (&["--in", "euro"], "three capital letters"),
        (&["--in", "usd"], "three capital letters"),
        (&["--in", "GBX"], "GBX is a hundredth of GBP; use GBP"),
        (&["--in", "XXX"], "XXX stands for no currency"),
        (
            &["--usd-rub", "1", "--rate-date", "2022-02-04"],
            "cannot be used with",
        ),
        (
            &["--rate-date", "04.02.2022"],
            "expected a day like 2022-02-04",
        ),
        (
            &["--rate-date", "2022-02-30"],
            "expected a day like 2022-02-04",
        ),
        (
            &["--table", "all.xlsx"],
            "expected a file name that ends in .csv, .ndjson or .jsonl, or - for stdout",
        ),
        (
            &["--record", "run.zip"],
            "expected a file name that ends in .warc or .warc.gz",
        ),
        (&["--proxy", "::"], "is not the address of a proxy"),
        (&["--user-agent", "a\nb"], "printable ASCII"),
        (&["--pe", "some"], "any, positive"),
        (&["--quiet", "--verbose"], "cannot be used with"),
        (
            &["--from", "http://:secret@127.0.0.1:1"],
            "expected only scheme, host and port",
        ),
        (
            &["--usd-rub", "79228162514264337593543950335"],
            "expected roubles per dollar",
        ),
        (
            &["--out", "a", "--table", "./a/../a/all.csv", "--record", "a"],
            "ends in .warc",
        ),
        (
            &["--out", "x.csv", "--table", "./x.csv", "--from", "replica"],
            "is used twice, for two results or for a result and the source",
        ),
        (
            &["--from", "torn.warc", "--trace", "torn.warc"],
            "is used twice, for two results or for a result and the source",
        ),
        (
            &["--out", "x.warc", "--record", "x.warc", "--from", "replica"],
            "is used twice, for two results or for a result and the source",
        ),
        (
            &[
                "--from",
                "replica",
                "--trace",
                "rankings/price.previous.json",
            ],
            "is used twice, for two results or for a result and the source",
        ),
        (&["--form", "replica"], "--from"),
        (&["serv"], "serve"),
        (
            &["serve", "--from", "live"],
            "expected replica, or an archive",
        ),
        (
            &["serve", "--port", "70000"],
            "expected a whole number from 0 to 65535",
        ),
        (&["read"], "<FILES>"),
        (&["read", "missing.html"], "cannot read missing.html"),
        (&["--proxy", "bla"], "is not the address of a proxy"),
        (
            &["--from", "torn.warc", "--record", "again.warc"],
            "--record needs a server",
        ),
        (
            &[
                "--out",
                ".",
                "--table",
                "./all.csv",
                "--record",
                "a.warc",
                "--from",
                "missing.warc",
            ],
            "there is no file",
        ),
        (
            &["--out", ".", "--table", "all.csv", "--from", "empty.warc"],
            "not a WARC archive: it is empty",
        ),
        (
            &["serve", "--from", "torn.warc", "--companies", "1"],
            "remove them to serve an archive",
        ),
        (
            &["serve", "--bandwidth", "0"],
            "expected megabits per second from 0.001",
        ),
        (&["completions", "dos"], "possible values"),
    ] {
        let ran = indexrank(folder.path(), arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(message),
            "{arguments:?}: no {message:?} in {}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
    assert_eq!(
        files(folder.path()),
        ["empty.warc", "page.warc", "torn.warc"]
    );
}

#[test]
fn suggests_the_replica_and_exits_4_without_a_network() {
    // The listener is dropped at once, so the port refuses connections.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let folder = tempfile::tempdir().unwrap();
    for site in [
        format!("http://127.0.0.1:{port}"),
        "http://no-such-host.invalid".to_owned(),
    ] {
        let ran = indexrank(folder.path(), &["--from", &site]);
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        assert!(ran.stderr.contains("page 1 of the index"), "{}", ran.stderr);
        assert!(
            ran.stderr.contains("`--from replica` needs no network"),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "");
        assert_eq!(files(&folder.path().join("rankings")), ["failed-run.json"]);
    }
}

#[test]
fn exits_7_before_the_first_request_if_an_output_is_not_writable() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    fs::create_dir_all(folder.path().join("taken/run.json")).unwrap();
    fs::create_dir(folder.path().join("folder.csv")).unwrap();
    for (arguments, output) in [
        (&["--out", "file"][..], "file"),
        (&["--out", "file/deeper/still"], "file/deeper/still"),
        (&["--table", "file/all.csv"], "file"),
        (&["--record", "file/run.warc"], "file"),
        (&["--out", "taken"], "taken/run.json"),
        (&["--table", "folder.csv"], "folder.csv"),
    ] {
        // No server listens on port 1: a request would end the run with code 4.
        let ran = indexrank(
            folder.path(),
            &[&["--from", "http://127.0.0.1:1"], arguments].concat(),
        );
        assert_eq!(ran.code, 7, "{arguments:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(&format!("cannot write {output}")),
            "{}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains("choose another place"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(files(folder.path()), ["file", "folder.csv", "taken"]);
}

#[test]
fn uses_the_proxy_except_for_loopback_addresses() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, code) in [
        (&["--from", "replica"][..], 0),
        (&["--from", "replica", "--proxy", "http://127.0.0.1:1"], 0),
        (&["--from", &MARKET.address()], 0),
        (
            &[
                "--from",
                "http://no-such-host.invalid",
                "--proxy",
                "http://127.0.0.1:1",
            ],
            4,
        ),
    ] {
        let mut command = command(folder.path(), arguments);
        let output = command
            .env("ALL_PROXY", "http://127.0.0.1:1")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            stderr.contains("through the proxy 127.0.0.1:1"),
            code == 4,
            "{stderr}"
        );
    }
}

/// `indexrank … | head -1`: `head` closes the pipe, and the run still exits with 0.
#[test]
fn succeeds_when_stdout_is_closed_early() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(
        folder.path(),
        &["--from", &MARKET.address(), "--top", "496"],
    );
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = stderr.lines().collect();
    assert!(
        lines.len() == 1 && lines[0].contains("warning: MRK: "),
        "stderr holds only the warning about MRK: {stderr}"
    );
}

/// Without a terminal, a slow run prints its progress line by line, without control characters.
#[test]
fn prints_plain_progress_lines_without_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, address) = start_serve(folder.path(), &["--latency", "100"]);
    let ran = indexrank(folder.path(), &["--from", &address, "--workers", "16"]);
    let quiet = indexrank(
        folder.path(),
        &[
            "--from",
            &address,
            "--workers",
            "16",
            "--quiet",
            "--log",
            "log",
        ],
    );
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(ran.code, 0);
    let first = ran
        .stderr
        .lines()
        .next()
        .expect("a progress line after two seconds");
    assert!(first.starts_with("2 s: index 11/11, fetched "), "{first}");
    assert!(
        first.contains("pages/s")
            && first.contains("MB/s")
            && first.contains("0 retries, 0 failures"),
        "{first}"
    );
    assert!(
        !ran.stderr.contains('\u{1b}') && !ran.stderr.contains('\r'),
        "{:?}",
        ran.stderr
    );
    assert_eq!((quiet.code, &*quiet.stdout, &*quiet.stderr), (0, "", ""));
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.contains("]: 2 s: index 11/11, fetched "), "{log}");
}

#[test]
fn verbose_prints_request_and_retry_counts() {
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(folder.path(), &["--from", &MARKET.address(), "-v"]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.stderr.contains("510 requests, no retries"),
        "{}",
        ran.stderr
    );
}

/// Renaming a result over a device or pipe would replace it with a plain file.
#[test]
#[cfg(unix)]
fn refuses_to_replace_a_pipe_with_a_result() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let ran = indexrank(folder.path(), &["--from", "replica", "--trace", "pipe"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr
            .contains("cannot write pipe: it is a device or a pipe"),
        "{}",
        ran.stderr
    );
    assert!(!pipe.metadata().unwrap().is_file());
}

#[cfg(not(feature = "race"))]
#[test]
fn serve_names_the_build_that_has_tls() {
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(folder.path(), &["serve", "--tls", "--ca-out", "ca.pem"]);
    assert_eq!((ran.code, &*ran.stdout), (2, ""));
    assert_eq!(
        ran.stderr,
        "indexrank: this build cannot serve over TLS; build it with: \
         cargo install --locked --path . --features race\n"
    );
    assert!(files(folder.path()).is_empty());
}
