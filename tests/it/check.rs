//! The subcommand `check`: its verdicts, exit codes, and how much it asks of a site.

use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indexrank::replica::{Market, Pages, SEED};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::interrupted::{ended, start};
use crate::run::{RATES, market};
use crate::support::{Reply, TestServer, files, indexrank, signal};

const ROBOTS: &str = "/robots.txt";
const INDEX_1: &str = "/index/components/s&p_500?p=1";
/// The first two companies of the index.
const FIRST: &str = "/stocks/a-stock";
const SECOND: &str = "/stocks/aal-stock";

/// A check of a test server, with `--json`.
struct Checked {
    code: i32,
    result: Value,
}

impl Checked {
    /// Runs a check and asserts what holds for every one: a few requests, no file, nothing on stderr.
    fn of(server: &TestServer, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = server.address();
        let all = [&["check", "--json", "--from", address], arguments].concat();
        let ran = indexrank(folder.path(), &all);
        assert_eq!(ran.stderr, "");
        assert_eq!(files(folder.path()), [""; 0]);
        let result: Value = serde_json::from_str(&ran.stdout).unwrap();
        let requests = server.requests().len();
        assert!(requests <= 5, "{requests} requests");
        // The end of a check may abort a request before the server receives it.
        let counted = result["requests"].as_u64().unwrap() as usize;
        let aborted = counted - requests;
        assert!(aborted == 0 || aborted == 1 && ran.code == 4, "{result}");
        Checked {
            code: ran.code,
            result,
        }
    }

    /// Verdict and detail of a check; empty if it was not made.
    fn of_check(&self, check: &str) -> (&str, &str) {
        let checks = self.result["checks"].as_array().unwrap();
        let found = checks.iter().find(|one| one["check"] == check);
        let text = |key: &str| found.map_or("", |one| one[key].as_str().unwrap());
        (text("verdict"), text("detail"))
    }

    #[track_caller]
    fn assert(&self, code: i32, check: &str, verdict: &str, detail: &str) {
        let (found, text) = self.of_check(check);
        assert_eq!(
            (self.code, found),
            (code, verdict),
            "{check}: {}",
            self.result
        );
        assert!(text.contains(detail), "no {detail:?} in {text:?}");
    }

    #[track_caller]
    fn assert_next(&self, expected: &str) {
        let next = self.result["next"].as_str().unwrap();
        assert!(next.contains(expected), "no {expected:?} in {next:?}");
    }
}

static PAGES: LazyLock<Pages> = LazyLock::new(|| Pages::of_market(&market()));

/// A server that replaces texts on all pages whose path begins with `prefix`.
fn server_with(prefix: &'static str, changes: &'static [(&str, &str)]) -> TestServer {
    TestServer::start(market(), move |path, _| {
        let page = PAGES.get(path).filter(|_| path.starts_with(prefix))?;
        let mut body = String::from_utf8(page.plain_body()).ok()?;
        for (from, to) in changes {
            assert!(body.contains(from), "no {from:?} on {path}");
            body = body.replace(from, to);
        }
        Some(Reply::Page(body.into_bytes()))
    })
}

/// A server that sends this reply for one path.
fn server_replying(
    path: &'static str,
    reply: impl Fn() -> Reply + Send + Sync + 'static,
) -> TestServer {
    TestServer::start(market(), move |asked, _| (asked == path).then(&reply))
}

fn redirect(to: &str) -> Reply {
    let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    Reply::Raw(head.into_bytes())
}

/// Accepts the request and never answers.
fn stall() -> Reply {
    Reply::Raw(Vec::new())
}

