//! What a user may type, and what they are told.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use crate::support::{MARKET, command, files, indexrank};

#[test]
fn wrong_usage_is_told_in_a_sentence_with_code_2() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("page.warc", "<html></html>"),
        ("empty.warc", ""),
        ("torn.warc", "WARC/1.1\r\n\r\n"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    for (arguments, words) in [
        (
            &["--workers", "0"][..],
            "give a whole number from 1 to 1024",
        ),
        (&["--workers", "many"], "give a whole number from 1 to 1024"),
        (&["--readers", "-1"], "--readers"),
        (&["--top", "0"], "give a whole number from 1 to 1000000"),
        (&["--timeout", "0"], "give seconds from 0.001 to 86400"),
        (&["--timeout", "NaN"], "give seconds from 0.001 to 86400"),
        (&["--from", "elsewhere"], "give live, replica, a file"),
        (
            &["--from", "http://"],
            "give one like http://127.0.0.1:8000",
        ),
        (
            &["--from", "http://a b"],
            "give one like http://127.0.0.1:8000",
        ),
        (
            &["--from", "http://127.0.0.1:99999"],
            "give one like http://127.0.0.1:8000",
        ),
        (
            &["--from", "http://127.0.0.1/stocks/mmm-stock"],
            "give only scheme, host and port",
        ),
        (
            &["--from", "missing.warc.gz"],
            "there is no file missing.warc.gz",
        ),
        (&["--from", "page.warc"], "page.warc is not a WARC archive"),
        (
            &["--index", "../etc"],
            "give a name as in the site's addresses",
        ),
        (&["--index", ""], "give a name as in the site's addresses"),
        (&["--usd-rub", "0"], "give roubles for one dollar"),
        (&["--usd-rub", "-5"], "give roubles for one dollar"),
        (
            &["--usd-rub", "1", "--rate-date", "2022-02-04"],
            "cannot be used with",
        ),
        (&["--rate-date", "04.02.2022"], "give a day like 2022-02-04"),
        (&["--rate-date", "2022-02-30"], "give a day like 2022-02-04"),
        (
            &["--table", "all.xlsx"],
            "give a file that ends in .csv, .ndjson or .jsonl",
        ),
        (
            &["--record", "run.zip"],
            "give a file that ends in .warc or .warc.gz",
        ),
        (&["--proxy", "::"], "is no proxy address"),
        (&["--user-agent", "a\nb"], "printable ASCII"),
        (&["--pe", "some"], "any, positive"),
        (&["--quiet", "--verbose"], "cannot be used with"),
        (
            &["--from", "http://:secret@127.0.0.1:1"],
            "give only scheme, host and port",
        ),
        (
            &["--usd-rub", "79228162514264337593543950335"],
            "give roubles for one dollar",
        ),
        (
            &["--out", "a", "--table", "./a/../a/all.csv", "--record", "a"],
            "ends in .warc",
        ),
        (
            &["--out", "x.csv", "--table", "./x.csv", "--from", "replica"],
            "is named twice, for two results or for one and the source",
        ),
        (
            &["--from", "torn.warc", "--trace", "torn.warc"],
            "is named twice, for two results or for one and the source",
        ),
        (
            &["--out", "x.warc", "--record", "x.warc", "--from", "replica"],
            "is named twice, for two results or for one and the source",
        ),
        (&["--form", "replica"], "--from"),
        (&["serv"], "serve"),
        (&["serve", "--from", "live"], "give replica or a file"),
        (
            &["serve", "--port", "70000"],
            "give a whole number from 0 to 65535",
        ),
        (&["read"], "<FILES>"),
        (&["read", "missing.html"], "cannot read missing.html"),
        (&["--proxy", "bla"], "is no proxy address"),
        (
            &["--from", "torn.warc", "--record", "again.warc"],
            "--record keeps pages that come from a server",
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
            "leave them out with an archive",
        ),
        (
            &["serve", "--bandwidth", "0"],
            "give megabits per second from 0.001",
        ),
        (&["completions", "dos"], "possible values"),
    ] {
        let ran = indexrank(folder.path(), arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(words),
            "{arguments:?}: {words:?} in {}",
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
fn no_network_is_told_in_a_sentence_with_code_4() {
    // A port that nobody listens on, since it was just given back.
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
        assert_eq!(files(folder.path()), [""; 0], "not even the folder is made");
    }
}

#[test]
fn places_that_cannot_be_written_are_told_before_the_first_request() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    fs::create_dir_all(folder.path().join("taken/run.json")).unwrap();
    fs::create_dir(folder.path().join("folder.csv")).unwrap();
    for (arguments, place) in [
        (&["--out", "file"][..], "file"),
        (&["--out", "file/deeper/still"], "file/deeper/still"),
        (&["--table", "file/all.csv"], "file"),
        (&["--record", "file/run.warc"], "file"),
        (&["--out", "taken"], "taken/run.json"),
        (&["--table", "folder.csv"], "folder.csv"),
    ] {
        // A port without a server: a request would end with code 4.
        let ran = indexrank(
            folder.path(),
            &[&["--from", "http://127.0.0.1:1"], arguments].concat(),
        );
        assert_eq!(ran.code, 7, "{arguments:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(&format!("cannot write {place}")),
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
fn the_embedded_market_needs_no_proxy_and_others_go_through_it() {
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

#[test]
fn help_is_grouped_and_has_examples() {
    let folder = tempfile::tempdir().unwrap();
    let help = indexrank(folder.path(), &["--help"]);
    assert_eq!(help.code, 0);
    for part in [
        "Source:",
        "Results:",
        "Fetching:",
        "Terminal:",
        "Examples:",
        "Exit codes:",
        "indexrank --from replica",
        "completions",
        "serve",
        "read",
    ] {
        assert!(help.stdout.contains(part), "{part} in\n{}", help.stdout);
    }
    let version = indexrank(folder.path(), &["--version"]);
    assert_eq!(
        version.stdout,
        format!("indexrank {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn completions_for_shells() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = indexrank(folder.path(), &["completions", shell]);
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains("usd-rub"), "{shell}");
    }
}

/// `indexrank … | head -1`: the reader goes away, the run ends as if it had not.
#[test]
fn a_reader_of_stdout_may_have_seen_enough() {
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
    let told: Vec<&str> = stderr.lines().collect();
    assert!(
        told.len() == 2 && told[1].contains("  MRK: "),
        "only of a figure that does not fit: {stderr}"
    );
}

/// Without a terminal a slow run tells how far it is, line by line, without control characters.
#[test]
fn plain_lines_without_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = command(folder.path(), &["serve", "--latency", "100"]);
    let mut server = serve.stdout(Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut address)
        .unwrap();
    let ran = indexrank(
        folder.path(),
        &["--from", address.trim_end(), "--workers", "16"],
    );
    let quiet = indexrank(
        folder.path(),
        &["--from", address.trim_end(), "--workers", "16", "--quiet"],
    );
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(ran.code, 0);
    let first = ran.stderr.lines().next().expect("a line after two seconds");
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
}

#[test]
fn verbose_tells_every_company_that_is_missing_and_what_was_used() {
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(folder.path(), &["--from", &MARKET.address(), "-v"]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.stderr.contains("510 requests, 0 retries"),
        "{}",
        ran.stderr
    );
}

/// A device or a pipe would be replaced by a file.
#[test]
#[cfg(unix)]
fn results_replace_nothing_but_files() {
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
    assert_eq!(ran.code, 7);
    assert!(
        ran.stderr
            .contains("cannot write pipe: it is a device or a pipe"),
        "{}",
        ran.stderr
    );
    assert!(!pipe.metadata().unwrap().is_file());
}
