//! Peak memory of runs over large indices whose pages make a list as long as it can be.
//!
//! With 100,000 companies, 128 workers and 8 parsers, each of these runs must stay under 128 MB. The
//! tests take a fifth of the companies, and few threads, whose number hardly changes then. A run has
//! 10 MB without any company, and these have up to 25 MB. Without what they test, they have 40 to 73.

use std::fs;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use indexrank::warc::reader::Archive;
use serde_json::Value;

use crate::archives::{bare_record, redirect, response};
use crate::run::{COMPANY, market};
use crate::support::{Reply, TestServer, command, json};

const COMPANIES: usize = 20_000;
const MAX_MEMORY: u64 = 38_000_000;
/// Rows on each index page. 60 names of 16 KB fit into the 1 MiB that an index page may have.
const ROWS: usize = 60;

/// What the pages of a large index contain.
#[derive(Clone, Copy)]
struct Pages {
    companies: usize,
    /// The name of every company in the index.
    name: &'static str,
    /// The cell of the growth in the index.
    growth: &'static str,
    /// The end of a company page, behind its price.
    figures: &'static str,
    /// Answers three of four requests for a company, by its number.
    failure: Option<fn(usize) -> Reply>,
}

const PLAIN: Pages = Pages {
    companies: COMPANIES,
    name: "x",
    growth: "5",
    figures: "<div class=\"snapshot__data-item\">900<div class=\"snapshot__header\">52 Week Low</div></div>\
              <div class=\"snapshot__data-item\">1100<div class=\"snapshot__header\">52 Week High</div></div>",
    failure: None,
};

fn item(header: &str, value: &str) -> String {
    format!(
        "<div class=\"snapshot__data-item\">{value}<div class=\"snapshot__header\">{header}</div></div>"
    )
}

impl Pages {
    fn index_page(&self, number: usize) -> Option<String> {
        let pages = self.companies.div_ceil(ROWS);
        let numbers = (number - 1) * ROWS..self.companies.min(number * ROWS);
        let Pages { name, growth, .. } = self;
        let row = |number| {
            format!(
                "<tr><td><a href=\"/stocks/company-{number}-stock\" title=\"x\">{name}</a></td>\
                 <td><span>1</span> <span>{growth}%</span></td></tr>"
            )
        };
        let rows: String = numbers.map(row).collect();
        (number <= pages).then(|| {
            format!(
                "<html><body><table><tr><th>Name</th><th>1 Year</th></tr>{rows}</table>\
                 <div class=\"finando_paging\"><a href=\"?p={pages}\">{pages}</a></div></body></html>"
            )
        })
    }

    fn company_page(&self, number: usize) -> String {
        format!(
            "<html><body><span class=\"price-section__label\">The company with number {number}</span>\
             <span class=\"price-section__category\"><span>, C{number}</span></span>\
             <span class=\"price-section__current-value\">1000.5</span>{}{}</body></html>",
            item("P/E Ratio", "12.5"),
            self.figures
        )
    }

    fn serve(self) -> TestServer {
        TestServer::start(market(), move |path, _| {
            if let Some(number) = path.strip_prefix("/stocks/company-") {
                let number = number.strip_suffix("-stock")?.parse().ok()?;
                return match self.failure {
                    Some(failure) if number % 4 > 0 => Some(failure(number)),
                    _ => Some(Reply::Page(self.company_page(number).into_bytes())),
                };
            }
            let number = path.rsplit_once("?p=")?.1.parse().ok()?;
            Some(Reply::Page(self.index_page(number)?.into_bytes()))
        })
    }
}

/// The peak memory of a process at its end, in bytes. The system forgets it when the process ends, so it
/// is read again and again.
fn peak_memory(child: &mut Child) -> u64 {
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kilobytes) = line.and_then(|line| line.trim().strip_suffix(" kB")) {
            peak = kilobytes.parse::<u64>().unwrap() * 1024;
        }
        thread::sleep(Duration::from_millis(2));
    }
    peak
}

