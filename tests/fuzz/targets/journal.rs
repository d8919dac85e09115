//! Resumes from arbitrary bytes as a journal, unless it is rejected. The next run must find a page
//! that was kept after resuming.
#![no_main]

use std::fs;
use std::time::Duration;

use indexrank::http::page::Page;
use indexrank::warc::journal::{Identity, Journal, Keep};
use indexrank::warc::writer::Checksum;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("create a temporary folder");
    let path = folder.path().join("unfinished.warc");
    fs::write(&path, bytes).expect("write the input");
    let identity = Identity(Vec::new());
    let age = Duration::from_secs(60);
    let resume = || Journal::resume(path.clone(), Checksum::Crc32, &identity, age);
    let Ok(journal) = resume() else { return };
    let page = Page {
        status: 200,
        headers: http::HeaderMap::new(),
        body: b"kept".to_vec(),
        waited: Duration::ZERO,
        elapsed: Duration::ZERO,
        asked: String::new(),
        reached: None,
        from_journal: false,
        not_followed: None,
        large: None,
        saved: None,
    };
    journal.keep("http://here/the-last", &page, Keep::ForResume);
    journal.close_for_resume();
    let journal = resume().expect("resume the journal a second time");
    let last = journal.take("/the-last");
    assert_eq!(last.expect("find the page that was kept").body, b"kept");
});
