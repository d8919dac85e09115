//! The contenders of the race, each in a process of its own against a test server.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::race::CONTENDERS;
use crate::run::{COMPANIES, COMPANY, INDEX_2, gzip, market};
use crate::support::{Reply, TestServer, json as read_json};
use crate::tls::{Authority, Server, params};

/// The contenders with a client of their own.
const OWN_CLIENTS: [&str; 4] = ["sockets", "async", "async-single", "async-reqwest"];

struct ContenderRun {
    is_ok: bool,
    stderr: String,
    /// The table of companies; empty if the run failed.
    companies: String,
    /// Its measurement; null if the run failed.
    measurement: Value,
}

/// Runs a contender with four pages in flight, started by these words of a shell.
fn run_contender_after(
    words: &str,
    name: &str,
    site: &str,
    authorities: Option<&Path>,
) -> ContenderRun {
    let out = tempfile::tempdir().unwrap();
    let task = json!({
        "name": name,
        "site": site,
        "work": {"Job": {"index": "s&p_500"}},
        "workers": 4,
        "trace": false,
        "out": out.path(),
        "fault": null,
        "authorities": authorities,
    });
    let output = Command::new("sh")
        .args(["-c", &format!("{words} exec \"$@\""), "sh"])
        .args([env!("CARGO_BIN_EXE_indexrank"), "race", "run"])
        .arg(task.to_string())
        .output()
        .unwrap();
    let file = out.path().join("result.json");
    ContenderRun {
        is_ok: output.status.success(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        companies: fs::read_to_string(out.path().join("companies.ndjson")).unwrap_or_default(),
        measurement: if file.exists() {
            read_json(&file)
        } else {
            Value::Null
        },
    }
}

fn run_contender(name: &str, site: &str) -> ContenderRun {
    run_contender_after("", name, site, None)
}

/// The server holds each request for 10 ms and counts those that it holds.
#[test]
fn no_contender_has_more_requests_under_way_than_allowed() {
    for name in CONTENDERS {
        let held = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let counts = Arc::clone(&held);
        let server = TestServer::start(market(), move |_, _| {
            let (now, most) = &*counts;
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            thread::sleep(Duration::from_millis(10));
            now.fetch_sub(1, SeqCst);
            None
        });
        let run = run_contender(name, server.address());
        assert!(run.is_ok, "{name}: {}", run.stderr);
        let expected = if name == "sequential" { 1 } else { 4 };
        assert_eq!(held.1.load(SeqCst), expected, "{name}");
        assert_eq!(server.requests().len(), COMPANIES + 3, "{name}");
    }
}

#[test]
fn contenders_accept_a_private_authority() {
    let authority = Authority::new();
    let server = Server::of_market(authority.sign(params("127.0.0.1")), |_| None);
    let site = format!("https://127.0.0.1:{}", server.port);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, authority.pem).unwrap();
    let mut expected = None;
    for name in CONTENDERS {
        let run = run_contender_after("", name, &site, Some(&file));
        assert!(run.is_ok, "{name}: {}", run.stderr);
        assert_eq!(run.companies.lines().count(), COMPANIES, "{name}");
        let expected = expected.get_or_insert_with(|| run.companies.clone());
        assert!(run.companies == *expected, "{name}");
    }
    for name in ["inline", "sockets", "async", "async-reqwest"] {
        let run = run_contender(name, &site);
        assert!(!run.is_ok, "{name} trusts any authority");
    }
}

fn page_of(path: &str) -> Vec<u8> {
    let pages = indexrank::replica::Pages::of_market(&market());
    pages.get(path).unwrap().plain_body().to_vec()
}

