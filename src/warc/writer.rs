//! Writes WARC 1.1 archives, one gzip member per record
//! (<https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/>, annex D).

use std::fs::File;
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::sync::Mutex;

use data_encoding::BASE32;
use flate2::write::GzEncoder;
use flate2::{Compression, Crc};
use http::StatusCode;
use sha1::{Digest, Sha1};

use crate::http::page::Page;
use crate::warc::record::REDIRECTED_TO;

/// An archive in progress. Every record is in the file before the next one begins.
#[derive(Debug)]
pub struct Writer {
    archive: Mutex<ArchiveFile>,
    checksum: Checksum,
}

/// The digest in the header of each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-1 of block and payload in base 32, as other tools expect it in a recording. `warcio check`
    /// (PyPI) verifies both.
    Sha1,
    /// CRC-32 of the block, to detect damage in a journal after a power failure. A gzipped body has a
    /// CRC-32 of its own, so its record gets none.
    Crc32,
}

#[derive(Debug)]
struct ArchiveFile {
    file: File,
    /// Whether every record is a gzip member.
    gzip: bool,
    /// The first failure to write. The run goes on without the archive; [`Writer::finish`] returns it.
    error: Option<io::Error>,
}

impl ArchiveFile {
    /// Writes a record from its parts, without copying them together.
    fn append(&mut self, parts: &[&[u8]], level: Compression) -> io::Result<()> {
        if self.gzip {
            return self.file.write_all(&gzip_member(parts, level)?);
        }
        let slices: Vec<IoSlice> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut written = self.file.write_vectored(&slices)?;
        for part in parts {
            let done = written.min(part.len());
            written -= done;
            self.file.write_all(&part[done..])?;
        }
        Ok(())
    }
}

impl Writer {
    /// Begins an archive in an empty file. With `gzip`, every record is compressed. The first record
    /// consists of the fields in `about`.
    pub fn new(
        file: File,
        gzip: bool,
        checksum: Checksum,
        about: &[(&'static str, String)],
    ) -> Self {
        let writer = Writer::of(file, gzip, checksum);
        let mut fields = "format: WARC File Format 1.1\r\n".to_owned();
        for (name, value) in about {
            fields += &format!("{name}: {value}\r\n");
        }
        writer.write(
            "warcinfo",
            "application/warc-fields",
            "",
            &[fields.as_bytes()],
            Compression::fast(),
        );
        writer
    }

    /// Appends to an archive after its first `end` bytes. Later bytes are cut off.
    pub fn append_to(mut file: File, gzip: bool, checksum: Checksum, end: u64) -> io::Result<Self> {
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        Ok(Writer::of(file, gzip, checksum))
    }

    fn of(file: File, gzip: bool, checksum: Checksum) -> Self {
        let archive = ArchiveFile {
            file,
            gzip,
            error: None,
        };
        Writer {
            archive: Mutex::new(archive),
            checksum,
        }
    }

    /// Appends a response as received. A failure is kept for [`Writer::failure`].
    pub fn append(&self, address: &str, page: &Page) {
        let reason = StatusCode::from_u16(page.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("");
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", page.status).into_bytes();
        for (name, value) in &page.headers {
            // The body is stored with its chunks joined, so it gets a Content-Length of its own.
            if name != "transfer-encoding" && name != "content-length" {
                head.extend_from_slice(name.as_str().as_bytes());
                head.extend_from_slice(b": ");
                head.extend_from_slice(value.as_bytes());
                head.extend_from_slice(b"\r\n");
            }
        }
        head.extend_from_slice(format!("Content-Length: {}\r\n\r\n", page.body.len()).as_bytes());
        let mut fields = format!("WARC-Target-URI: {address}\r\n");
        if let Some(reached) = &page.reached {
            fields += &format!("{REDIRECTED_TO}: {reached}\r\n");
        }
        if self.checksum == Checksum::Sha1 {
            fields += &format!("WARC-Payload-Digest: {}\r\n", sha1(&[&page.body]));
        }
        // A compressed body would grow if it was compressed again, so it is stored.
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
            &[&head, &page.body],
            level,
        );
    }

    fn write(
        &self,
        kind: &str,
        content_type: &str,
        fields: &str,
        block: &[&[u8]],
        level: Compression,
    ) {
        let id = fastrand::u128(..);
        let head = format!(
            "WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}>\r\n\
             WARC-Date: {:.0}\r\n{fields}{}Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            id >> 96,
            (id >> 80) & 0xffff,
            (id >> 64) & 0xfff,
            (id >> 48) & 0x3fff | 0x8000,
            id & 0xffff_ffff_ffff,
            jiff::Timestamp::now(),
            match self.checksum {
                Checksum::Sha1 => format!("WARC-Block-Digest: {}\r\n", sha1(block)),
                Checksum::Crc32 if level == Compression::none() => String::new(),
                Checksum::Crc32 => format!("WARC-Block-Digest: {}\r\n", crc32(block)),
            },
            block.iter().map(|part| part.len()).sum::<usize>(),
        );
        let mut record = vec![head.as_bytes()];
        record.extend(block);
        record.push(b"\r\n\r\n");
        let mut archive = self.archive.lock().expect("no panic under this lock");
        if archive.error.is_none() {
            archive.error = archive.append(&record, level).err();
        }
    }

    /// The first failure to write, if there was one.
    pub fn failure(&self) -> Option<String> {
        let archive = self.archive.lock().expect("no panic under this lock");
        archive.error.as_ref().map(io::Error::to_string)
    }

    /// Syncs the archive to the disk and returns its file, which may hold a lock, or the first failure to
    /// write.
    pub fn finish(self) -> io::Result<File> {
        let archive = self.archive.into_inner().expect("no panic under this lock");
        match archive.error {
            Some(error) => Err(error),
            None => archive.file.sync_data().map(|()| archive.file),
        }
    }
}

/// Compresses the concatenated parts into one gzip member (RFC 1952). The caller holds the lock of the
/// archive, so there is one compressor at a time: one for each of 128 fetchers would take 50 MB.
fn gzip_member(parts: &[&[u8]], level: Compression) -> io::Result<Vec<u8>> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut member = GzEncoder::new(Vec::with_capacity(length), level);
    for part in parts {
        member.write_all(part)?;
    }
    member.finish()
}

/// The `WARC-Block-Digest` of a journal's record.
pub fn crc32(parts: &[&[u8]]) -> String {
    let mut crc = Crc::new();
    parts.iter().for_each(|part| crc.update(part));
    format!("crc32:{:08x}", crc.sum())
}

fn sha1(parts: &[&[u8]]) -> String {
    let mut sha1 = Sha1::new();
    parts.iter().for_each(|part| sha1.update(part));
    format!("sha1:{}", BASE32.encode(&sha1.finalize()))
}
