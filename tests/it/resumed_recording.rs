//! Recordings of resumed runs: a replay gives what the run gave, whatever the site sent before.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use indexrank::replica::Market;

use crate::run::{COMPANIES, COMPANY, company_html, market, unnamed};
use crate::support::{RANKINGS, Reply, TestServer, indexrank, json, ledger};

const INDEX_1: &str = "/index/components/s&p_500?p=1";
const GONE: &str = "/stocks/a-stock";
const BROKEN: &str = "/stocks/aap-stock";
const REDIRECTED: &str = "/stocks/aapl-stock";
const SWAPPED: &str = "/stocks/abbv-stock";
const BUSY_ONCE: &str = "/stocks/abc-stock";
const CUT: &str = "/stocks/abmd-stock";
/// The first run waits for this page in vain.
const NEVER_SENT: &str = "/stocks/amzn-stock";

/// The page of 3M with another price. Its first price is the one that counts.
fn priced(price: &str) -> Vec<u8> {
    let html = String::from_utf8(company_html(COMPANY)).unwrap();
    let start = "price-section__current-value\">";
    let at = html.find(start).unwrap() + start.len();
    let end = at + html[at..].find('<').unwrap();
    let own = &html[at..end];
    let html = html.replace(&format!("{start}{own}"), &format!("{start}{price}"));
    let script = format!("\"currentValue\":\"{own}\"");
    html.replace(&script, &format!("\"currentValue\":\"{price}\""))
        .into_bytes()
}

/// The first page of the index without one row, counted from 0.
fn index_without(row: usize) -> Vec<u8> {
    let html = market().index_page(1);
    let body = html.find("<tbody class").unwrap();
    let starts: Vec<usize> = html[body..]
        .match_indices("<tr>")
        .map(|(at, _)| at + body)
        .collect();
    let end = starts[row] + html[starts[row]..].find("</tr>").unwrap() + "</tr>".len();
    [&html[..starts[row]], &html[end..]].concat().into_bytes()
}

/// A site that changes between two runs.
fn changing_site() -> (TestServer, Arc<AtomicBool>) {
    let is_changed = Arc::new(AtomicBool::new(false));
    let changed = Arc::clone(&is_changed);
    let requests_before = Mutex::new(HashMap::new());
    let server = TestServer::start(market(), move |path, before| {
        let mut requests_before = requests_before.lock().unwrap();
        if !changed.load(SeqCst) {
            requests_before.insert(path.to_owned(), before + 1);
            return match path {
                NEVER_SENT => Some(Reply::Raw(Vec::new())),
                // The second run takes this page from the journal and finds it unusable.
                CUT => Some(Reply::Page(company_html(CUT)[..90_000].to_vec())),
                _ => None,
            };
        }
        let earlier = before - requests_before.get(path).copied().unwrap_or(0);
        match path {
            GONE | CUT => Some(Reply::status("404 Not Found")),
            BROKEN => Some(Reply::RawThenClose(Vec::new())),
            COMPANY => Some(Reply::Page(priced("9,876.50"))),
            SWAPPED if earlier == 0 => Some(Reply::Page(company_html(GONE))),
            BUSY_ONCE if earlier == 0 => Some(Reply::status("503 Service Unavailable")),
            REDIRECTED => Some(Reply::Raw(
                b"HTTP/1.1 301 Moved\r\nLocation: /stocks/new-stock\r\nContent-Length: 0\r\n\r\n"
                    .to_vec(),
            )),
            "/stocks/new-stock" => Some(Reply::Page(unnamed(&company_html(REDIRECTED)))),
            // Only both looks at this page together list every company.
            INDEX_1 if earlier == 0 => Some(Reply::Page(index_without(40))),
            INDEX_1 => Some(Reply::Page(index_without(0))),
            _ => None,
        }
    });
    (server, is_changed)
}

/// Replays a recording. Its companies, rankings and failures must be those of the run.
fn assert_replays(folder: &Path, record: &str, table: &str) {
    let replay = [
        "--from",
        record,
        "--out",
        "again",
        "--table",
        "again.csv",
        "-q",
    ];
    let ran = indexrank(folder, &replay);
    let report = |name: &str| json(&folder.join(name).join("run.json"));
    let (run, replayed) = (report("rankings"), report("again"));
    assert_eq!(ledger(&run), ledger(&replayed), "{}", ran.stderr);
    let failed = |report: &serde_json::Value| -> Vec<String> {
        let failures = report["failures"].as_array().unwrap().iter();
        failures
            .map(|failure| failure["path"].to_string())
            .collect()
    };
    assert_eq!(failed(&run), failed(&replayed));
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read(table), read("again.csv"));
    for name in RANKINGS {
        let (run, again) = (format!("rankings/{name}"), format!("again/{name}"));
        assert_eq!(read(&run), read(&again), "{name}");
    }
}