/// The same page in the ways in which servers may send it.
#[test]
fn contenders_receive_all_forms_of_a_response() {
    let page = page_of(COMPANY);
    let (length, zipped) = (page.len(), gzip(&page));
    let chunked: Vec<u8> = zipped
        .chunks(7000)
        .flat_map(|chunk| {
            [
                format!("{:x};a=b\r\n", chunk.len()).as_bytes(),
                chunk,
                b"\r\n",
            ]
            .concat()
        })
        .chain(*b"0\r\nx-checksum: 1\r\n\r\n")
        .collect();
    let keeps = |head: &str, body: &[u8]| (false, [head.as_bytes(), b"\r\n\r\n", body].concat());
    let closes = |head: &str, body: &[u8]| (true, keeps(head, body).1);
    let plain = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}");
    let forms = [
        keeps(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip",
            &chunked,
        ),
        keeps(
            &format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{plain}"),
            &page,
        ),
        keeps(&format!("{plain}\r\nContent-Length: {length}"), &page),
        keeps(&format!("{plain}\r\nX-Long: {}", "x".repeat(9000)), &page),
        closes(&format!("{plain}\r\nConnection: close"), &page),
        closes("HTTP/1.0 200 OK", &page),
        closes("HTTP/1.1 200 OK\r\nContent-Encoding: gzip", &zipped),
        // Without a word about it, so the next request finds a closed connection.
        closes(&plain, &page),
    ];
    let server = TestServer::start(market(), |_, _| None);
    let expected = run_contender("pipeline", server.address()).companies;
    for (number, (closes, bytes)) in forms.into_iter().enumerate() {
        for name in OWN_CLIENTS.into_iter().chain(["inline"]) {
            let bytes = bytes.clone();
            let server = TestServer::start(market(), move |path, _| {
                let reply = if closes {
                    Reply::RawThenClose
                } else {
                    Reply::Raw
                };
                (path == COMPANY).then(|| reply(bytes.clone()))
            });
            let run = run_contender(name, server.address());
            assert!(run.is_ok, "form {number}, {name}: {}", run.stderr);
            assert!(run.companies == expected, "form {number}, {name}");
        }
    }
}

#[test]
fn contenders_follow_redirects_on_the_host() {
    for name in OWN_CLIENTS.into_iter().chain(["inline"]) {
        let server = TestServer::start(market(), |path, _| match path {
            COMPANY => Some(Reply::status("302 Found\r\nLocation: /moved/mmm-stock?x#y")),
            "/moved/mmm-stock?x" => Some(Reply::Page(page_of(COMPANY))),
            _ => None,
        });
        let run = run_contender(name, server.address());
        assert!(run.is_ok, "{name}: {}", run.stderr);
        assert_eq!(run.measurement["failures"], 0, "{name}");
        assert_eq!(server.requests().len(), COMPANIES + 4, "{name}");
    }
}

/// A contender that takes one of these for the page would be faster than one that does not.
#[test]
fn contenders_report_bad_responses_as_failures() {
    let page = page_of(COMPANY);
    let length = page.len();
    let raw = |head: String, body: &[u8]| [head.as_bytes(), b"\r\n\r\n", body].concat();
    let bad = [
        raw(
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}"),
            &page[..length / 2],
        ),
        raw(
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}", length / 2),
            &page[..length / 2],
        ),
        raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked".to_owned(),
            b"4\r\nabcd\r\n5\r\nab",
        ),
        raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked".to_owned(),
            b"x\r\n",
        ),
        raw(
            format!("HTTP/1.1 500 Oops\r\nContent-Length: {length}"),
            &page,
        ),
        raw(
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nContent-Length: 1"),
            &page,
        ),
        raw(
            "HTTP/1.1 302 Found\r\nLocation: http://site.invalid/\r\nContent-Length: 0".to_owned(),
            b"",
        ),
        raw(
            format!("HTTP/1.1 302 Found\r\nLocation: {COMPANY}\r\nContent-Length: 0"),
            b"",
        ),
        raw(
            "HTTP/1.1 200 OK\r\nContent-Length: 2097153".to_owned(),
            &vec![b' '; 2_097_153],
        ),
        raw("HTTP/1.1 200 OK".to_owned(), &page_of("/stocks/abt-stock")),
        raw("HTTP/1.1 200 OK".to_owned(), &page[..length / 2]),
        b"what\r\n\r\n".to_vec(),
        Vec::new(),
    ];
    for (number, bytes) in bad.into_iter().enumerate() {
        for name in OWN_CLIENTS.into_iter().chain(["inline"]) {
            let bytes = bytes.clone();
            let server = TestServer::start(market(), move |path, _| {
                (path == COMPANY).then(|| Reply::RawThenClose(bytes.clone()))
            });
            let run = run_contender(name, server.address());
            assert!(run.is_ok, "response {number}, {name}: {}", run.stderr);
            let measurement = run.measurement;
            assert_eq!(measurement["failures"], 1, "response {number}, {name}");
        }
    }
}