#[test]
fn prints_a_line_of_at_most_80_columns_for_each_landmark() {
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(folder.path(), &["check", "--from", "replica"]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    let (lines, closing) = ran.stdout.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(
        lines,
        "the embedded market, index s&p_500
ok       robots.txt     allows index and company pages, no crawl delay
ok       index page     46 companies, names s&p_500
ok         pager        page 1 of 11
ok         growth       46 of 46 rows, the index column \"1 Year\"
ok         addresses    46 of 46 rows, links to /stocks/…
ok       company page   /stocks/a-stock names itself
ok         name, code   Agilent Technologies Inc., A
ok         price        137.06, official close 2022-01-28
ok         currency     USD
ok         P/E          30.82
ok         52 weeks     112.47 to 179.57
ok       exchange rate  1 USD = 76.6501 RUB, Bank of Russia, 2022-02-04"
    );
    assert!(closing.starts_with("4 requests in 0."), "{closing}");
    assert!(
        closing.ends_with(" s; all that a run needs is there; next: indexrank --from replica"),
        "{closing}"
    );
    assert_eq!(files(folder.path()), [""; 0]);

    // A name that is too long is cut.
    let change: &[(&str, &str)] = &[(
        "Agilent Technologies Inc.",
        "Agilent Technologies, Instruments, Software, Services and Consumables Inc.",
    )];
    let server = server_with(FIRST, change);
    let ran = indexrank(folder.path(), &["check", "--from", server.address()]);
    assert_eq!(ran.code, 0);
    let name =
        "\nok         name, code   Agilent Technologies, Instruments, Software, Services a…\n";
    assert!(ran.stdout.contains(name), "{}", ran.stdout);
}

/// U+202E reverses the text behind it.
#[test]
fn sends_no_control_characters_to_a_terminal() {
    let change: &[(&str, &str)] = &[("/stocks/a-stock\"", "/stocks/a\u{202e}-stock\"")];
    let server = server_with(INDEX_1, change);
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(folder.path(), &["check", "--from", server.address()]);
    assert_eq!(ran.code, 4, "{}", ran.stdout);
    let shown = "/stocks/a%E2%80%AE-stock: HTTP status 404; the index links a page that is gone";
    assert!(ran.stdout.contains(shown), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\u{202e}'), "{}", ran.stdout);
}

#[test]
fn checks_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    let record = ["--from", "replica", "--record", "a run.warc", "--quiet"];
    assert_eq!(indexrank(folder.path(), &record).code, 0);
    let before = files(folder.path());
    let ran = indexrank(folder.path(), &["check", "--from", "a run.warc"]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""), "{}", ran.stdout);
    for line in [
        "a run.warc, index s&p_500\n",
        "ok       robots.txt     an archive needs none\n",
        "ok         52 weeks     112.47 to 179.57\n",
        "next: indexrank --from 'a run.warc'\n",
    ] {
        assert!(ran.stdout.contains(line), "no {line:?} in {}", ran.stdout);
    }
    let other = ["check", "--from", "a run.warc", "--index", "nasdaq_100"];
    let ran = indexrank(folder.path(), &other);
    assert_eq!(ran.code, 4, "{}", ran.stdout);
    assert!(ran.stdout.contains("record a whole run"), "{}", ran.stdout);
    assert_eq!(files(folder.path()), before);
}

