//! Whole runs on archives of other programs, and on archives that cannot be used.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use indexrank::replica::Pages;

use crate::archives::*;
use crate::run::{COMPANIES, COMPANY, market};
use crate::support::{RANKINGS, command, indexrank, json, json_lines, ledger, start_serve};

/// The market of the tests as another program stores it: no digests, no `X-` fields. `change` returns the
/// records to store in place of a page.
fn foreign(change: impl Fn(&str, &[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let market = market();
    let numbers = 1..=market.index_pages();
    let index = numbers.map(|number| {
        let path = format!("{INDEX}?p={number}");
        (path, market.index_page(number).into_bytes())
    });
    let companies = market.companies().iter();
    let companies = companies.map(|company| {
        (
            company.path.clone(),
            market.company_page(company).into_bytes(),
        )
    });
    let rates = ("/scripts/XML_daily.asp".to_owned(), market.rates());
    let pages = index.chain(companies).chain([rates]);
    let records = pages.flat_map(|(path, body)| {
        let block = [OK.as_bytes(), &body].concat();
        change(&path, &body).unwrap_or_else(|| record("response", &path, "", &block))
    });
    records.collect()
}

/// Runs on an archive. Its rankings must be those of the unchanged archive.
#[track_caller]
fn assert_complete(name: &str, archive: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.warc"), archive).unwrap();
    fs::write(folder.path().join("plain.warc"), foreign(|_, _| None)).unwrap();
    let run = |from: &str, out: &str| {
        let ran = indexrank(folder.path(), &["--from", from, "--out", out, "-q"]);
        assert_eq!((ran.code, &*ran.stderr), (0, ""), "{name}");
        let report = json(&folder.path().join(out).join("run.json"));
        assert_eq!(
            ledger(&report),
            [COMPANIES as u64, COMPANIES as u64, 0, 0, 0]
        );
        RANKINGS.map(|ranking| fs::read(folder.path().join(out).join(ranking)).unwrap())
    };
    assert_eq!(run("a.warc", "a"), run("plain.warc", "plain"), "{name}");
    let (mut serve, address) = start_serve(folder.path(), &["--from", "a.warc"]);
    let served = run(&address, "served");
    serve.kill().unwrap();
    serve.wait().unwrap();
    assert_eq!(served, run("plain.warc", "plain"), "{name}, served");
}

#[test]
fn runs_and_serves_archives_with_redirects_and_revisits() {
    let stored =
        |path: &str, body: &[u8]| record("response", path, "", &[OK.as_bytes(), body].concat());
    let revisit = |path: &str, of: &str| {
        let field = format!("WARC-Refers-To-Target-URI: https://example.com{of}\r\n");
        record("revisit", path, &field, OK.as_bytes())
    };
    assert_complete(
        "page 1 without its number",
        &foreign(|path, body| (path == INDEX_1).then(|| stored(INDEX, body))),
    );
    assert_complete(
        "page 1 redirected",
        &foreign(|path, body| {
            (path == INDEX_1).then(|| [redirect(path, INDEX), stored(INDEX, body)].concat())
        }),
    );
    assert_complete(
        "a company redirected",
        &foreign(|path, body| {
            let target = "/stocks/3m-stock";
            let body = || {
                String::from_utf8_lossy(body)
                    .replace("/mmm/", "/3m/")
                    .replace("mmm-stock", "3m-stock")
            };
            (path == COMPANY)
                .then(|| [redirect(path, target), stored(target, body().as_bytes())].concat())
        }),
    );
    assert_complete(
        "revisits",
        &foreign(|path, body| {
            let first = format!("{path}?first");
            Some([stored(&first, body), revisit(path, &first)].concat())
        }),
    );
    assert_complete(
        "op=1",
        &foreign(|path, body| {
            let mark = if path.contains('?') { '&' } else { '?' };
            Some(stored(&format!("{path}{mark}op=1"), body))
        }),
    );
}

/// The page that a redirect led to is compared with both addresses, as for a live redirect.
#[test]
fn a_redirect_to_the_page_of_another_company_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let archive =
        foreign(|path, _| (path == INDEX_1).then(|| redirect(path, &format!("{INDEX}?p=2"))));
    fs::write(folder.path().join("a.warc"), archive).unwrap();
    let ran = indexrank(folder.path(), &["--from", "a.warc"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("another page"), "{}", ran.stderr);
}

/// They say nothing about what the site does now.
#[test]
fn recorded_refusals_do_not_end_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let archive = foreign(|path, _| {
        let refused = || {
            let block = b"HTTP/1.1 403 Forbidden\r\n\r\n";
            record("response", path, "", block)
        };
        path.starts_with("/stocks/").then(refused)
    });
    let page = record("response", "/", "", format!("{OK}{PAGE}").as_bytes());
    fs::write(folder.path().join("a.warc"), [archive, page].concat()).unwrap();
    let ran = indexrank(folder.path(), &["--from", "a.warc", "--readers", "1"]);
    assert_eq!(ran.code, 4);
    let words = format!("none of the {COMPANIES} company pages could be fetched");
    assert!(ran.stderr.contains(&words), "{}", ran.stderr);
}

/// Every command that reads an archive says which bytes it has skipped, also at an early end.
#[test]
fn warns_about_skipped_bytes_in_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = "garbage".repeat(10);
    let with = |archive: Vec<u8>| {
        [
            response("/first", PAGE),
            garbage.clone().into_bytes(),
            archive,
        ]
        .concat()
    };
    let told = "70 bytes of a.warc are no readable record and were skipped";
    let whole = foreign(|_, _| None);
    let without_index = foreign(|path, _| (path == INDEX_1).then(Vec::new));
    let without_companies = foreign(|path, _| path.starts_with("/stocks/").then(Vec::new));
    let other_layout = foreign(|path, _| {
        path.starts_with("/stocks/")
            .then(|| response(path, "<p></html>"))
    });
    for (archive, arguments, code) in [
        (&whole, &[][..], 0),
        (&whole, &["--min-companies", "500"], 8),
        (&without_index, &[], 4),
        (&without_companies, &[], 4),
        (&other_layout, &[], 5),
        (&whole, &["--dry-run"], 0),
        (&without_index, &["--dry-run"], 4),
    ] {
        fs::write(folder.path().join("a.warc"), with(archive.clone())).unwrap();
        let ran = indexrank(
            folder.path(),
            &[&["--from", "a.warc", "--log", "log"], arguments].concat(),
        );
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.stderr);
        let text = ran.stderr.clone() + &ran.stdout;
        assert_eq!(text.matches(told).count(), 1, "{arguments:?}: {text}");
        if !arguments.contains(&"--dry-run") {
            let log = fs::read_to_string(folder.path().join("log")).unwrap();
            assert!(log.contains(told), "{arguments:?}: {log}");
        }
    }
    fs::write(folder.path().join("a.warc"), with(whole)).unwrap();
    let checked = indexrank(folder.path(), &["check", "--from", "a.warc"]);
    assert!(
        checked.code == 0 && checked.stdout.contains(told),
        "{}",
        checked.stdout
    );
    let checked = indexrank(folder.path(), &["check", "--json", "--from", "a.warc"]);
    assert_eq!(
        json_lines(&checked.stdout.replace('\n', " "))[0]["warning"],
        told
    );
    let (mut serve, _) = start_serve(folder.path(), &["--from", "a.warc"]);
    let mut line = String::new();
    BufReader::new(serve.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    serve.kill().unwrap();
    serve.wait().unwrap();
    assert!(line.contains(told), "{line}");
}