/// Runs, checks the peak memory against `limit` in bytes, and returns the report.
#[track_caller]
fn run(pages: Pages, limit: u64, options: &[&str]) -> Value {
    let server = pages.serve();
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        &["--from", server.address(), "--usd-rub", "75"][..],
        &["--workers", "8", "--readers", "2", "--min-companies", "1"],
        &["--retry-pause", "1"],
        options,
    ];
    let mut child = command(folder.path(), &arguments.concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let peak = peak_memory(&mut child);
    let status = child.wait().unwrap();
    assert!(matches!(status.code(), Some(0 | 3)), "{status}");
    assert!(peak < limit, "{:.1} MB", peak as f64 / 1e6);
    json(&folder.path().join("rankings/run.json"))
}

fn length(report: &Value, list: &str) -> usize {
    report[list].as_array().unwrap().len()
}

/// The 32 index pages that may wait for their turn take 32 MB, so the run has up to 54 MB. The names of
/// the failed companies would take 49 MB more.
#[test]
fn keeps_no_names_of_16_kb() {
    let name: &'static str = "\u{10000}".repeat(4096).leak();
    let gone = |_| Reply::status("404 Not Found");
    let pages = Pages {
        companies: 4_000,
        name,
        failure: Some(gone),
        ..PLAIN
    };
    let report = run(pages, 70_000_000, &[]);
    assert_eq!(length(&report, "failures"), 3_000);
}

#[test]
fn lists_every_contradiction_without_keeping_them() {
    let range = [item("52 Week Low", "1.25"), item("52 Week High", "9.75")];
    let pages = Pages {
        growth: "-300",
        figures: range.concat().leak(),
        ..PLAIN
    };
    let report = run(pages, MAX_MEMORY, &["--verbose"]);
    assert_eq!(length(&report, "suspicious"), 3 * COMPANIES);
}

/// Each failure names a content encoding of 4,000 bytes: 60 MB in all.
#[test]
fn lists_every_failure_with_300_bytes_of_its_reason() {
    let unknown_encoding = |number| {
        let name = format!("{number}{}", "x".repeat(4000));
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\nContent-Length: 0\r\n\r\n");
        Reply::Raw(head.into_bytes())
    };
    let pages = Pages {
        failure: Some(unknown_encoding),
        ..PLAIN
    };
    let report = run(pages, MAX_MEMORY, &["--json", "--verbose"]);
    assert_eq!(length(&report, "failures"), COMPANIES / 4 * 3);
    let detail = report["failures"][0]["detail"].as_str().unwrap();
    assert_eq!(detail.len(), 300);
    assert!(detail.ends_with('…'), "{detail}");
}

#[test]
fn traces_every_page_of_a_large_index() {
    let options = ["--trace", "trace.json", "--table", "all.csv"];
    let report = run(PLAIN, MAX_MEMORY, &options);
    assert_eq!(report["ledger"]["ok"], COMPANIES);
}