#[test]
fn finds_each_landmark_that_is_gone() {
    type Changes = &'static [(&'static str, &'static str)];
    let rows: [(&str, Changes, &str, &str, &str, i32); 20] = [
        (
            INDEX_1,
            &[("1 Year", "12 Months")],
            "growth",
            "missing",
            "1 Year",
            5,
        ),
        (
            INDEX_1,
            &[("1 Year", "12 Months")],
            "index page",
            "missing",
            "no table with",
            5,
        ),
        (
            INDEX_1,
            &[("1 Year", "12 Months")],
            "addresses",
            "skipped",
            "its text is there",
            5,
        ),
        (INDEX_1, &[("1 Year", "12 Months")], "P/E", "ok", "", 5),
        (
            INDEX_1,
            &[("/stocks/", "/shares/")],
            "addresses",
            "missing",
            "links to /stocks/…",
            5,
        ),
        (
            INDEX_1,
            &[("%</span>", "</span>")],
            "growth",
            "missing",
            "0 of 46 rows",
            5,
        ),
        (
            INDEX_1,
            &[("finando_paging", "paging")],
            "pager",
            "missing",
            "finando_paging",
            5,
        ),
        (
            INDEX_1,
            &[("href=\"?p=2\"", "href=\"?n=2\"")],
            "pager",
            "missing",
            "finando_paging",
            5,
        ),
        (
            INDEX_1,
            &[("\"canonical\"", "\"other\"")],
            "index page",
            "absent",
            "rel=canonical",
            0,
        ),
        (
            "/stocks/",
            &[("price-section__label", "label")],
            "name, code",
            "missing",
            "no price-section__label",
            5,
        ),
        (
            "/stocks/",
            &[("price-section__label", "label")],
            "price",
            "skipped",
            "its text is there",
            5,
        ),
        (
            "/stocks/",
            &[("price-section__category", "code")],
            "name, code",
            "missing",
            "no price-section__category",
            5,
        ),
        (
            "/stocks/",
            &[("price-section__current-value", "value")],
            "price",
            "missing",
            "price-section__current-value",
            5,
        ),
        (
            "/stocks/",
            &[("P/E Ratio", "Price/Earnings")],
            "P/E",
            "missing",
            "snapshot__header \"P/E Ratio\"",
            5,
        ),
        (
            "/stocks/",
            &[("52 Week Low", "Year Low")],
            "52 weeks",
            "missing",
            "\"52 Week Low\"",
            5,
        ),
        (
            "/stocks/",
            &[("52 Week High", "Year High")],
            "52 weeks",
            "missing",
            "\"52 Week High\"",
            5,
        ),
        (
            "/stocks/",
            &[("snapshot__header", "header")],
            "P/E",
            "missing",
            "snapshot__header",
            5,
        ),
        (
            "/stocks/",
            &[("snapshot__data-item", "item")],
            "52 weeks",
            "missing",
            "snapshot__header",
            5,
        ),
        (
            "/stocks/",
            &[("\"Currency\"", "\"Money\"")],
            "currency",
            "absent",
            "\"Currency\"",
            0,
        ),
        (
            "/stocks/",
            &[("\"StockUrl\"", "\"Url\""), ("mymarkets?r=", "login?r=")],
            "company page",
            "absent",
            "StockUrl",
            0,
        ),
    ];
    for (prefix, changes, check, verdict, detail, code) in rows {
        let server = server_with(prefix, changes);
        let checked = Checked::of(&server, &[]);
        checked.assert(code, check, verdict, detail);
        checked.assert(code, "exchange rate", "ok", "76.6501");
        if code == 5 {
            checked.assert_next("the site's layout has changed: ");
        }
    }
}

#[test]
fn asks_a_second_company_for_a_figure_that_the_first_lacks() {
    for (label, check, at_second) in [
        ("P/E Ratio", "P/E", "at /stocks/aal-stock"),
        ("52 Week Low", "52 weeks", "at /stocks/aal-stock"),
    ] {
        let changes: &'static [(&str, &str)] = Box::leak(Box::new([(label, "Other")]));
        let server = server_with(FIRST, changes);
        let checked = Checked::of(&server, &[]);
        let verdict = if server.asked(SECOND) == 1 { "ok" } else { "" };
        checked.assert(0, check, verdict, at_second);
        assert_eq!(server.requests().len(), 5);
    }
    // With a redirect, no request is left for the second company.
    let server = TestServer::start(market(), |path, _| match path {
        ROBOTS => Some(redirect("/robots")),
        "/robots" => Some(Reply::Page(Vec::new())),
        FIRST => {
            let body = String::from_utf8(PAGES.get(path)?.plain_body()).ok()?;
            Some(Reply::Page(body.replace("P/E Ratio", "Other").into_bytes()))
        }
        _ => None,
    });
    let checked = Checked::of(&server, &[]);
    checked.assert(0, "P/E", "absent", "some companies have none");
    assert_eq!((server.requests().len(), server.asked(SECOND)), (5, 0));
}

