//! Archives of other programs: which record answers a path, and whole runs on them.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use indexrank::http::decode::Inflater;
use indexrank::http::error::Reason;
use indexrank::http::page::Page;
use indexrank::replica::Pages;
use indexrank::warc::reader::Archive;

use crate::run::{COMPANIES, COMPANY, market};
use crate::support::{RANKINGS, command, indexrank, json, json_lines, ledger, start_serve};

pub const PAGE: &str = "<p>page a</p>";
pub const INDEX: &str = "/index/components/s&p_500";
pub const INDEX_1: &str = "/index/components/s&p_500?p=1";
pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n";

/// A record without the line ends after it. `fields` are further lines of its head.
pub fn bare_record(kind: &str, uri: &str, fields: &str, block: &[u8]) -> Vec<u8> {
    let length = block.len();
    let head = format!(
        "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\n{fields}Content-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), block].concat()
}

pub fn record(kind: &str, path: &str, fields: &str, block: &[u8]) -> Vec<u8> {
    let uri = format!("https://example.com{path}");
    [bare_record(kind, &uri, fields, block), b"\r\n\r\n".to_vec()].concat()
}

pub fn response(path: &str, body: &str) -> Vec<u8> {
    record("response", path, "", format!("{OK}{body}").as_bytes())
}

pub fn redirect(path: &str, target: &str) -> Vec<u8> {
    let http = format!("HTTP/1.1 301 Moved\r\nLocation: {target}\r\n\r\n");
    record("response", path, "", http.as_bytes())
}

pub fn open(bytes: &[u8]) -> Archive {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    Archive::open(file.path()).unwrap()
}

/// The inflated text of a page with status 200.
pub fn text(archive: &Archive, path: &str) -> Result<String, Reason> {
    let page = archive
        .get(path, b"old".to_vec())
        .and_then(Page::require_status_200);
    let text = page.and_then(|page| {
        let mut inflater = Inflater::default();
        let text = page.inflate(&mut inflater)?.to_vec();
        Ok(String::from_utf8_lossy(&text).into_owned())
    });
    text.map_err(|error| error.reason)
}

/// The address of a stored record, and the page that is asked for.
#[test]
fn finds_a_page_under_other_addresses() {
    let of = |uri: &str| {
        let http = format!("{OK}{PAGE}");
        [
            bare_record("response", uri, "", http.as_bytes()),
            b"\r\n\r\n".to_vec(),
        ]
        .concat()
    };
    let host = "https://example.com";
    for (stored, asked) in [
        (format!("<{host}/a>"), "/a"),
        (format!("<{host}/a#top>"), "/a"),
        (format!("{host}/a#top"), "/a"),
        (format!("HTTP://EXAMPLE.com{INDEX}"), INDEX),
        (format!("{host}{INDEX}"), INDEX_1),
        (format!("{host}{INDEX}?op=1"), INDEX_1),
        (format!("{host}{INDEX}?p=1&op=1"), INDEX_1),
        (format!("{host}{INDEX}?op=1&p=1#x"), INDEX_1),
        (format!("{host}/index/components/s%26p_500?op=1"), INDEX_1),
        (
            format!("{host}{INDEX}?p=2&op=1"),
            "/index/components/s&p_500?p=2",
        ),
        (format!("{host}{COMPANY}?op=1"), COMPANY),
    ] {
        assert_eq!(
            text(&open(&of(&stored)), asked),
            Ok(PAGE.to_owned()),
            "{stored}"
        );
    }
    let latin1 = of(&format!("{host}/nestl_"))
        .into_iter()
        .map(|byte| if byte == b'_' { 0xe9 } else { byte });
    let latin1 = open(&latin1.collect::<Vec<u8>>());
    assert_eq!(text(&latin1, "/nestl%e9"), Ok(PAGE.to_owned()));
    for (stored, asked) in [
        (format!("{host}{INDEX}?p=2"), INDEX_1),
        (format!("{host}{INDEX}?p=11"), INDEX_1),
        (format!("{host}/a?top=1"), "/a"),
        (format!("urn:text:{host}/a"), "/a"),
        (format!("file://{COMPANY}"), COMPANY),
    ] {
        assert_eq!(
            text(&open(&of(&stored)), asked),
            Err(Reason::NotArchived),
            "{stored}"
        );
    }
    // A page stored exactly wins, and of others the one with the fewest parameters.
    let all = [
        response(&format!("{INDEX}?op=1"), "op"),
        response(INDEX, "plain"),
        response(&format!("{INDEX}?p=1&op=1"), "both"),
    ];
    assert_eq!(text(&open(&all.concat()), INDEX_1), Ok("plain".to_owned()));
    let exact = [response(INDEX_1, "exact"), all.concat()].concat();
    assert_eq!(text(&open(&exact), INDEX_1), Ok("exact".to_owned()));
    assert_eq!(text(&open(&exact), INDEX), Ok("plain".to_owned()));
}

#[test]
fn follows_redirects_within_the_archive() {
    let chain = |hops: usize| {
        let hops = (0..hops).map(|hop| redirect(&format!("/{hop}"), &format!("/{}", hop + 1)));
        hops.collect::<Vec<_>>().concat()
    };
    let of_status = |status: u16| {
        let http =
            format!("HTTP/1.1 {status} Moved\r\nlocation : https://elsewhere.example/b\r\n\r\n");
        record("response", "/0", "", http.as_bytes())
    };
    let b = response("/b", PAGE);
    let found = Ok((PAGE.to_owned(), Some("/b")));
    let away = Err(Reason::NotArchived);
    for (name, records, expected) in [
        ("301", [of_status(301), b.clone()], found.clone()),
        ("302", [of_status(302), b.clone()], found.clone()),
        ("303", [of_status(303), b.clone()], found.clone()),
        ("307", [of_status(307), b.clone()], found.clone()),
        ("308", [of_status(308), b.clone()], found.clone()),
        ("304", [of_status(304), b.clone()], Err(Reason::Status)),
        (
            "target first",
            [b.clone(), redirect("/0", "b#top")],
            found.clone(),
        ),
        (
            "no Location",
            [
                b.clone(),
                record("response", "/0", "", b"HTTP/1.1 301 Moved\r\n\r\n"),
            ],
            Err(Reason::Status),
        ),
        (
            "no empty line",
            [
                b.clone(),
                record("response", "/0", "", b"HTTP/1.1 301 Moved\r\nLocation: /b"),
            ],
            found,
        ),
        (
            "out of the archive",
            [redirect("/0", "/c"), b.clone()],
            away.clone(),
        ),
        (
            "to itself",
            [redirect("/0", "http://example.com/0"), b.clone()],
            away,
        ),
        (
            "5",
            [chain(5), response("/5", PAGE)],
            Ok((PAGE.to_owned(), Some("/5"))),
        ),
        (
            "6",
            [chain(6), response("/6", PAGE)],
            Err(Reason::Redirects),
        ),
        (
            "a loop",
            [redirect("/0", "/1"), redirect("/1", "/0")],
            Err(Reason::Redirects),
        ),
        (
            "to a failure",
            [
                redirect("/0", "/1"),
                record("response", "/1", "", b"HTTP/1.1 404 Gone\r\n\r\n"),
            ],
            Err(Reason::Gone),
        ),
    ] {
        let archive = open(&records.concat());
        let reached = archive
            .get("/0", Vec::new())
            .ok()
            .and_then(|page| page.reached);
        let found = text(&archive, "/0");
        match expected {
            Ok((text, target)) => {
                assert_eq!(found, Ok(text), "{name}");
                let reached = reached.unwrap();
                assert!(reached.ends_with(target.unwrap()), "{name}: {reached}");
            }
            Err(reason) => assert_eq!(found, Err(reason), "{name}"),
        }
    }
    // Nor does a redirect of the page to itself, which asks for a cookie.
    for target in ["/b", "/%62", "https://example.com/b#x"] {
        let archive = open(&[b.clone(), redirect("/b", target)].concat());
        assert_eq!(text(&archive, "/b"), Ok(PAGE.to_owned()), "{target}");
    }
    let archive = open(&[b.clone(), redirect("/b", "/c")].concat());
    assert_eq!(text(&archive, "/b"), Err(Reason::NotArchived));
    // The redirect from one scheme to the other does not hide the page.
    let http = String::from_utf8(redirect("/b", "https://example.com/b")).unwrap();
    let http = http.replace("URI: https", "URI: http").into_bytes();
    for records in [[&http, &b], [&b, &http]] {
        let archive = open(&records.map(Vec::as_slice).concat());
        assert_eq!(text(&archive, "/b"), Ok(PAGE.to_owned()));
    }
}

#[test]
fn reads_the_page_that_a_revisit_record_refers_to() {
    let to = |path: &str| {
        format!(
            "WARC-Refers-To-Target-URI: <https://example.com{path}>\r\nWARC-Refers-To-Date: 2022-01-01T00:00:00Z\r\n"
        )
    };
    let revisit = |fields: &str, http: &str| record("revisit", "/a", fields, http.as_bytes());
    let tagged = |path: &str, fields: &str, body: &str| {
        record("response", path, fields, format!("{OK}{body}").as_bytes())
    };
    let (id, digest) = (
        "WARC-Record-ID: <urn:uuid:1>\r\n",
        "WARC-Payload-Digest: md5:0\r\n",
    );
    let refers_to = "WARC-Refers-To: <urn:uuid:1>\r\n";
    let not_modified = "HTTP/1.1 304 Not Modified\r\n\r\n";
    let (a, b) = (response("/a", PAGE), response("/b", PAGE));
    for (name, records, expected) in [
        (
            "of another address",
            vec![b.clone(), revisit(&to("/b"), OK)],
            Ok(PAGE),
        ),
        (
            "before it",
            vec![revisit(&to("/b"), OK), b.clone()],
            Ok(PAGE),
        ),
        (
            "of its own address",
            vec![a.clone(), revisit(&to("/a"), OK)],
            Ok(PAGE),
        ),
        (
            "before its own",
            vec![revisit(&to("/a"), OK), a.clone()],
            Ok(PAGE),
        ),
        (
            "without a reference",
            vec![a.clone(), revisit("", OK)],
            Ok(PAGE),
        ),
        (
            "not modified",
            vec![a.clone(), revisit("", not_modified)],
            Ok(PAGE),
        ),
        (
            "not modified, of another address",
            vec![b.clone(), revisit(&to("/b"), not_modified)],
            Ok(PAGE),
        ),
        (
            "without a head",
            vec![b.clone(), revisit(&to("/b"), "")],
            Ok(PAGE),
        ),
        (
            "by its ID",
            vec![tagged("/b", id, PAGE), revisit(refers_to, OK)],
            Ok(PAGE),
        ),
        (
            "by its digest",
            vec![revisit(digest, OK), tagged("/b", digest, PAGE)],
            Ok(PAGE),
        ),
        (
            "by its digest in capitals",
            vec![
                tagged("/b", "WARC-Payload-Digest: sha256:0aF\r\n", PAGE),
                revisit("WARC-Payload-Digest: SHA256:0Af\r\n", OK),
            ],
            Ok(PAGE),
        ),
        // The page is again what it was first.
        (
            "the older payload",
            vec![
                tagged("/a", digest, PAGE),
                response("/a", "other"),
                revisit(&format!("{digest}{}", to("/a")), OK),
            ],
            Ok(PAGE),
        ),
        (
            "a newer response",
            vec![b.clone(), revisit(&to("/b"), OK), response("/a", "newer")],
            Ok("newer"),
        ),
        (
            "a redirect",
            vec![
                b.clone(),
                revisit(&to("/c"), "HTTP/1.1 301 Moved\r\nLocation: /b\r\n\r\n"),
            ],
            Ok(PAGE),
        ),
        (
            "a redirected original",
            vec![redirect("/c", "/b"), b.clone(), revisit(&to("/c"), OK)],
            Ok(PAGE),
        ),
        (
            "a failure",
            vec![a.clone(), revisit(&to("/a"), "HTTP/1.1 404 Gone\r\n\r\n")],
            Err(Reason::Gone),
        ),
        (
            "no original",
            vec![b.clone(), revisit(&to("/c"), OK)],
            Err(Reason::NotArchived),
        ),
        (
            "itself",
            vec![b.clone(), revisit(&to("/a"), OK)],
            Err(Reason::NotArchived),
        ),
    ] {
        let found = text(&open(&records.concat()), "/a");
        assert_eq!(found, expected.map(str::to_owned), "{name}");
    }
    let archive = open(&[b, revisit(&to("/b"), OK)].concat());
    assert_eq!(archive.get("/a", Vec::new()).unwrap().reached, None);
}

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
