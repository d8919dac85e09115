//! Bodies, archives and journals in which something has been changed, cut, put in or left out: what
//! they give is what was put into them.

use std::fs;
use std::time::Duration;

use indexrank::http::decode::{Inflater, MAX_INFLATED};
use indexrank::http::page::Page;
use indexrank::telemetry::counters::Meter;
use indexrank::warc::journal::{Identity, Journal};
use indexrank::warc::reader::Archive;
use indexrank::warc::writer::Checksum;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::run::gzip;

/// What can happen to a file.
#[derive(Debug, Clone)]
enum Damage {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<Index>(), 1_u8..).prop_map(|(at, bits)| Damage::Flip(at, bits)),
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
            Damage::Flip(at, bits) => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
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
    fn what_was_compressed_inflates_to_itself(body in vec(any::<u8>(), 0..3000), again in any::<bool>()) {
        let mut inflater = Inflater::default();
        if again {
            // The buffer is kept, and what stood in it before does not show.
            prop_assert!(inflater.gunzip(&gzip(&[7; 9000])).is_ok());
        }
        prop_assert_eq!(inflater.gunzip(&gzip(&body)), Ok(&body[..]));
    }

    #[test]
    fn damaged_bodies_inflate_within_the_limit_or_not_at_all(
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

/// An archive of three pages: plain or of gzip members.
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

/// Opens a file and asks for all that it lists; the bodies that were given, by path.
fn all_of(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_file_is_an_archive_or_is_refused(
        bytes in vec(any::<u8>(), 0..300),
        beginning in select(&["", "WARC/1.0\r\n", "WARC/1.0\r\nContent-Length: 99999999999999999999\r\n\r\n", "\u{1f}"][..]),
    ) {
        all_of(&[beginning.as_bytes(), &bytes].concat());
    }

    /// A checksum stands over each page of a compressed archive: what is given was stored.
    #[test]
    fn a_damaged_archive_gives_no_page_that_was_not_stored(damage in vec(damage(), 1..4)) {
        let mut bytes = archive(true);
        damage.iter().for_each(|damage| damage.apply(&mut bytes));
        for (path, body) in all_of(&bytes) {
            let is_stored = STORED.iter().any(|(stored, text)| path == *stored && body == text.as_bytes());
            prop_assert!(is_stored, "{path}: {:?}", String::from_utf8_lossy(&body));
        }
    }

    /// Without compression nothing shows that a byte is another one; a cut does.
    #[test]
    fn a_plain_archive_cut_short_gives_the_pages_before(damage in vec(damage(), 1..4), end in any::<Index>()) {
        let mut bytes = archive(false);
        let cut = &bytes[..end.index(bytes.len())];
        for (path, body) in all_of(cut) {
            let is_stored = STORED.iter().any(|(stored, text)| path == *stored && body == text.as_bytes());
            prop_assert!(is_stored, "{path}: {:?}", String::from_utf8_lossy(&body));
        }
        damage.iter().for_each(|damage| damage.apply(&mut bytes));
        all_of(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever has become of a journal, a run goes on from it or refuses it; pages that it gives were
    /// kept, and what is appended is there the next time.
    #[test]
    fn a_damaged_journal_goes_on_or_is_refused(
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
            kept: false,
            hold: None,
        };
        let journal = Journal::begin(path.clone(), Checksum::Crc32, &identity).unwrap();
        (0..pages).for_each(|number| journal.keep(&format!("/{number}"), &format!("http://here/{number}"), &page(number)));
        journal.leave();
        if pages > 0 {
            let mut bytes = fs::read(&path).unwrap();
            damage.iter().for_each(|damage| damage.apply(&mut bytes));
            fs::write(&path, bytes).unwrap();
        }
        let resume = || Journal::resume(path.clone(), Checksum::Crc32, &identity, Duration::from_secs(60));
        let Ok(journal) = resume() else { return Ok(()) };
        let meter = Meter::default();
        for number in 0..pages {
            if let Some(kept) = journal.take(&format!("/{number}"), &meter) {
                prop_assert_eq!(kept.body, page(number).body);
            }
            prop_assert!(journal.take(&format!("/{number}"), &meter).is_none(), "each page once");
        }
        journal.keep("/last", "http://here/last", &page(99));
        journal.leave();
        // Ending it has changed nothing before it.
        if let Ok(journal) = resume() {
            let last = journal.take("/last", &meter);
            prop_assert_eq!(last.map(|page| page.body), Some(page(99).body));
        }
    }
}
