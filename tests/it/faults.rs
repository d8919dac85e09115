//! Servers that fail: what a run makes of them, by exit code, ledger, message and files.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use indexrank::replica::{Market, SEED};

use crate::support::{RANKINGS, Ran, Reply, TestServer, files, indexrank, json, ledger};

type Fault = Box<dyn Fn() -> Reply + Send + Sync>;

const SIZE: usize = 60;
const COMPANY: &str = "/stocks/mmm-stock";
const RATES: &str = "/scripts/XML_daily.asp";
const INDEX_2: &str = "/index/components/s&p_500?p=2";

fn market() -> Market {
    Market::embedded(Some(SIZE), SEED)
}

fn page_of(path: &str) -> Vec<u8> {
    let market = market();
    let company = market
        .companies()
        .iter()
        .find(|company| company.path == path)
        .unwrap();
    market.company_page(company).into_bytes()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A run against a server with a fault, beside old rankings.
struct Run {
    folder: tempfile::TempDir,
    ran: Ran,
}

impl Run {
    fn new(server: &TestServer, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("rankings")).unwrap();
        for name in RANKINGS.into_iter().chain(["run.json"]) {
            fs::write(folder.path().join("rankings").join(name), "old").unwrap();
        }
        let ran = indexrank(
            folder.path(),
            &[&["--from", server.address()], more].concat(),
        );
        Run { folder, ran }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join("rankings").join(name)).unwrap()
    }

    /// The run ended early with this code and these words, and changed nothing.
    #[track_caller]
    fn assert_failed(&self, code: i32, words: &[&str]) {
        assert_eq!(self.ran.code, code, "{}", self.ran.stderr);
        assert_eq!(self.ran.stdout, "");
        for word in words {
            assert!(
                self.ran.stderr.contains(word),
                "{word:?} in {}",
                self.ran.stderr
            );
        }
        let sentences = self
            .ran
            .stderr
            .lines()
            .filter(|line| line.starts_with("indexrank: "));
        assert_eq!(sentences.count(), 1, "{}", self.ran.stderr);
        for name in RANKINGS.into_iter().chain(["run.json"]) {
            assert_eq!(self.read(name), "old", "{name}");
        }
        assert_eq!(files(&self.folder.path().join("rankings")).len(), 5);
    }

    /// The run wrote its rankings, without the one company, for this reason.
    #[track_caller]
    fn assert_without_the_company(&self, reason: &str) {
        assert_eq!(self.ran.code, 3, "{}", self.ran.stderr);
        let report = json(&self.folder.path().join("rankings/run.json"));
        assert_eq!(ledger(&report), [SIZE as u64, SIZE as u64 - 1, 1, 0, 0]);
        assert_eq!(report["failures"][0]["path"], COMPANY);
        assert_eq!(report["failures"][0]["reason"], reason, "{report}");
        assert!(
            report["failures"][0]["address"]
                .as_str()
                .unwrap()
                .ends_with(COMPANY)
        );
        assert!(
            self.ran.stderr.contains("1 of 60 companies are missing"),
            "{}",
            self.ran.stderr
        );
        assert!(self.ran.stderr.contains(COMPANY));
        assert!(!self.read("price.json").contains("\"MMM\""));
    }

    /// The run has everything, as if nothing had happened.
    #[track_caller]
    fn assert_complete(&self, retries: u64) {
        assert_eq!(self.ran.code, 0, "{}", self.ran.stderr);
        let report = json(&self.folder.path().join("rankings/run.json"));
        assert_eq!(ledger(&report), [SIZE as u64, SIZE as u64, 0, 0, 0]);
        assert_eq!(report["retries"], retries);
        let quiet = Run::new(&TestServer::start(market(), |_, _| None), &[]);
        for name in RANKINGS {
            assert_eq!(self.read(name), quiet.read(name), "{name}");
        }
    }
}

