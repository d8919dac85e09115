//! Recorded pages, written: WARC out. In is [`archive`](crate::archive).
//!
//! WARC 1.1, one gzip member a record in a compressed archive, with SHA-1 digests of block and
//! payload in base 32 as `warcio check` (PyPI) verifies them.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use data_encoding::BASE32;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use http::StatusCode;
use sha1::{Digest, Sha1};

use crate::output::{OutputError, Staged};
use crate::page::Page;

/// An archive being written: every page as it came.
#[derive(Debug)]
pub struct Recorder {
    recording: Mutex<Recording>,
}

#[derive(Debug)]
struct Recording {
    staged: Staged,
    /// None for an archive that is not compressed.
    members: Option<Members>,
    /// The first failure to write; the run goes on, and [`Recorder::finish`] tells.
    error: Option<io::Error>,
}

impl Recording {
    fn append(&mut self, record: &[u8], level: Compression) -> io::Result<()> {
        match &mut self.members {
            Some(members) => self.staged.file().write_all(members.member(record, level)?),
            None => self.staged.file().write_all(record),
        }
    }
}

impl Recorder {
    /// Starts an archive, compressed if its name ends in `.gz`. It appears under its name when it
    /// is [finished](Recorder::finish).
    pub fn create(target: &Path) -> Result<Self, OutputError> {
        let gzip = target
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
        let staged = Staged::new(target)?;
        let recording = Recording {
            staged,
            members: gzip.then(Members::new),
            error: None,
        };
        let recorder = Recorder {
            recording: Mutex::new(recording),
        };
        let about = format!(
            "software: indexrank/{}\r\nformat: WARC File Format 1.1\r\n",
            env!("CARGO_PKG_VERSION")
        );
        recorder.write(
            "warcinfo",
            "application/warc-fields",
            "",
            about.as_bytes(),
            Compression::fast(),
        );
        Ok(recorder)
    }

    /// Keeps an answer, as it came.
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
        let is_compressed = page.headers.contains_key("content-encoding");
        let level = if is_compressed {
            Compression::none()
        } else {
            Compression::fast()
        };
        self.write(
            "response",
            "application/http; msgtype=response",
            &fields,
            &block,
            level,
        );
    }

    fn write(
        &self,
        kind: &str,
        content_type: &str,
        fields: &str,
        block: &[u8],
        level: Compression,
    ) {
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
        let mut recording = self.recording.lock().expect("no panic holds the lock");
        if recording.error.is_none() {
            recording.error = recording.append(&record, level).err();
        }
    }

    /// Ends the archive and hands it over to be put in its place.
    pub fn finish(self) -> Result<Staged, io::Error> {
        let recording = self
            .recording
            .into_inner()
            .expect("no panic holds the lock");
        match recording.error {
            Some(error) => Err(error),
            None => Ok(recording.staged),
        }
    }
}

/// Gzip members made with one compressor: as many as there are fetchers would be 50 MB.
#[derive(Debug)]
struct Members {
    compressor: Compress,
    buffer: Vec<u8>,
}

impl Members {
    fn new() -> Self {
        // A body that came compressed is stored as it is: compressed again it only grows.
        Members {
            compressor: Compress::new(Compression::none(), false),
            buffer: Vec::new(),
        }
    }

    /// One whole gzip member (RFC 1952) of these bytes.
    fn member(&mut self, bytes: &[u8], level: Compression) -> io::Result<&[u8]> {
        const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        self.buffer.clear();
        self.buffer.extend_from_slice(&HEADER);
        self.compressor.reset();
        self.compressor.set_level(level)?;
        let mut status = Status::Ok;
        while status != Status::StreamEnd {
            self.buffer.reserve(bytes.len() + 1024);
            let read = self.compressor.total_in() as usize;
            status = self.compressor.compress_vec(
                &bytes[read..],
                &mut self.buffer,
                FlushCompress::Finish,
            )?;
        }
        let mut crc = Crc::new();
        crc.update(bytes);
        self.buffer.extend_from_slice(&crc.sum().to_le_bytes());
        self.buffer.extend_from_slice(&crc.amount().to_le_bytes());
        Ok(&self.buffer)
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha1:{}", BASE32.encode(&Sha1::digest(bytes)))
}