/// The first run is interrupted, and the site changes before the second one.
#[test]
fn a_resumed_recording_replays_to_what_the_run_gave() {
    for (record, max_age) in [
        ("run.warc", None),
        ("run.warc", Some("1")),
        ("run.warc.gz", Some("1")),
    ] {
        let (server, is_changed) = changing_site();
        let folder = tempfile::tempdir().unwrap();
        let from = ["--from", server.address(), "--record", record];
        let first = ["--max-time", "1.5", "--retry-pause", "1"];
        let ran = indexrank(folder.path(), &[&from[..], &first].concat());
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        is_changed.store(true, SeqCst);
        let mut again = vec!["--resume", "--retry-pause", "1", "--table", "all.csv", "-q"];
        if let Some(seconds) = max_age {
            thread::sleep(Duration::from_millis(2100));
            again.extend(["--max-age", seconds]);
        }
        let ran = indexrank(folder.path(), &[&from[..], &again].concat());
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        let report = json(&folder.path().join("rankings/run.json"));
        let companies = COMPANIES as u64;
        let table = fs::read_to_string(folder.path().join("all.csv")).unwrap();
        if max_age.is_some() {
            assert_eq!(report["resumed"], 0);
            assert_eq!(ledger(&report), [companies, companies - 3, 3, 0, 0]);
            assert!(table.contains("9876.5"), "{table}");
            let warning = "page 1: 1 added, 1 removed";
            assert!(report["warnings"].to_string().contains(warning), "{report}");
        } else {
            assert!(report["resumed"].as_u64().unwrap() > 30, "{report}");
            assert!(!table.contains("9876.5"), "{table}");
        }
        assert_replays(folder.path(), record, "all.csv");
    }
}

/// The second run wants younger pages than the third one, which uses a page of the first run that the
/// second could not fetch again.
#[test]
fn the_age_limit_of_the_last_run_counts() {
    let (server, is_changed) = changing_site();
    let folder = tempfile::tempdir().unwrap();
    let run = |options: &[&str]| {
        let from = ["--from", server.address(), "--record", "run.warc"];
        let pause = ["--retry-pause", "1", "-q"];
        indexrank(folder.path(), &[&from[..], &pause, options].concat())
    };
    assert_eq!(run(&["--max-time", "1.5"]).code, 4);
    is_changed.store(true, SeqCst);
    thread::sleep(Duration::from_millis(2100));
    let too_many = format!("{}", COMPANIES + 1);
    let ran = run(&["--resume", "--max-age", "1", "--min-companies", &too_many]);
    assert_eq!(ran.code, 8, "{}", ran.stderr);
    let ran = run(&["--resume", "--table", "all.csv"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let table = fs::read_to_string(folder.path().join("all.csv")).unwrap();
    assert!(table.contains("AAP,"), "{table}");
    assert_replays(folder.path(), "run.warc", "all.csv");
}

/// The earlier run has recorded two looks at the first page of the index. The resumed run takes looks
/// of its own, and its recording replays to these.
#[test]
fn a_resumed_run_looks_again_at_a_page_with_a_second_look() {
    let later = Market::embedded(Some(COMPANIES + 1), 1).index_page(1);
    let added = later.replace("\"/stocks/abbv-stock", "\"/stocks/zzz-stock");
    let server = TestServer::start(market(), move |path, before| match path {
        INDEX_1 if before == 1 => Some(Reply::Page(added.clone().into_bytes())),
        "/stocks/zzz-stock" if before == 0 => Some(Reply::Raw(Vec::new())),
        _ => None,
    });
    let folder = tempfile::tempdir().unwrap();
    let from = ["--from", server.address(), "--record", "run.warc"];
    let ran = indexrank(folder.path(), &[&from[..], &["--max-time", "1.5"]].concat());
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert_eq!(server.asked("/stocks/zzz-stock"), 1);
    let again = ["--resume", "--table", "all.csv", "-q"];
    let ran = indexrank(folder.path(), &[&from[..], &again].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let report = json(&folder.path().join("rankings/run.json"));
    assert_eq!(
        ledger(&report),
        [COMPANIES as u64, COMPANIES as u64, 0, 0, 0]
    );
    assert_replays(folder.path(), "run.warc", "all.csv");
}
