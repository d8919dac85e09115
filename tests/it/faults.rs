//! Failing company pages: exit code, ledger, messages and files of the run.

use indexrank::replica::Pages;

use crate::run::{
    COMPANIES, COMPANY, Fault, OK, Run, always, company_html, gzip, market, once, unnamed,
};
use crate::support::{Reply, TestServer, json, ledger};

/// A response of status 200 with one more header.
fn ok_with(header: &str, body: &[u8]) -> Reply {
    Reply::with_head(&format!("{OK}\r\n{header}"), body)
}

fn redirect(status: &str, to: &str) -> Reply {
    Reply::Raw(
        format!("HTTP/1.1 {status}\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes(),
    )
}

/// A server that sends this reply for every company page.
fn for_every_company(reply: impl Fn() -> Reply + Send + Sync + 'static) -> TestServer {
    TestServer::start(market(), move |path, _| {
        path.starts_with("/stocks/").then(&reply)
    })
}

#[test]
fn leaves_out_and_reports_a_company_whose_page_fails() {
    let cases: Vec<(&str, u64, Fault)> = vec![
        ("gone", 1, Box::new(|| Reply::status("404 Not Found"))),
        ("gone", 1, Box::new(|| Reply::status("410 Gone"))),
        ("blocked", 1, Box::new(|| Reply::status("403 Forbidden"))),
        ("status", 1, Box::new(|| Reply::status("418 Teapot"))),
        (
            "offsite",
            1,
            Box::new(|| redirect("302 Found", "http://localhost:1/stocks/mmm-stock")),
        ),
        ("redirects", 6, Box::new(|| redirect("302 Found", COMPANY))),
        ("redirects", 1, Box::new(|| Reply::status("302 Found"))),
        (
            "unsupported_encoding",
            1,
            Box::new(|| ok_with("Content-Encoding: br", b"x")),
        ),
        (
            "too_large",
            1,
            Box::new(|| ok_with("Content-Encoding: gzip", &gzip(&vec![0; 33 << 20]))),
        ),
        (
            "too_large",
            1,
            Box::new(|| ok_with("Content-Length: 9000000", b"x")),
        ),
        (
            "too_large",
            1,
            Box::new(|| Reply::with_head(OK, &vec![b' '; 9_000_000])),
        ),
        (
            "headers_too_large",
            1,
            Box::new(|| {
                let lines = format!("X-More: {}\r\n", "x".repeat(1000)).repeat(100);
                Reply::RawThenClose(format!("{OK}\r\n{lines}").into_bytes())
            }),
        ),
        (
            "protocol",
            2,
            Box::new(|| Reply::RawThenClose(b"What is this\r\n\r\n".to_vec())),
        ),
        (
            "protocol",
            2,
            Box::new(|| ok_with("Content-Length: 5\r\nContent-Length: 7", b"hello")),
        ),
        (
            "protocol",
            2,
            Box::new(|| ok_with("Content-Length: -5", b"hello")),
        ),
        (
            "unrecognised",
            1,
            Box::new(|| Reply::Page(b"<html><body>Nothing to see</body></html>".to_vec())),
        ),
    ];
    for (reason, attempts, reply) in cases {
        let server = always(COMPANY, reply);
        Run::new(&server, &[]).assert_without_the_company(reason);
        assert_eq!(server.asked(COMPANY) as u64, attempts, "{reason}");
    }
}

#[test]
fn recovers_from_a_transient_failure_with_one_retry() {
    let cases: Vec<(&str, Fault)> = vec![
        (
            "busy",
            Box::new(|| Reply::status("503 Service Unavailable")),
        ),
        (
            "short body",
            Box::new(|| ok_with("Content-Length: 5000", b"<html>")),
        ),
        (
            "cut off",
            Box::new(|| Reply::with_head(OK, &company_html(COMPANY)[..90_000])),
        ),
        (
            "broken gzip",
            Box::new(|| ok_with("Content-Encoding: gzip", &gzip(b"<html>")[..12])),
        ),
        (
            "wrong chunk",
            Box::new(|| ok_with("Transfer-Encoding: chunked", b"5\r\nhello\r\nzz\r\n")),
        ),
        (
            "a chunk of more bytes than there are",
            Box::new(|| {
                ok_with(
                    "Transfer-Encoding: chunked",
                    b"ffffffffffffffffff\r\nhello\r\n",
                )
            }),
        ),
        ("empty", Box::new(|| Reply::Page(Vec::new()))),
        (
            "closed without a response",
            Box::new(|| Reply::RawThenClose(Vec::new())),
        ),
    ];
    for (fault, reply) in cases {
        let server = once(COMPANY, reply);
        let run = Run::new(&server, &[]);
        assert_eq!(server.asked(COMPANY), 2, "{fault}");
        run.assert_complete(1);
    }
}

#[test]
fn gives_up_on_a_503_after_four_attempts() {
    let server = always(COMPANY, || Reply::status("503 Service Unavailable"));
    Run::new(&server, &[]).assert_without_the_company("busy");
    assert_eq!(server.asked(COMPANY), 4);
}

#[test]
fn retries_a_stalled_response_after_the_timeout() {
    let server = once(COMPANY, || {
        Reply::Raw(format!("{OK}\r\nContent-Length: 5000\r\n\r\n<html>").into_bytes())
    });
    Run::new(&server, &["--timeout", "3"]).assert_complete(1);
}

/// Some servers close the connection after each response without sending `Connection: close`.
#[test]
fn loses_no_page_when_the_server_closes_after_each_response() {
    let market = market();
    let pages = Pages::of_market(&market);
    let server = TestServer::start(market, move |path, _| {
        let body = pages.get(path)?.plain_body();
        let head = format!("{OK}\r\nContent-Length: {}", body.len());
        Some(Reply::with_head(&head, &body))
    });
    let run = Run::new(&server, &["--workers", "4"]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    let report = json(&run.folder.path().join("rankings/run.json"));
    assert_eq!(
        ledger(&report),
        [COMPANIES as u64, COMPANIES as u64, 0, 0, 0]
    );
}

#[test]
fn follows_a_redirect_within_the_host() {
    let server = once(COMPANY, || {
        redirect("301 Moved", &format!("{COMPANY}?moved"))
    });
    let run = Run::new(&server, &[]);
    assert_eq!(server.asked("/stocks/mmm-stock?moved"), 1);
    // The market has no such page, so the redirect ends at its 404.
    run.assert_without_the_company("gone");
}

#[test]
fn fails_when_every_address_shows_the_same_company() {
    let server = for_every_company(|| Reply::Page(unnamed(&company_html("/stocks/a-stock"))));
    Run::new(&server, &[]).assert_failed(
        5,
        &["59 of 60 pages show the code of a company that is also listed at another address"],
    );
}

#[test]
fn fails_when_the_layout_of_company_pages_changes() {
    let market = market();
    let pages = Pages::of_market(&market);
    let server = TestServer::start(market, move |path, _| {
        let body = String::from_utf8(pages.get(path)?.plain_body()).ok()?;
        path.starts_with("/stocks/")
            .then(|| Reply::Page(body.replace("P/E Ratio", "Price/Earnings").into_bytes()))
    });
    let run = Run::new(&server, &["--record", "kept.warc.gz"]);
    run.assert_failed(
        5,
        &[
            "60 of 60 pages show no P/E",
            "snapshot__header \"P/E Ratio\"",
            "kept in unfinished-kept.warc.gz",
        ],
    );
    assert!(run.folder.path().join("unfinished-kept.warc.gz").exists());

    let server =
        for_every_company(|| Reply::Page(b"<html><body>Something else</body></html>".to_vec()));
    Run::new(&server, &[]).assert_failed(
        5,
        &[
            "60 of 60 pages cannot be parsed as company pages",
            "price-section__label",
        ],
    );
}

#[test]
fn fails_when_every_company_page_is_gone() {
    let server = for_every_company(|| Reply::status("404 Not Found"));
    Run::new(&server, &[]).assert_failed(4, &["none of the 60 company pages", "HTTP status 404"]);
}

#[test]
fn merges_and_reports_two_addresses_of_one_company() {
    let server = TestServer::start(market(), |path, _| {
        (path == COMPANY).then(|| Reply::Page(unnamed(&company_html("/stocks/a-stock"))))
    });
    let run = Run::new(&server, &[]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    let report = json(&run.folder.path().join("rankings/run.json"));
    assert_eq!(
        ledger(&report),
        [COMPANIES as u64, COMPANIES as u64 - 1, 0, 1, 0]
    );
    assert_eq!(
        report["duplicates"].to_string(),
        r#"[{"code":"A","path":"/stocks/mmm-stock","same_as":"/stocks/a-stock"}]"#
    );
    assert!(
        run.ran
            .stderr
            .contains("/stocks/a-stock and /stocks/mmm-stock both show A"),
        "{}",
        run.ran.stderr
    );
}