/// A server that answers one path in its own way, always.
fn always(path: &'static str, reply: impl Fn() -> Reply + Send + Sync + 'static) -> TestServer {
    TestServer::start(market(), move |asked, _| (asked == path).then(&reply))
}

/// A server that answers one path in its own way the first time.
fn once(path: &'static str, reply: impl Fn() -> Reply + Send + Sync + 'static) -> TestServer {
    TestServer::start(market(), move |asked, before| {
        (asked == path && before == 0).then(&reply)
    })
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html";

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
            "unrecognised",
            1,
            Box::new(|| Reply::Page(b"<html><body>Just a moment</body></html>".to_vec())),
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
    Run::new(&server, &["--timeout", "0.5"]).assert_complete(1);
}

/// Each answer announces nothing and then closes, as a server does that has no keep-alive but does
/// not say so.
#[test]
fn a_server_that_closes_after_each_answer_loses_no_page() {
    let market = market();
    let pages = indexrank::replica::Pages::of_market(&market);
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
fn half_an_index_ends_the_run() {
    for (status, attempts) in [("404 Not Found", 1), ("503 Service Unavailable", 4)] {
        let server = TestServer::start(market(), move |path, _| {
            (path == INDEX_2).then(|| Reply::status(status))
        });
        Run::new(&server, &[]).assert_failed(
            4,
            &["page 2 of the index", "HTTP status", "no file was changed"],
        );
        assert_eq!(server.asked(INDEX_2), attempts);
    }
}

#[test]
fn an_index_page_that_comes_at_last_is_enough() {
    let server = TestServer::start(market(), |path, before| {
        (path == INDEX_2 && before < 2).then(|| Reply::status("502 Bad Gateway"))
    });
    Run::new(&server, &[]).assert_complete(2);
}

/// A body cut short within the table still parses, with fewer companies and no pager.
#[test]
fn an_index_page_or_a_list_of_rates_that_was_cut_short_is_asked_for_again() {
    for path in ["/index/components/s&p_500?p=1", INDEX_2, RATES] {
        let pages = indexrank::replica::Pages::of_market(&market());
        let whole = pages.get(path).unwrap().plain_body();
        let cuts: [Fault; 2] = {
            let half = whole[..whole.len() * 2 / 3].to_vec();
            let broken = gzip(&whole)[..300].to_vec();
            [
                Box::new(move || Reply::with_head(OK, &half)),
                Box::new(move || {
                    Reply::with_head(&format!("{OK}\r\nContent-Encoding: gzip"), &broken)
                }),
            ]
        };
        for cut in cuts {
            let server = TestServer::start(market(), move |asked, before| {
                (asked == path && before == 0).then(&cut)
            });
            Run::new(&server, &[]).assert_complete(1);
            assert_eq!(server.asked(path), 2, "{path}");
        }
    }
}

#[test]
fn an_index_without_end() {
    let market = market();
    let row = |number: &str, slug: &str| {
        market
            .index_page(1)
            .replace("?p=2", "?p=999")
            .replace("/stocks/", &format!("/stocks/{slug}{number}-"))
            .into_bytes()
    };
    let page = move |number: &str| row(number, "x");
    let pages: Vec<Vec<u8>> = (1..=100).map(|number| page(&number.to_string())).collect();
    let server = TestServer::start(self::market(), move |path, _| {
        let number: usize = path
            .strip_prefix("/index/components/s&p_500?p=")?
            .parse()
            .ok()?;
        Some(Reply::Page(pages[number - 1].clone()))
    });
    Run::new(&server, &["-q"]).assert_failed(4, &["the index has more than 100 pages"]);
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

/// The pager claims 90 pages, and every number past the second gives the second again.
#[test]
fn a_pager_that_promises_too_much() {
    let market = market();
    let page = |number| {
        market
            .index_page(number)
            .replace("?p=2", "?p=90")
            .into_bytes()
    };
    let (first, second) = (page(1), page(2));
    let server = TestServer::start(self::market(), move |path, _| {
        let number = path.strip_prefix("/index/components/s&p_500?p=")?;
        Some(Reply::Page(if number == "1" {
            first.clone()
        } else {
            second.clone()
        }))
    });
    Run::new(&server, &[]).assert_complete(0);
    assert_eq!(server.asked("/index/components/s&p_500?p=17"), 1);
    assert_eq!(server.asked("/index/components/s&p_500?p=34"), 0);
}

#[test]
fn an_index_that_the_site_does_not_have() {
    let server = TestServer::start(market(), |_, _| None);
    let run = Run::new(&server, &["--index", "no_such_index"]);
    run.assert_failed(
        4,
        &[
            "the site has no index \"no_such_index\"",
            "--index",
            "`--from replica` needs no network",
        ],
    );
}

#[test]
fn an_index_laid_out_in_another_way() {
    let server = always("/index/components/s&p_500?p=1", || {
        Reply::Page(b"<html><body><table></table></body></html>".to_vec())
    });
    let run = Run::new(&server, &["--record", "kept.warc"]);
    run.assert_failed(
        5,
        &[
            "not an index page",
            "1 Year",
            "indexrank read",
            "kept in kept.warc",
        ],
    );
    assert!(run.folder.path().join("kept.warc").exists());
}

#[test]
fn companies_laid_out_in_another_way() {
    let market = market();
    let pages = indexrank::replica::Pages::of_market(&market);
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
            "kept in kept.warc.gz",
        ],
    );
    assert!(run.folder.path().join("kept.warc.gz").exists());

    let server = TestServer::start(self::market(), |path, _| {
        path.starts_with("/stocks/")
            .then(|| Reply::Page(b"<html><body>consent</body></html>".to_vec()))
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
            .then(|| Reply::status("403 Forbidden"))
    });
    Run::new(&server, &[]).assert_failed(4, &["none of the 60 company pages", "HTTP status 403"]);
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

#[test]
fn without_a_rate_the_other_rankings_are_written() {
    let cases: Vec<(&str, Fault)> = vec![
        (
            "HTTP status 404",
            Box::new(|| Reply::status("404 Not Found")),
        ),
        (
            "Error in parameters",
            Box::new(|| Reply::Page(b"<ValCurs>Error in parameters</ValCurs>".to_vec())),
        ),
        (
            "no <ValCurs>",
            Box::new(|| Reply::Page(b"<html></html>".to_vec())),
        ),
    ];
    for (why, reply) in cases {
        let server = always(RATES, reply);
        let run = Run::new(&server, &[]);
        assert_eq!(run.ran.code, 6, "{}", run.ran.stderr);
        for word in [why, "--usd-rub", "price.json was left as it was"] {
            assert!(
                run.ran.stderr.contains(word),
                "{word:?} in {}",
                run.ran.stderr
            );
        }
        assert_eq!(run.read("price.json"), "old");
        assert!(run.read("growth.json").contains("\"growth\""));
        let report = json(&run.folder.path().join("rankings/run.json"));
        assert_eq!(report["rate"], serde_json::Value::Null);
        assert!(report["rate_error"].as_str().unwrap().contains(why));
        assert!(!report["files"].to_string().contains("price.json"));

        let run = Run::new(&server, &["--usd-rub", "100"]);
        assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
        assert!(run.ran.stdout.contains("1 USD = 100 RUB, as given"));
        assert!(run.read("price.json").contains("\"price\""));
    }
}

#[test]
fn a_rate_of_a_day() {
    let server = TestServer::start(market(), |_, _| None);
    let run = Run::new(&server, &["--rate-date", "2022-02-04"]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    assert_eq!(
        server.asked("/scripts/XML_daily.asp?date_req=04/02/2022"),
        1
    );
    let run = Run::new(&server, &["--rate-date", "1900-01-01"]);
    assert_eq!(run.ran.code, 6);
    assert!(
        run.ran.stderr.contains("Error in parameters"),
        "{}",
        run.ran.stderr
    );
}