#[test]
fn a_page_that_cannot_be_had_is_a_verdict() {
    type Row = (
        &'static str,
        fn() -> Reply,
        &'static str,
        &'static str,
        i32,
        &'static str,
    );
    let forbid_all = || Reply::Page(b"User-agent: *\nDisallow: /\n".to_vec());
    let forbid_companies = || Reply::Page(b"User-agent: *\nDisallow: /stocks/\n".to_vec());
    let block_page = || Reply::Page(b"<html>Please solve this captcha</html>".to_vec());
    let refused = || Reply::status("403 Forbidden");
    let rows: [Row; 14] = [
        (
            ROBOTS,
            forbid_all,
            "robots.txt",
            "Disallow: /)",
            4,
            "--ignore-robots is for a server of your own",
        ),
        (
            ROBOTS,
            forbid_companies,
            "company page",
            "Disallow: /stocks/)",
            4,
            "--ignore-robots",
        ),
        (
            ROBOTS,
            || Reply::status("503 Unavailable"),
            "robots.txt",
            "HTTP status 503",
            4,
            "try again later",
        ),
        (
            ROBOTS,
            || Reply::Page(b"User-agent: *\nCrawl-delay: 500\n".to_vec()),
            "robots.txt",
            "500 s",
            4,
            "500 s",
        ),
        (
            ROBOTS,
            || redirect(ROBOTS),
            "robots.txt",
            "no request is left",
            4,
            "no request is left",
        ),
        (
            INDEX_1,
            refused,
            "index page",
            "HTTP status 403",
            4,
            "does not try to get around that",
        ),
        (
            INDEX_1,
            block_page,
            "index page",
            "captcha",
            4,
            "does not try to get around that",
        ),
        (
            INDEX_1,
            || redirect("/index/components/dax?p=1"),
            "index page",
            "another page",
            4,
            "check --index",
        ),
        (
            INDEX_1,
            || redirect("http://localhost:1/"),
            "index page",
            "another site",
            4,
            "",
        ),
        (
            INDEX_1,
            || Reply::status("503 Unavailable\r\nRetry-After: 300"),
            "index page",
            "Retry-After of 300 s",
            4,
            "run the command again later",
        ),
        (
            INDEX_1,
            || Reply::status("404 Not Found"),
            "index page",
            "HTTP status 404",
            4,
            "the site has no such page now: try again later",
        ),
        (
            FIRST,
            refused,
            "company page",
            "HTTP status 403",
            4,
            "does not try to get around that",
        ),
        (
            RATES,
            || Reply::Page(b"<ValCurs>Error in parameters</ValCurs>".to_vec()),
            "exchange rate",
            "Error in parameters",
            6,
            "--rate",
        ),
        (
            RATES,
            || Reply::status("404 Not Found"),
            "exchange rate",
            "HTTP status 404",
            6,
            "--rate",
        ),
    ];
    for (path, reply, check, detail, code, next) in rows {
        let server = server_replying(path, reply);
        let checked = Checked::of(&server, &[]);
        checked.assert(code, check, "failed", detail);
        checked.assert_next(next);
        // The rates are on the same host, so they need its robots.txt too.
        let may_fail = matches!(check, "exchange rate" | "robots.txt")
            || detail == "no request is left"
            || detail.contains("300 s");
        if !may_fail {
            checked.assert(code, "exchange rate", "ok", "76.6501");
        }
        if check == "robots.txt" {
            assert_eq!(server.asked(INDEX_1), 0, "{detail}");
        }
        // Nothing is retried.
        assert!(
            server.asked(path) == 1
                || detail == "no request is left"
                || detail.contains("/stocks/")
        );
    }
}

#[test]
fn requests_nothing_that_robots_txt_forbids() {
    let forbid = "User-agent: *\nDisallow: /stocks/\nUser-agent: other\nDisallow: /\n";
    let start = || server_replying(ROBOTS, || Reply::Page(forbid.into()));
    let server = start();
    Checked::of(&server, &[]).assert(4, "index page", "ok", "46 companies");
    let companies = |server: &TestServer| {
        let requests = server.requests();
        requests
            .iter()
            .filter(|one| one.path.starts_with("/stocks/"))
            .count()
    };
    assert_eq!((companies(&server), server.asked(INDEX_1)), (0, 1));
    let server = start();
    let checked = Checked::of(&server, &["--user-agent", "other/1"]);
    checked.assert(4, "index page", "skipped", "robots.txt");
    assert_eq!((companies(&server), server.asked(INDEX_1)), (0, 0));
    assert!(
        server
            .requests()
            .iter()
            .all(|one| one.user_agent == "other/1")
    );
    let server = start();
    let checked = Checked::of(&server, &["--ignore-robots"]);
    checked.assert(0, "robots.txt", "ok", "--ignore-robots");
    assert_eq!((companies(&server), server.asked(ROBOTS)), (1, 0));
}

#[test]
fn rejects_an_unknown_index_and_another_page_of_the_index() {
    let server = TestServer::start(market(), |_, _| None);
    let checked = Checked::of(&server, &["--index", "ftse_100"]);
    checked.assert(4, "index page", "failed", "HTTP status 404");
    checked.assert(4, "company page", "skipped", "no company is known");
    checked.assert_next("the site has no such page now: try again later, or another --index");
    let server = TestServer::start(market(), |_, _| None);
    let checked = Checked::of(&server, &["--index", "ftse"]);
    checked.assert_next("the site has no index \"ftse\"");
    let second = market().index_page(2).into_bytes();
    let server = server_replying(INDEX_1, move || Reply::Page(second.clone()));
    Checked::of(&server, &[]).assert(4, "index page", "failed", "it is page 2");
}

