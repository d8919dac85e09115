//! Writes WARC 1.1 archives, one gzip member per record
//! (<https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/>, annex D).

use std::fs::File;
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;

use crate::disk::output::{self, sync_folder};
use crate::http::page::Page;
use crate::warc::digest::{self, EACH_RECORD, RECORD_DIGEST};
use crate::warc::record::{REDIRECTED_TO, SECOND_LOOK};
use crate::warc::sync::SyncThread;

/// A power failure costs the pages of this time.
const SYNC_INTERVAL: Duration = Duration::from_secs(2);

/// An archive in progress. Every record is in the file before the next one begins, and on the disk
/// two seconds later.
#[derive(Debug)]
pub struct Writer {
    archive: Arc<Mutex<ArchiveFile>>,
    syncer: Arc<Syncer>,
    checksum: Checksum,
    sync_thread: SyncThread,
}

/// The digests in the header of each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// A CRC-32 of record and address, and the SHA-1 of block and payload that other tools expect in a
    /// recording.
    Sha1,
    /// Only the CRC-32. The two SHA-1 of a page of 45 KB take 50 µs more.
    Crc32,
}

/// A closed archive.
#[derive(Debug)]
pub struct Closed {
    /// Every record up to here is on the disk, in bytes. Later ones may be lost.
    pub synced: u64,
    /// The first failure to write or to sync.
    pub error: Option<io::Error>,
    /// The open file, which may be locked.
    pub file: Option<File>,
}

#[derive(Debug)]
struct ArchiveFile {
    file: File,
    /// Whether every record is a gzip member.
    gzip: bool,
    /// Where the last complete record ends, in bytes.
    end: u64,
    /// Number of responses.
    responses: u64,
    /// Every record up to here is on the disk.
    synced: u64,
    /// Whether the file has got a name that is not known to be on the disk.
    is_name_new: bool,
    /// The first failure to write or to sync. The run goes on without the archive; [`Writer::close`]
    /// returns it.
    error: Option<io::Error>,
    /// Whether a sync has failed. The next one may succeed without having written the same bytes.
    is_sync_broken: bool,
}

impl ArchiveFile {
    /// Writes a record from its parts, without copying them together.
    fn append(&mut self, parts: &[&[u8]], level: Compression) -> io::Result<()> {
        if self.gzip {
            let member = gzip_member(parts, level)?;
            self.file.write_all(&member)?;
            self.end += member.len() as u64;
            return Ok(());
        }
        let slices: Vec<IoSlice> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut written = self.file.write_vectored(&slices)?;
        for part in parts {
            let done = written.min(part.len());
            written -= done;
            self.file.write_all(&part[done..])?;
        }
        self.end += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        Ok(())
    }
}

/// Syncs an archive, from any thread.
#[derive(Debug)]
struct Syncer {
    archive: Arc<Mutex<ArchiveFile>>,
    /// A second descriptor of the file, so that no writer waits for the disk.
    file: File,
    folder: PathBuf,
}

impl Syncer {
    /// Syncs the records so far, and the name of the file if it has a new one. Does nothing if nothing
    /// has changed.
    fn run(&self) {
        let (end, is_name_new) = {
            let mut archive = self.archive.lock().expect("no panic under this lock");
            let is_unchanged = archive.synced == archive.end && !archive.is_name_new;
            if is_unchanged || archive.is_sync_broken {
                return;
            }
            (archive.end, mem::take(&mut archive.is_name_new))
        };
        let folder = if is_name_new {
            sync_folder(&self.folder)
        } else {
            Ok(())
        };
        let synced = folder.and_then(|()| self.file.sync_data());
        let mut archive = self.archive.lock().expect("no panic under this lock");
        match synced {
            Ok(()) => archive.synced = archive.synced.max(end),
            Err(error) => {
                archive.is_sync_broken = true;
                archive.error.get_or_insert(error);
            }
        }
    }
}

