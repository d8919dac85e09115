//! Damaged bits in journals and recordings: a damaged page is fetched again or fails, and is never used.

use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::Path;

use indexrank::replica::{Line, Pages, Server};
use memchr::memmem;

use crate::run::{COMPANIES, COMPANY, Run, market};
use crate::support::{RANKINGS, Ran, TestServer, indexrank, json, ledger, start_serve};

/// The three parts of a record, as ranges of the file.
struct Record {
    warc_head: Range<usize>,
    http_head: Range<usize>,
    body: Range<usize>,
}

/// The records of the responses in an uncompressed archive.
fn responses(archive: &[u8]) -> Vec<Record> {
    let starts: Vec<usize> = memmem::find_iter(archive, b"WARC/1.1\r\n").collect();
    let ends = starts.iter().skip(1).copied().chain([archive.len()]);
    let records = starts.iter().zip(ends).map(|(start, end)| {
        let blank = |from: usize| from + memmem::find(&archive[from..], b"\r\n\r\n").unwrap() + 4;
        let (http, body) = (blank(*start), blank(blank(*start)));
        Record {
            warc_head: *start..http,
            http_head: http..body,
            body: body..end - 4,
        }
    });
    // The first record describes the archive.
    records.skip(1).collect()
}

fn small_market() -> Server {
    let pages = Pages::of_market(&market());
    Server::start(pages, 0, Line::default(), None).unwrap()
}

fn rankings(folder: &Path) -> [String; 4] {
    RANKINGS.map(|name| fs::read_to_string(folder.join(name)).unwrap())
}

/// A journal with all pages of a run, and the rankings that it must give.
struct Kept {
    server: Server,
    folder: tempfile::TempDir,
    journal: Vec<u8>,
    expected: [String; 4],
}

impl Kept {
    fn new() -> Self {
        let server = small_market();
        let folder = tempfile::tempdir().unwrap();
        let address = server.address();
        let from = ["--from", &*address, "-q"];
        assert_eq!(indexrank(folder.path(), &from).code, 0);
        let expected = rankings(&folder.path().join("rankings"));
        // The run fetches everything and keeps it, because it wants more companies than there are.
        let ran = indexrank(
            folder.path(),
            &[&from[..], &["--min-companies", "61"]].concat(),
        );
        assert_ne!(ran.code, 0);
        let journal = fs::read(folder.path().join("rankings/unfinished.warc")).unwrap();
        Kept {
            server,
            folder,
            journal,
            expected,
        }
    }

    /// Resumes from the journal with one bit flipped. Returns the run and how many requests it sent.
    fn resume_with_flip(&self, at: usize, bit: usize) -> (Ran, u64) {
        let mut journal = self.journal.clone();
        journal[at] ^= 1 << bit;
        fs::write(self.folder.path().join("rankings/unfinished.warc"), journal).unwrap();
        let before = self.server.counts().requests;
        let resume = ["--from", &*self.server.address(), "-q", "--resume"];
        let ran = indexrank(self.folder.path(), &resume);
        (ran, self.server.counts().requests - before)
    }
}

/// Flips bits in every part of a record. The run must give the right rankings, and fetch no page but the
/// damaged one again, unless the damage hides where the record ends.
#[test]
fn a_flipped_bit_costs_one_page() {
    let kept = Kept::new();
    let records = responses(&kept.journal);
    assert_eq!(records.len(), COMPANIES + 4, "{}", records.len());
    let mut random = fastrand::Rng::with_seed(80);
    let mut warned = 0;
    for round in 0..60 {
        let record = &records[random.usize(1..records.len())];
        let range = match round % 3 {
            0 => &record.warc_head,
            1 => &record.http_head,
            _ => &record.body,
        };
        let (at, bit) = (random.usize(range.clone()), random.usize(..8));
        let (ran, requests) = kept.resume_with_flip(at, bit);
        let flip = format!("round {round}, bit {bit} of byte {at} in {range:?}");
        assert_eq!(ran.code, 0, "{flip}: {}", ran.stderr);
        assert_eq!(
            rankings(&kept.folder.path().join("rankings")),
            kept.expected,
            "{flip}"
        );
        // The second look at the first page of the index is always sent.
        let line = kept.journal[..at]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .unwrap()
            + 1;
        let hides_end = kept.journal[line..].starts_with(b"Content-Length")
            || [b'\r', b'\n', b':'].contains(&kept.journal[at]);
        let is_head = round % 3 == 0;
        if !(is_head && hides_end) {
            assert!((1..=2).contains(&requests), "{flip}: {requests} requests");
        }
        if !is_head {
            assert_eq!(requests, 2, "{flip}");
            assert!(
                ran.stderr
                    .contains("1 record of rankings/unfinished.warc was damaged"),
                "{flip}: {}",
                ran.stderr
            );
            warned += 1;
        }
    }
    assert_eq!(warned, 40);
}