#[test]
fn ends_within_its_time_limit_when_a_page_stalls() {
    for (path, check, code) in [
        (ROBOTS, "robots.txt", 4),
        (INDEX_1, "index page", 4),
        (FIRST, "company page", 4),
        (RATES, "exchange rate", 6),
    ] {
        let server = server_replying(path, stall);
        let started = Instant::now();
        let checked = Checked::of(&server, &["--max-time", "0.7"]);
        assert!(started.elapsed() < Duration::from_secs(5));
        checked.assert(code, check, "failed", "not done within 0.7 s");
        if !matches!(path, RATES | ROBOTS) {
            checked.assert(code, "exchange rate", "ok", "76.6501");
        }
    }
    let server = server_replying(INDEX_1, stall);
    let started = Instant::now();
    let checked = Checked::of(&server, &[]);
    let took = started.elapsed();
    checked.assert(4, "index page", "failed", "not done within 10 s");
    assert!(took < Duration::from_secs(12), "{took:?}");
}

#[test]
fn a_signal_ends_a_check() {
    for (sent, code, message) in [
        (Signal::SIGINT, 130, "indexrank: interrupted\n"),
        (Signal::SIGTERM, 143, "indexrank: terminated\n"),
    ] {
        let server = server_replying(INDEX_1, stall);
        let folder = tempfile::tempdir().unwrap();
        let check = start(folder.path(), &["check", "--from", server.address()]);
        while server.asked(INDEX_1) == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        signal(&check, sent);
        let (exit, ran) = ended(check);
        assert_eq!(
            (exit, &*ran.stdout, &*ran.stderr),
            (Some(code), "", message)
        );
    }
}

/// The message of a run that does not recognise the pages names the check and the file for a report.
#[test]
fn a_run_that_ends_with_code_5_names_the_check() {
    let change: &[(&str, &str)] = &[("P/E Ratio", "Price/Earnings")];
    let server = server_with("/stocks/", change);
    let folder = tempfile::tempdir().unwrap();
    let address = server.address();
    let ran = indexrank(folder.path(), &["--from", address]);
    assert_eq!(
        (ran.code, ran.stderr),
        (
            5,
            format!(
                "indexrank: 60 of 60 pages show no P/E, looked for at snapshot__header \"P/E Ratio\": the site's \
                 layout has changed; `indexrank check --from {address}` shows which landmarks are there; no result \
                 was changed, 62 pages kept in rankings/unfinished.warc: attach this file to a report\n"
            )
        )
    );
    // The kept pages are an archive, which shows the same.
    let ran = indexrank(
        folder.path(),
        &["check", "--from", "rankings/unfinished.warc"],
    );
    assert_eq!(ran.code, 5, "{}", ran.stdout);
    assert!(
        ran.stdout.contains("\nmissing    P/E          "),
        "{}",
        ran.stdout
    );

    // An archive is the file itself.
    let pages = Pages::of_market(&Market::embedded(Some(3), SEED));
    let dax = "/index/components/dax?p=1";
    let body = String::from_utf8(pages.get(dax).unwrap().plain_body()).unwrap();
    let body = body.replace("1 Year", "12 Months");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n";
    let block = format!("{head}{body}");
    let record = format!(
        "WARC/1.1\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:9f5f0d1c-0000-4000-8000-000000000001>\r\n\
         WARC-Date: 2022-02-04T00:00:00Z\r\nWARC-Target-URI: https://markets.businessinsider.com{dax}\r\n\
         Content-Type: application/http;msgtype=response\r\nContent-Length: {}\r\n\r\n{block}\r\n\r\n",
        block.len()
    );
    fs::write(folder.path().join("dax.warc"), record).unwrap();
    let ran = indexrank(folder.path(), &["--from", "dax.warc", "--index", "dax"]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(
        ran.stderr.ends_with(
            "; `indexrank check --from dax.warc --index dax` shows which landmarks are there; no result was changed\n"
        ),
        "{}",
        ran.stderr
    );
}