impl Writer {
    /// Begins an archive in an empty file. `path` says whether its records are compressed: if it ends in
    /// `.gz`. The first record consists of the fields in `about`.
    pub fn new(
        file: File,
        path: &Path,
        checksum: Checksum,
        about: &[(&'static str, String)],
    ) -> io::Result<Self> {
        let writer = Writer::append_to(file, path, checksum, 0)?;
        writer.describe(&[&[(EACH_RECORD, "crc32".to_owned())], about].concat());
        Ok(writer)
    }

    /// Appends a record that describes others: those after it, or all of a complete archive.
    pub fn describe(&self, about: &[(&'static str, String)]) {
        let mut fields = "format: WARC File Format 1.1\r\n".to_owned();
        for (name, value) in about {
            fields += &format!("{name}: {value}\r\n");
        }
        self.write(
            "warcinfo",
            "application/warc-fields",
            "",
            &[fields.as_bytes()],
            Compression::fast(),
        );
    }

    /// Appends to the archive at `path` after its first `end` bytes. Later bytes are cut off.
    pub fn append_to(
        mut file: File,
        path: &Path,
        checksum: Checksum,
        end: u64,
    ) -> io::Result<Self> {
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        let second = file.try_clone()?;
        let ending = path.extension();
        let gzip = ending.is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
        let archive = Arc::new(Mutex::new(ArchiveFile {
            file,
            gzip,
            end,
            responses: 0,
            synced: end,
            is_name_new: true,
            error: None,
            is_sync_broken: false,
        }));
        let syncer = Arc::new(Syncer {
            archive: Arc::clone(&archive),
            file: second,
            folder: output::parent(path).to_owned(),
        });
        let in_background = Arc::clone(&syncer);
        let sync_thread = SyncThread::start(SYNC_INTERVAL, move || in_background.run());
        Ok(Writer {
            archive,
            syncer,
            checksum,
            sync_thread: sync_thread?,
        })
    }

    /// Says that the file has been renamed within its folder. The next sync makes that durable.
    pub fn note_rename(&self) {
        let mut archive = self.archive.lock().expect("no panic under this lock");
        archive.is_name_new = true;
    }

    /// Appends a response as received. A failure is kept for [`Writer::failure`].
    pub fn append(&self, address: &str, page: &Page, is_second_look: bool) {
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
        if is_second_look {
            fields += &format!("{SECOND_LOOK}: yes\r\n");
        }
        if self.checksum == Checksum::Sha1 {
            fields += &format!("WARC-Payload-Digest: {}\r\n", digest::sha1(&[&page.body]));
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
        let mut head = format!(
            "WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}>\r\n\
             WARC-Date: {:.0}\r\n{fields}Content-Type: {content_type}\r\nContent-Length: {}\r\n",
            id >> 96,
            (id >> 80) & 0xffff,
            (id >> 64) & 0xfff,
            (id >> 48) & 0x3fff | 0x8000,
            id & 0xffff_ffff_ffff,
            jiff::Timestamp::now(),
            block.iter().map(|part| part.len()).sum::<usize>(),
        );
        if self.checksum == Checksum::Sha1 {
            head += &format!("WARC-Block-Digest: {}\r\n", digest::sha1(block));
        }
        let own = digest::of_record(head.as_bytes(), block);
        head += &format!("{RECORD_DIGEST}: {own}\r\n\r\n");
        let mut record = vec![head.as_bytes()];
        record.extend(block);
        record.push(b"\r\n\r\n");
        let mut archive = self.archive.lock().expect("no panic under this lock");
        if archive.error.is_none() {
            archive.error = archive.append(&record, level).err();
            archive.responses += u64::from(kind == "response");
        }
    }

    /// Number of responses that this writer has appended.
    pub fn responses(&self) -> u64 {
        let archive = self.archive.lock().expect("no panic under this lock");
        archive.responses
    }

    /// The first failure to write or to sync, if there was one.
    pub fn failure(&self) -> Option<String> {
        let archive = self.archive.lock().expect("no panic under this lock");
        archive.error.as_ref().map(io::Error::to_string)
    }

    /// Syncs the archive to the disk and closes it.
    pub fn close(self) -> Closed {
        drop(self.sync_thread);
        self.syncer.run();
        let mut archive = self.archive.lock().expect("no panic under this lock");
        Closed {
            synced: archive.synced,
            error: archive.error.take(),
            file: Arc::into_inner(self.syncer).map(|syncer| syncer.file),
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