/// The first responses to an index page and to the rates break.
#[test]
fn contenders_retry_the_index_and_the_rates() {
    for name in OWN_CLIENTS.into_iter().chain(["inline"]) {
        for (path, times) in [(INDEX_2, 2), (crate::run::RATES, 2)] {
            let server = TestServer::start(market(), move |asked, before| {
                let broken = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<".to_vec();
                (asked.starts_with(path) && before < times).then_some(Reply::RawThenClose(broken))
            });
            let run = run_contender(name, server.address());
            assert!(run.is_ok, "{name}, {path}: {}", run.stderr);
            assert_eq!(run.companies.lines().count(), COMPANIES, "{name}");
        }
        let server = TestServer::start(market(), move |path, _| {
            (path == INDEX_2).then(|| Reply::status("404 Not Found"))
        });
        let run = run_contender(name, server.address());
        assert!(!run.is_ok, "{name}");
        assert!(run.stderr.contains("HTTP status 404"), "{}", run.stderr);
    }
}

/// An index page and the rates that are another page, or lack their end, are retried.
#[test]
fn contenders_retry_an_index_page_that_is_another_or_cut() {
    let (page, other) = (page_of(INDEX_2), page_of(COMPANY));
    let cut = page[..page.len() - 20].to_vec();
    for name in OWN_CLIENTS.into_iter().chain(["inline"]) {
        for (body, path) in [
            (&cut, INDEX_2),
            (&other, INDEX_2),
            (&other, crate::run::RATES),
        ] {
            let body = body.clone();
            let server = TestServer::start(market(), move |asked, before| {
                (asked.starts_with(path) && before == 0).then(|| Reply::Page(body.clone()))
            });
            let run = run_contender(name, server.address());
            assert!(run.is_ok, "{name}, {path}: {}", run.stderr);
            assert_eq!(run.companies.lines().count(), COMPANIES, "{name}");
            assert_eq!(server.requests().len(), COMPANIES + 4, "{name}");
        }
    }
}

/// The bank checks by a cookie whether a client keeps one.
#[test]
fn contenders_pass_the_check_of_the_bank() {
    for name in OWN_CLIENTS.into_iter().chain(["inline"]) {
        let server = TestServer::start(market(), |path, before| {
            let location = format!("302 Found\r\nLocation: {path}\r\nSet-Cookie: a=b");
            (path.starts_with(crate::run::RATES) && before == 0).then(|| Reply::status(&location))
        });
        let run = run_contender(name, server.address());
        assert!(run.is_ok, "{name}: {}", run.stderr);
        let requests = server.requests();
        let has_cookie = |line: &String| line == "cookie: a=b";
        let with_cookie = requests
            .iter()
            .filter(|request| request.headers.iter().any(has_cookie));
        assert_eq!(with_cookie.count(), 1, "{name}");
    }
}

#[test]
fn contenders_pause_as_long_as_a_response_asks() {
    for name in OWN_CLIENTS.into_iter().chain(["inline"]) {
        let server = TestServer::start(market(), |path, before| {
            let busy = "429 Too Many Requests\r\nRetry-After: 1";
            (path == INDEX_2 && before == 0).then(|| Reply::status(busy))
        });
        let run = run_contender(name, server.address());
        assert!(run.is_ok, "{name}: {}", run.stderr);
        assert_eq!(run.companies.lines().count(), COMPANIES, "{name}");
        let requests = server.requests();
        let of_page: Vec<_> = requests
            .iter()
            .filter(|request| request.path == INDEX_2)
            .collect();
        assert_eq!(of_page.len(), 2, "{name}");
        let refused_at = of_page[0].at;
        // Requests under way when the response comes are not held back.
        let early = requests.iter().filter(|request| {
            let after = request.at.saturating_duration_since(refused_at);
            (Duration::from_millis(300)..Duration::from_millis(990)).contains(&after)
        });
        assert_eq!(early.count(), 0, "{name}");
        assert!(of_page[1].at - refused_at >= Duration::from_millis(990));
    }
    for name in OWN_CLIENTS {
        let server = TestServer::start(market(), |path, _| {
            let busy = "429 Too Many Requests\r\nRetry-After: 121";
            (path == COMPANY).then(|| Reply::status(busy))
        });
        let run = run_contender(name, server.address());
        assert!(!run.is_ok, "{name}");
        let words = "HTTP status 429 asks for a pause of 121 s, more than the 120 s";
        assert!(run.stderr.contains(words), "{name}: {}", run.stderr);
    }
}

#[test]
fn contenders_say_that_too_few_files_can_be_open() {
    let run = run_contender_after("ulimit -n 20;", "sockets", "http://127.0.0.1:1", None);
    assert!(!run.is_ok);
    let words = "sockets needs 28 open files for 4 pages in flight, \
                 and the system allows this process ";
    assert!(run.stderr.contains(words), "{}", run.stderr);
}
