//! Companies whose paths differ only in bytes that are not UTF-8, or only in percent-encoding.
//!
//! Each run must keep them apart: from a site, from an archive, from the server of an archive, and
//! resumed from a journal.

use std::fs;
use std::path::Path;

use indexrank::site::paths::INDEX_PREFIX;
use serde_json::json;

use crate::run::{COMPANIES, COMPANY, company_html, market};
use crate::support::{RANKINGS, Reply, TestServer, indexrank, json, ledger, start_serve};

/// A company of the small market with another code, name and slug.
struct Renamed {
    from: (&'static str, &'static str, &'static str),
    to: (&'static str, &'static str, &'static str),
}

impl Renamed {
    /// Replaces code, name and slug in a page.
    fn rename(&self, page: &str) -> String {
        let stock_url = |slug: &str| slug.replace("-stock", "/price");
        page.replace(&stock_url(self.from.2), &stock_url(self.to.2))
            .replace(self.from.0, self.to.0)
            .replace(self.from.1, self.to.1)
            .replace(self.from.2, self.to.2)
    }

    fn path(&self) -> String {
        format!("/stocks/{}", self.to.2)
    }
}

const RENAMED: [Renamed; 6] = [
    Renamed {
        from: ("AAPL", "Apple Inc.", "aapl-stock"),
        to: ("NESA", "Nestle with a grave", "nestl%e8-stock"),
    },
    Renamed {
        from: ("ABBV", "AbbVie Inc", "abbv-stock"),
        to: ("NESB", "Nestle with an acute", "nestl%e9-stock"),
    },
    Renamed {
        from: ("ABMD", "ABIOMED Inc.", "abmd-stock"),
        to: ("RNDA", "Research escaped", "r%26d-stock"),
    },
    Renamed {
        from: ("ADBE", "Adobe Inc.", "adbe-stock"),
        to: ("RNDB", "Research plain", "r&d-stock"),
    },
    Renamed {
        from: ("AKAM", "Akamai Inc.", "akam-stock"),
        to: ("SLAA", "Slash in lower case", "a%2fs-stock"),
    },
    Renamed {
        from: ("ALGN", "Align Technology Inc.", "algn-stock"),
        to: ("SLAB", "Slash in upper case", "a%2Fs-stock"),
    },
];

/// The small market with the [`RENAMED`] companies, each under exactly its spelling. The first
/// `failures` requests for [`COMPANY`] get status 503.
fn site(failures: usize) -> TestServer {
    TestServer::start(market(), move |path, earlier| {
        if path == COMPANY && earlier < failures {
            return Some(Reply::status("503 Service Unavailable"));
        }
        if let Some(renamed) = RENAMED.iter().find(|renamed| renamed.path() == path) {
            let page = company_html(&format!("/stocks/{}", renamed.from.2));
            let page = renamed.rename(&String::from_utf8(page).unwrap());
            return Some(Reply::Page(page.into_bytes()));
        }
        let query = path.strip_prefix(INDEX_PREFIX)?;
        let (_, number) = query.split_once("?p=")?;
        let page = market().index_page(number.parse().ok()?);
        let page = RENAMED
            .iter()
            .fold(page, |page, renamed| renamed.rename(&page));
        Some(Reply::Page(page.into_bytes()))
    })
}

/// Runs the binary with these options and a table. The run must rank every company, and the table must
/// list each of the [`RENAMED`] under its own path. Returns the table.
#[track_caller]
fn rank_all(folder: &Path, options: &[&str]) -> String {
    let table = ["--retry-pause", "10", "--table", "all.csv"];
    let ran = indexrank(folder, &[options, &table].concat());
    assert_eq!(ran.code, 0, "{options:?}: {}", ran.stderr);
    let report = json(&folder.join("rankings/run.json"));
    let all = COMPANIES as u64;
    assert_eq!(ledger(&report), [all, all, 0, 0, 0], "{options:?}");
    let table = fs::read_to_string(folder.join("all.csv")).unwrap();
    for renamed in &RENAMED {
        let line = format!("{},{},{},", renamed.to.0, renamed.to.1, renamed.path());
        assert!(table.contains(&line), "{options:?}: no {line} in\n{table}");
    }
    table
}

/// The bytes of the four rankings of the last run in a folder.
fn rankings(folder: &Path) -> [Vec<u8>; 4] {
    RANKINGS.map(|file| fs::read(folder.join("rankings").join(file)).unwrap())
}

#[test]
fn replays_and_serves_every_spelling_of_a_recording() {
    for name in ["run.warc", "run.warc.gz"] {
        let server = site(0);
        let folder = tempfile::tempdir().unwrap();
        let from_site = ["--from", server.address(), "--record", name];
        let table = rank_all(folder.path(), &from_site);
        let expected = rankings(folder.path());

        assert!(rank_all(folder.path(), &["--from", name]) == table);
        assert_eq!(rankings(folder.path()), expected);

        let (mut serve, address) = start_serve(folder.path(), &["--from", name]);
        let served = rank_all(folder.path(), &["--from", &address]);
        serve.kill().unwrap();
        serve.wait().unwrap();
        assert!(served == table);
        assert_eq!(rankings(folder.path()), expected);
    }
}

/// The first run lacks one company after four attempts, so it keeps its journal. The resumed run takes
/// every other page from there.
#[test]
fn resumes_every_spelling_from_the_journal() {
    let server = site(4);
    let folder = tempfile::tempdir().unwrap();
    let first = ["--from", server.address(), "--retry-pause", "10"];
    let first = indexrank(folder.path(), &first);
    assert_eq!(first.code, 3, "{}", first.stderr);
    assert!(folder.path().join("rankings/unfinished.warc").exists());

    let table = rank_all(folder.path(), &["--from", server.address(), "--resume"]);
    let report = json(&folder.path().join("rankings/run.json"));
    let index_pages = market().index_pages() as usize;
    // Also the rates and robots.txt.
    assert_eq!(report["resumed"], json!(COMPANIES - 1 + index_pages + 2));
    for renamed in &RENAMED {
        assert_eq!(server.asked(&renamed.path()), 1, "{}", renamed.path());
    }
    assert_eq!(server.asked(COMPANY), 5);

    let whole = tempfile::tempdir().unwrap();
    let quiet = site(0);
    assert!(rank_all(whole.path(), &["--from", quiet.address()]) == table);
}

/// An archive of another program, which escapes `&` and `-`. Its letter pages count too.
#[test]
fn ranks_an_archive_that_spells_every_path_differently() {
    let server = TestServer::start(market(), |_, _| None);
    let folder = tempfile::tempdir().unwrap();
    let record = ["--from", server.address(), "--record", "run.warc"];
    let record = [&record[..], &["--walk", "both"]].concat();
    assert_eq!(indexrank(folder.path(), &record).code, 0);
    let expected = rankings(folder.path());

    let bytes = fs::read(folder.path().join("run.warc")).unwrap();
    let address = b"WARC-Target-URI: ";
    let mut other = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(address) {
            let line = String::from_utf8(line[address.len()..].to_vec()).unwrap();
            let line = line.replace("s&p_500", "s%26p_500").replace('-', "%2d");
            other.extend_from_slice(&[address, line.as_bytes()].concat());
        } else if line.starts_with(b"record-digest: ") {
            // The other program has no digests that cover the address. The length stays.
            other.extend_from_slice(&[b"other-digest : ", &line[15..]].concat());
        } else if !line.starts_with(b"X-Record-Digest: ") {
            other.extend_from_slice(line);
        }
    }
    assert!(memchr::memmem::find(&other, b"/s%26p_500/A\r\n").is_some());
    fs::write(folder.path().join("other.warc"), other).unwrap();
    for walk in ["pages", "letters", "both"] {
        let ran = indexrank(folder.path(), &["--from", "other.warc", "--walk", walk]);
        assert_eq!(ran.code, 0, "{walk}: {}", ran.stderr);
        assert_eq!(rankings(folder.path()), expected, "{walk}");
    }
}
