//! Companies' pages that fail: what a run makes of them, by exit code, ledger, message and files.

use indexrank::replica::Pages;

use crate::run::{COMPANY, Fault, OK, Run, SIZE, always, gzip, market, once, page_of};
use crate::support::{Reply, TestServer, json, ledger};

#[test]
fn a_company_that_cannot_be_had_is_left_out_and_named() {
    let redirect = |to: &str| {
        Reply::Raw(
            format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
                .into_bytes(),
        )
    };
    let cases: Vec<(&str, u64, Fault)> = vec![
        ("gone", 1, Box::new(|| Reply::status("404 Not Found"))),
        ("gone", 1, Box::new(|| Reply::status("410 Gone"))),
        ("blocked", 1, Box::new(|| Reply::status("403 Forbidden"))),
        ("status", 1, Box::new(|| Reply::status("418 Teapot"))),
        (
            "offsite",
            1,
            Box::new(move || redirect("http://localhost:1/stocks/mmm-stock")),
        ),
        ("redirects", 6, Box::new(move || redirect(COMPANY))),
        ("redirects", 1, Box::new(|| Reply::status("302 Found"))),
        (
            "unsupported_encoding",
            1,
            Box::new(|| Reply::with_head(&format!("{OK}\r\nContent-Encoding: br"), b"x")),
        ),
        (
            "too_large",
            1,
            Box::new(|| {
                Reply::with_head(
                    &format!("{OK}\r\nContent-Encoding: gzip"),
                    &gzip(&vec![0; 33 << 20]),
                )
            }),
        ),
        (
            "too_large",
            1,
            Box::new(|| Reply::with_head(&format!("{OK}\r\nContent-Length: 9000000"), b"x")),
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
            Box::new(|| {
                Reply::with_head(
                    &format!("{OK}\r\nContent-Length: 5\r\nContent-Length: 7"),
                    b"hello",
                )
            }),
        ),
        (
            "protocol",
            2,
            Box::new(|| Reply::with_head(&format!("{OK}\r\nContent-Length: -5"), b"hello")),
        ),
        (
            "unrecognised",
            1,
            Box::new(|| Reply::Page(b"<html><body>Nothing to see</body></html>".to_vec())),
        ),
    ];
    for (reason, asked, reply) in cases {
        let server = always(COMPANY, reply);
        Run::new(&server, &[]).assert_without_the_company(reason);
        assert_eq!(server.asked(COMPANY) as u64, asked, "{reason}");
    }
}

#[test]
fn a_failure_that_passes_costs_a_retry_and_nothing_else() {
    let cases: Vec<(&str, Fault)> = vec![
        (
            "busy",
            Box::new(|| Reply::status("503 Service Unavailable")),
        ),
        (
            "short body",
            Box::new(|| Reply::with_head(&format!("{OK}\r\nContent-Length: 5000"), b"<html>")),
        ),
        (
            "cut off",
            Box::new(|| Reply::with_head(OK, &page_of(COMPANY)[..90_000])),
        ),
        (
            "broken gzip",
            Box::new(|| {
                Reply::with_head(
                    &format!("{OK}\r\nContent-Encoding: gzip"),
                    &gzip(b"<html>")[..12],
                )
            }),
        ),
        (
            "wrong chunk",
            Box::new(|| {
                Reply::with_head(
                    &format!("{OK}\r\nTransfer-Encoding: chunked"),
                    b"5\r\nhello\r\nzz\r\n",
                )
            }),
        ),
        (
            "a chunk of more bytes than there are",
            Box::new(|| {
                let size = format!("{OK}\r\nTransfer-Encoding: chunked");
                Reply::with_head(&size, b"ffffffffffffffffff\r\nhello\r\n")
            }),
        ),
        ("empty", Box::new(|| Reply::Page(Vec::new()))),
        (
            "closed without a word",
            Box::new(|| Reply::RawThenClose(Vec::new())),
        ),
    ];
    for (what, reply) in cases {
        let server = once(COMPANY, reply);
        let run = Run::new(&server, &[]);
        assert_eq!(server.asked(COMPANY), 2, "{what}");
        run.assert_complete(1);
    }
}

#[test]
fn a_failure_that_does_not_pass_is_given_up_after_four_attempts() {
    let server = always(COMPANY, || Reply::status("503 Service Unavailable"));
    Run::new(&server, &[]).assert_without_the_company("busy");
    assert_eq!(server.asked(COMPANY), 4);
}

#[test]
fn a_stalled_answer_is_cut_off_in_time() {
    let server = once(COMPANY, || {
        Reply::Raw(format!("{OK}\r\nContent-Length: 5000\r\n\r\n<html>").into_bytes())
    });
    Run::new(&server, &["--timeout", "3"]).assert_complete(1);
}

/// Each answer announces nothing and then closes, as a server does that has no keep-alive but does
/// not say so.
#[test]
fn a_server_that_closes_after_each_answer_loses_no_page() {
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
    assert_eq!(ledger(&report), [SIZE as u64, SIZE as u64, 0, 0, 0]);
}

#[test]
fn a_redirect_on_the_host_is_followed() {
    let server = once(COMPANY, || {
        Reply::Raw(
            format!("HTTP/1.1 301 Moved\r\nLocation: {COMPANY}?moved\r\nContent-Length: 0\r\n\r\n")
                .into_bytes(),
        )
    });
    let run = Run::new(&server, &[]);
    assert_eq!(server.asked("/stocks/mmm-stock?moved"), 1);
    // The market has no such page, so the redirect ends at its 404.
    run.assert_without_the_company("gone");
}

#[test]
fn one_page_for_every_address() {
    let server = TestServer::start(market(), |path, _| {
        path.starts_with("/stocks/")
            .then(|| Reply::Page(page_of("/stocks/a-stock")))
    });
    Run::new(&server, &[]).assert_failed(
        5,
        &["59 of 60 pages show the code of a company that stands at another address"],
    );
}

#[test]
fn companies_laid_out_in_another_way() {
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

    let server = TestServer::start(self::market(), |path, _| {
        path.starts_with("/stocks/")
            .then(|| Reply::Page(b"<html><body>Something else</body></html>".to_vec()))
    });
    Run::new(&server, &[]).assert_failed(
        5,
        &[
            "60 of 60 pages are no company pages",
            "price-section__label",
        ],
    );
}

#[test]
fn no_company_at_all() {
    let server = TestServer::start(market(), |path, _| {
        path.starts_with("/stocks/")
            .then(|| Reply::status("404 Not Found"))
    });
    Run::new(&server, &[]).assert_failed(4, &["none of the 60 company pages", "HTTP status 404"]);
}

#[test]
fn two_addresses_of_one_company() {
    let server = TestServer::start(market(), |path, _| {
        (path == COMPANY).then(|| Reply::Page(page_of("/stocks/a-stock")))
    });
    let run = Run::new(&server, &[]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    let report = json(&run.folder.path().join("rankings/run.json"));
    assert_eq!(ledger(&report), [SIZE as u64, SIZE as u64 - 1, 0, 1, 0]);
    assert_eq!(
        report["duplicates"].to_string(),
        r#"[{"code":"A","path":"/stocks/mmm-stock","same_as":"/stocks/a-stock"}]"#
    );
    assert!(
        run.ran
            .stderr
            .contains("/stocks/a-stock and /stocks/mmm-stock are both A"),
        "{}",
        run.ran.stderr
    );
}