/// Each field that a resumed run relies on, with a bit flipped in its name and in its value.
#[test]
fn notices_a_flip_in_every_field_of_a_head() {
    let kept = Kept::new();
    let records = responses(&kept.journal);
    let record = &records[records.len() / 2];
    let head = &kept.journal[record.warc_head.clone()];
    for (field, requests, is_counted) in [
        ("WARC/1.1", 2, true),
        // It is a record of another type then, which is of no interest.
        ("WARC-Type", 2, false),
        ("WARC-Date", 2, true),
        ("WARC-Target-URI", 2, true),
        ("X-Record-Digest", 2, true),
        // Nothing depends on these.
        ("WARC-Record-ID", 1, false),
        ("Content-Type", 1, false),
    ] {
        let name = record.warc_head.start + memmem::find(head, field.as_bytes()).unwrap();
        let value = name + memmem::find(&kept.journal[name..], b"\r\n").unwrap() - 1;
        // The lowest bit, and the highest, which makes the line invalid UTF-8.
        for (at, bit) in [(name, 0), (name, 7), (value, 0), (value, 7)] {
            // The number of the version is not checked.
            if field == "WARC/1.1" && at == value {
                continue;
            }
            let (ran, sent) = kept.resume_with_flip(at, bit);
            let flip = format!("{field}, bit {bit} of byte {at}: {}", ran.stderr);
            assert_eq!(ran.code, 0, "{flip}");
            let rankings = rankings(&kept.folder.path().join("rankings"));
            assert_eq!(rankings, kept.expected, "{flip}");
            assert_eq!(sent, requests, "{flip}");
            let warning = "1 record of rankings/unfinished.warc was damaged";
            assert_eq!(ran.stderr.contains(warning), is_counted, "{flip}");
        }
    }
}

/// A flip in the first record may hide whose journal it is. It must not give wrong rankings.
#[test]
fn a_flip_in_the_first_record_refuses_or_resumes() {
    let kept = Kept::new();
    let end = responses(&kept.journal)[0].warc_head.start;
    let mut random = fastrand::Rng::with_seed(80);
    for _ in 0..15 {
        let (at, bit) = (random.usize(..end), random.usize(..8));
        let (ran, _) = kept.resume_with_flip(at, bit);
        match ran.code {
            0 => assert_eq!(
                rankings(&kept.folder.path().join("rankings")),
                kept.expected
            ),
            2 => assert!(ran.stderr.contains("cannot be resumed"), "{}", ran.stderr),
            code => panic!(
                "exit code {code} after bit {bit} of byte {at}: {}",
                ran.stderr
            ),
        }
    }
}

/// A recording has no site behind it, so the damaged page is missing. The run and `serve` say why.
#[test]
fn a_damaged_page_of_a_recording_fails_and_is_not_served() {
    for name in ["run.warc", "run.warc.gz"] {
        let server = TestServer::start(market(), |_, _| None);
        let run = Run::new(&server, &["--record", name]);
        assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
        let file = run.folder.path().join(name);
        let mut archive = fs::read(&file).unwrap();
        let at = match name {
            "run.warc" => {
                let page = format!("{COMPANY}\r\n");
                let at = memmem::find(&archive, page.as_bytes()).unwrap();
                at + memmem::find(&archive[at..], b"\"currentValue\":\"").unwrap() + 16
            }
            _ => archive.len() / 2,
        };
        archive[at] ^= 1;
        fs::write(&file, archive).unwrap();
        let ran = indexrank(run.folder.path(), &["--from", name, "--out", "again"]);
        if name == "run.warc" {
            assert_eq!(ran.code, 3, "{}", ran.stderr);
            let report = json(&run.folder.path().join("again/run.json"));
            let companies = COMPANIES as u64;
            assert_eq!(ledger(&report), [companies, companies - 1, 1, 0, 0]);
            assert_eq!(report["failures"][0]["path"], COMPANY);
            assert_eq!(report["failures"][0]["reason"], "damaged");
            assert!(
                ran.stderr.contains("1 record of run.warc is damaged"),
                "{}",
                ran.stderr
            );
            let (mut serve, address) = start_serve(run.folder.path(), &["--from", name]);
            let again = indexrank(run.folder.path(), &["--from", &address, "--out", "served"]);
            serve.kill().unwrap();
            let stderr = BufReader::new(serve.stderr.take().unwrap()).lines();
            let warnings: Vec<String> = stderr.map(Result::unwrap).collect();
            serve.wait().unwrap();
            assert_eq!(again.code, 3, "{}", again.stderr);
            let words = format!(
                "are not served: 1, the first {COMPANY}: its record in run.warc is damaged"
            );
            assert!(
                warnings.iter().any(|line| line.contains(&words)),
                "{warnings:?}"
            );
        } else {
            // Which page it is depends on the order of the responses, or the damage ends the reading.
            assert_ne!(ran.code, 0, "{}", ran.stderr);
            assert!(ran.stderr.contains("run.warc.gz"), "{}", ran.stderr);
        }
    }
}
