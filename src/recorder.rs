//! Recorded pages, written: WARC out. In is [`archive`](crate::archive).
//!
//! WARC 1.1, one gzip member a record in a compressed archive, with SHA-1 digests of block and
//! payload in base 32 as `warcio check` (PyPI) verifies them.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use data_encoding::BASE32;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use sha1::{Digest, Sha1};

use crate::output::{OutputError, Staged};
use crate::page::Page;

/// An archive being written: every page as it came.
#[derive(Debug)]
pub struct Recorder {
    gzip: bool,
    file: Mutex<Recording>,
}

#[derive(Debug)]
struct Recording {
    staged: Staged,
    /// The first failure to write; the run goes on, and [`Recorder::finish`] tells.
    error: Option<io::Error>,
}

impl Recorder {
    /// Starts an archive, compressed if its name ends in `.gz`. It appears under its name when it
    /// is [finished](Recorder::finish).
    pub fn create(target: &Path) -> Result<Self, OutputError> {
        let gzip = target
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
        let staged = Staged::new(target)?;
        let recorder = Recorder {
            gzip,
            file: Mutex::new(Recording {
                staged,
                error: None,
            }),
        };
        let about = format!(
            "software: indexrank/{}\r\nformat: WARC File Format 1.1\r\n",
            env!("CARGO_PKG_VERSION")
        );
        recorder.write("warcinfo", "application/warc-fields", "", about.as_bytes());
        Ok(recorder)
    }

    /// Keeps an answer. Everything but the write itself happens outside the lock.
    pub fn keep(&self, address: &str, page: &Page) {
        let reason = StatusCode::from_u16(page.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("");
        let mut block = format!("HTTP/1.1 {} {reason}\r\n", page.status).into_bytes();
        for (name, value) in &page.headers {
            // The body is stored with its chunks joined, so its length is told anew.
            if name != "transfer-encoding" && name != "content-length" {
                block.extend_from_slice(name.as_str().as_bytes());
                block.extend_from_slice(b": ");
                block.extend_from_slice(value.as_bytes());
                block.extend_from_slice(b"\r\n");
            }
        }
        block.extend_from_slice(format!("Content-Length: {}\r\n\r\n", page.body.len()).as_bytes());
        block.extend_from_slice(&page.body);
        let fields = format!(
            "WARC-Target-URI: {address}\r\nWARC-Payload-Digest: {}\r\n",
            digest(&page.body)
        );
        self.write(
            "response",
            "application/http; msgtype=response",
            &fields,
            &block,
        );
    }

    fn write(&self, kind: &str, content_type: &str, fields: &str, block: &[u8]) {
        let id = fastrand::u128(..);
        let head = format!(
            "WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}>\r\n\
             WARC-Date: {:.0}\r\n{fields}WARC-Block-Digest: {}\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\n\r\n",
            id >> 96,
            (id >> 80) & 0xffff,
            (id >> 64) & 0xfff,
            (id >> 48) & 0x3fff | 0x8000,
            id & 0xffff_ffff_ffff,
            jiff::Timestamp::now(),
            digest(block),
            block.len(),
        );
        let record = [head.as_bytes(), block, b"\r\n\r\n"].concat();
        let stored = if self.gzip {
            // Bodies are compressed already; a higher level only takes longer.
            let mut encoder = GzEncoder::new(Vec::with_capacity(record.len()), Compression::fast());
            encoder
                .write_all(&record)
                .and_then(|()| encoder.finish())
                .expect("writing to memory")
        } else {
            record
        };
        let mut file = self.file.lock().expect("no panic holds the lock");
        if file.error.is_none() {
            file.error = file.staged.file().write_all(&stored).err();
        }
    }

    /// Ends the archive and hands it over to be put in its place.
    pub fn finish(self) -> Result<Staged, io::Error> {
        let recording = self.file.into_inner().expect("no panic holds the lock");
        match recording.error {
            Some(error) => Err(error),
            None => Ok(recording.staged),
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha1:{}", BASE32.encode(&Sha1::digest(bytes)))
}