#[test]
fn rejects_an_archive_without_a_usable_page() {
    let failed = |status: &str| {
        record(
            "response",
            INDEX_1,
            "",
            format!("HTTP/1.1 {status}\r\n\r\n").as_bytes(),
        )
    };
    let mut damaged = [
        record("warcinfo", "", "", b"record-digest: crc32\r\n"),
        response("/a", PAGE),
    ]
    .concat();
    let folder = tempfile::tempdir().unwrap();
    for (name, archive) in [
        ("warcinfo", record("warcinfo", "", "", b"software: x\r\n")),
        (
            "request",
            record("request", "/a", "", b"GET /a HTTP/1.1\r\n\r\n"),
        ),
        ("metadata", record("metadata", "/a", "", b"outlink: x\r\n")),
        (
            "404",
            [failed("404 Not Found"), failed("503 Busy")].concat(),
        ),
        ("redirect", redirect("/a", "https://elsewhere.example/")),
        ("revisit", record("revisit", "/a", "", OK.as_bytes())),
        ("damaged", std::mem::take(&mut damaged)),
    ] {
        fs::write(folder.path().join("a.warc"), archive).unwrap();
        for arguments in [&[][..], &["--dry-run"], &["check"], &["serve"]] {
            assert_rejects(folder.path(), name, arguments);
        }
    }
}

#[track_caller]
fn assert_rejects(folder: &Path, name: &str, arguments: &[&str]) {
    let mut child = command(folder, &[arguments, &["--from", "a.warc"]].concat())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // A server would go on.
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    if !line.is_empty() {
        child.kill().unwrap();
    }
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    let code = child.wait().unwrap().code();
    let words = "a.warc contains no usable page";
    assert!(
        code == Some(2) && line.is_empty() && stderr.contains(words),
        "{name} {arguments:?}: {code:?} {line}{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{name} {arguments:?}: {stderr}");
}

/// A page that a redirect led to, in an archive that is served: the client is redirected too.
#[test]
fn serves_archived_redirects_as_redirects() {
    let archive = open(
        &[
            redirect("/a", "/b"),
            response("/b", PAGE),
            redirect("/c", "/away"),
        ]
        .concat(),
    );
    let pages = Pages::of_archive(&archive);
    assert!(pages.unreadable.is_empty(), "{:?}", pages.unreadable);
    let head_start = |path: &str| pages.get(path).map(|page| page.head_start.clone());
    assert!(
        head_start("/a")
            .unwrap()
            .contains("301 Moved Permanently\r\nLocation: /b\r\n")
    );
    assert_eq!(head_start("/b").as_deref(), Some("HTTP/1.1 200 OK\r\n"));
    assert_eq!(head_start("/c"), None);
}