/// An archive of other programs may have any number of pages, with addresses of any length. Without a limit,
/// these take 90 to 200 MB. The page of a company is kept although it comes last.
#[test]
fn keeps_64_mb_of_the_pages_of_an_archive() {
    let identified = |number: usize, path: &str| {
        let fields =
            format!("WARC-Record-ID: <urn:uuid:{number}>\r\nWARC-Payload-Digest: md5:{number}\r\n");
        let http = b"HTTP/1.1 200 OK\r\n\r\nx";
        let uri = format!("http://example.com{path}{number}");
        bare_record("response", &uri, &fields, http)
    };
    let revisit = |number: usize| {
        let to = "x".repeat(60_000);
        let fields = format!("WARC-Refers-To-Target-URI: http://example.com/{to}{number}\r\n");
        let uri = format!("http://example.com/{number}");
        bare_record("revisit", &uri, &fields, b"")
    };
    let escaped = "%41".repeat(600);
    let long = "x".repeat(1900);
    let longer = "x".repeat(60_000);
    let redirect_to = |number: usize, target: &str| {
        redirect(&format!("/{number}"), &format!("/{target}{number}"))
    };
    type Make<'a> = &'a dyn Fn(usize) -> Vec<u8>;
    // Pages, and then a long redirect for each of the first.
    let later_redirect = |number: usize| match number.checked_sub(180_000) {
        None => response(&format!("/{number}"), "x"),
        Some(known) => redirect_to(known, &long),
    };
    let cases: [(&str, usize, Make, bool); 8] = [
        ("later redirects", 215_000, &later_redirect, true),
        ("pages", 250_000, &|number| identified(number, "/"), true),
        (
            "companies",
            250_000,
            &|number| identified(number, "/stocks/"),
            true,
        ),
        (
            "one page",
            250_000,
            &|number| identified(number, "/?op="),
            true,
        ),
        (
            "escapes",
            25_000,
            &|number| response(&format!("/{escaped}{number}"), "x"),
            true,
        ),
        (
            "redirects",
            25_000,
            &|number| redirect_to(number, &long),
            true,
        ),
        (
            "long redirects",
            1_000,
            &|number| redirect_to(number, &longer),
            false,
        ),
        ("revisits", 1_000, &revisit, false),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.warc");
    for (name, number, make, is_over) in cases {
        let records: Vec<Vec<u8>> = (0..number).map(make).collect();
        fs::write(&file, [records.concat(), response(COMPANY, "x")].concat()).unwrap();
        let mut child = command(folder.path(), &["--from", "a.warc", "-q"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let peak = peak_memory(&mut child);
        child.wait().unwrap();
        assert!(peak < 90_000_000, "{name}: {:.1} MB", peak as f64 / 1e6);
        let archive = Archive::open(&file).unwrap();
        let damage = archive.damage().unwrap_or_default();
        assert_eq!(
            damage.contains("responses were skipped"),
            is_over,
            "{name}: {damage}"
        );
        assert_eq!(
            archive.stored_path(COMPANY).is_some(),
            name != "companies",
            "{name}"
        );
    }
}

/// The resident memory of a run, in bytes, when each of its workers has received a page and waits for the
/// response to its next request.
fn memory_of_waiting(workers: usize) -> u64 {
    let held = Arc::new(AtomicUsize::new(0));
    let all_ask = Barrier::new(workers);
    let pages = Pages {
        companies: 2 * workers,
        ..PLAIN
    };
    let server = TestServer::start(market(), {
        let held = held.clone();
        move |path, _| {
            if let Some(number) = path.strip_prefix("/stocks/company-") {
                let number = number.strip_suffix("-stock")?.parse().ok()?;
                if number >= workers {
                    held.fetch_add(1, SeqCst);
                    thread::sleep(Duration::from_secs(60));
                }
                all_ask.wait();
                // An interim response of 30 KB fills the receive buffer, and nothing of it is kept.
                let hints = format!(
                    "HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n",
                    "x".repeat(30_000)
                );
                let page = pages.company_page(number);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", page.len());
                return Some(Reply::Raw((hints + &head + &page).into_bytes()));
            }
            let number = path.rsplit_once("?p=")?.1.parse().ok()?;
            Some(Reply::Page(pages.index_page(number)?.into_bytes()))
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let workers_option = workers.to_string();
    let options = [
        "--from",
        server.address(),
        "--usd-rub",
        "75",
        "--workers",
        &workers_option,
    ];
    let mut child = command(folder.path(), &options)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while held.load(SeqCst) < workers {
        assert!(started.elapsed() < Duration::from_secs(60), "{held:?}");
        thread::sleep(Duration::from_millis(10));
    }
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

/// A request that waits holds the stack of its thread, 40 to 50 KB. A receive buffer takes 32 KB more.
#[test]
fn a_request_that_waits_holds_no_receive_buffer() {
    let (few, many) = (40, 440);
    let each = (memory_of_waiting(many) - memory_of_waiting(few)) / (many - few) as u64;
    assert!(each < 65_000, "{each} bytes");
}
