//! Random damage to bodies, archives and journals: flipped, cut, inserted and removed bytes. Their
//! parsers must return only data that was stored, or fail.

use std::fs;
use std::time::Duration;

use indexrank::http::decode::{Inflater, MAX_INFLATED};
use indexrank::http::page::Page;
use indexrank::warc::journal::{Identity, Journal, Keep};
use indexrank::warc::reader::Archive;
use indexrank::warc::writer::Checksum;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::run::gzip;

/// One random change of a file.
#[derive(Debug, Clone)]
enum Damage {
    /// XORs the byte with a mask.
    Flip(Index, u8),
    /// Truncates the file here.
    Cut(Index),
    Insert(Index, Vec<u8>),
    /// Removes up to this many bytes.
    Remove(Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<Index>(), 1_u8..).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<Index>(), 1_usize..20).prop_map(|(at, length)| Damage::Remove(at, length)),
    ]
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Damage::Flip(at, mask) => {
                let at = at.index(bytes.len());
                bytes[at] ^= mask;
            }
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Damage::Insert(at, inserted) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, inserted.iter().copied());
            }
            Damage::Remove(at, length) => {
                let at = at.index(bytes.len());
                let end = (at + length).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn inflating_restores_a_compressed_body(body in vec(any::<u8>(), 0..3000), reuse in any::<bool>()) {
        let mut inflater = Inflater::default();
        if reuse {
            // The inflater reuses its buffer. Bytes of the previous body must not reappear.
            prop_assert!(inflater.gunzip(&gzip(&[7; 9000])).is_ok());
        }
        prop_assert_eq!(inflater.gunzip(&gzip(&body)), Ok(&body[..]));
    }

    #[test]
    fn inflates_damaged_bodies_within_the_limit_or_fails(
        body in vec(any::<u8>(), 0..300),
        damage in vec(damage(), 1..4),
    ) {
        let mut damaged = gzip(&body);
        damage.iter().for_each(|damage| damage.apply(&mut damaged));
        for bytes in [&damaged, &body] {
            if let Ok(inflated) = Inflater::default().gunzip(bytes) {
                prop_assert!(inflated.len() <= MAX_INFLATED);
            }
        }
    }
}

const STORED: [(&str, &str); 3] = [("/a", "page a"), ("/b", "page b, longer"), ("/c?p=1", "")];

/// An archive of the [`STORED`] pages: plain, or with one gzip member a record.
fn archive(is_gzip: bool) -> Vec<u8> {
    let records = STORED.iter().flat_map(|(path, body)| {
        let http = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{body}");
        let length = http.len();
        let record = format!(
            "WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: https://example.com{path}\r\n\
             Content-Length: {length}\r\n\r\n{http}\r\n\r\n"
        );
        if is_gzip {
            gzip(record.as_bytes())
        } else {
            record.into_bytes()
        }
    });
    records.collect()
}

/// Opens an archive and reads every path that it lists. Returns the pages that it could read.
fn readable_pages(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let Ok(archive) = Archive::open(file.path()) else {
        return Vec::new();
    };
    let get = |path: &str| archive.get(path, Vec::new());
    archive
        .paths()
        .filter_map(|path| Some((path.to_owned(), get(path).ok()?.body)))
        .collect()
}

fn assert_only_stored_pages(archive: &[u8]) -> Result<(), TestCaseError> {
    for (path, body) in readable_pages(archive) {
        let mut stored = STORED.iter();
        let is_stored = stored.any(|(stored, text)| path == *stored && body == text.as_bytes());
        prop_assert!(is_stored, "{path}: {:?}", String::from_utf8_lossy(&body));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn opens_or_rejects_any_file_without_a_panic(
        bytes in vec(any::<u8>(), 0..300),
        beginning in select(&["", "WARC/1.0\r\n", "WARC/1.0\r\nContent-Length: 99999999999999999999\r\n\r\n", "\u{1f}"][..]),
    ) {
        readable_pages(&[beginning.as_bytes(), &bytes].concat());
    }

    /// Each gzip member has a checksum, so the reader notices every change of a page.
    #[test]
    fn a_damaged_gzip_archive_returns_only_stored_pages(damage in vec(damage(), 1..4)) {
        let mut bytes = archive(true);
        damage.iter().for_each(|damage| damage.apply(&mut bytes));
        assert_only_stored_pages(&bytes)?;
    }

    /// A plain archive of another program has no checksums: the reader notices a cut, but not a
    /// changed byte. Other damage must only not cause a panic.
    #[test]
    fn a_truncated_plain_archive_returns_only_stored_pages(damage in vec(damage(), 1..4), end in any::<Index>()) {
        let mut bytes = archive(false);
        assert_only_stored_pages(&bytes[..end.index(bytes.len())])?;
        damage.iter().for_each(|damage| damage.apply(&mut bytes));
        readable_pages(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// A run resumes from a damaged journal or rejects it. The journal returns only pages that were
    /// recorded, and keeps a page that is appended after the damage.
    #[test]
    fn resumes_from_or_rejects_a_damaged_journal(
        damage in vec(damage(), 0..4),
        gzip in any::<bool>(),
        pages in 0usize..12,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(if gzip { "unfinished.warc.gz" } else { "unfinished.warc" });
        let identity = Identity(vec![("software", "indexrank/1".to_owned())]);
        let page = |number: usize| Page {
            status: 200,
            headers: http::HeaderMap::new(),
            body: format!("page {number} {}", "x".repeat(2000)).into_bytes(),
            waited: Duration::ZERO,
            elapsed: Duration::ZERO,
            asked: String::new(),
            reached: None,
            from_journal: false,
            not_followed: None,
            large: None,
            saved: None,
        };
        let journal = Journal::begin(path.clone(), Checksum::Crc32, &identity).unwrap();
        (0..pages).for_each(|number| journal.keep(&format!("http://here/{number}"), &page(number), Keep::ForResume));
        journal.close_for_resume();
        if pages > 0 {
            let mut bytes = fs::read(&path).unwrap();
            damage.iter().for_each(|damage| damage.apply(&mut bytes));
            fs::write(&path, bytes).unwrap();
        }
        let resume = || Journal::resume(path.clone(), Checksum::Crc32, &identity, Duration::from_secs(60));
        let Ok(journal) = resume() else { return Ok(()) };
        for number in 0..pages {
            if let Some(recorded) = journal.take(&format!("/{number}")) {
                prop_assert_eq!(recorded.body, page(number).body);
            }
            prop_assert!(journal.take(&format!("/{number}")).is_none(), "the journal returns each page once");
        }
        journal.keep("http://here/last", &page(99), Keep::ForResume);
        journal.close_for_resume();
        // A second resume finds the appended page.
        if let Ok(journal) = resume() {
            let last = journal.take("/last");
            prop_assert_eq!(last.map(|page| page.body), Some(page(99).body));
        }
    }
}
