//! Downloads: bodies that are streamed to files as they come.
//!
//! A body goes to `unfinished-POSITION.part` in the folder at first. If it breaks off, a later attempt, also
//! of a resumed run, asks for the rest (`Range`), under the condition that the file on the server is still the
//! same (`If-Range`, RFC 9110, 13.1.5). A whole body gets its name by a link, which never replaces a file.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use http::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE,
};

use crate::disk::output::OutputError;
use crate::disk::same_file;
use crate::disk::staging::{Content, Hashing};
use crate::http::client::{BodySink, Head, broken_body};
use crate::http::error::{PageError, Reason};
use crate::http::page::Saved;
use crate::lists::file_name::numbered;
use crate::lists::journal::Part;
use crate::lists::message::Message;
use crate::lists::settings::Save;
use crate::telemetry::counters::Counters;

/// Bytes that are read, hashed and written at a time.
const BLOCK: usize = 128 << 10;
/// A download must bring this many bytes in each [`PERIOD`].
const MIN_BYTES: usize = 4 << 10;
const PERIOD: Duration = Duration::from_secs(30);

/// The folder of the bodies.
#[derive(Debug)]
pub struct Folder {
    save: Save,
    /// The parts that a request may continue, by position.
    parts: Mutex<HashMap<u64, Part>>,
    messages: Sender<Message>,
}

/// The download of one address.
#[derive(Debug)]
pub struct Download {
    folder: Arc<Folder>,
    position: u64,
}

/// What became of a finished part.
#[derive(Debug, PartialEq, Eq)]
pub enum Placed {
    Done,
    /// Another file has the name.
    NameIsTaken,
}

impl Folder {
    /// `parts` are those of an interrupted run.
    pub fn new(save: Save, parts: Vec<Part>, messages: Sender<Message>) -> Self {
        let parts = parts.into_iter().map(|part| (part.position, part));
        Folder {
            save,
            parts: Mutex::new(parts.collect()),
            messages,
        }
    }

    pub fn download(self: &Arc<Self>, position: u64) -> Download {
        Download {
            folder: self.clone(),
            position,
        }
    }

    fn parts(&self) -> MutexGuard<'_, HashMap<u64, Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The path of a body until it is whole.
pub fn part_path(folder: &Path, position: u64) -> PathBuf {
    folder.join(format!("unfinished-{position}.part"))
}

/// Removes the parts that an earlier run has left.
pub fn remove_parts(folder: &Path) -> Result<(), OutputError> {
    for entry in fs::read_dir(folder).map_err(OutputError::at(folder))? {
        let name = entry.map_err(OutputError::at(folder))?.file_name();
        let name = name.to_string_lossy();
        let position = name.strip_prefix("unfinished-");
        let position = position.and_then(|name| name.strip_suffix(".part"));
        let position = position.and_then(|name| name.parse().ok());
        let part = position.map(|position| part_path(folder, position));
        // Another spelling of a number, or a folder, is none of this program.
        let part = part.filter(|part| part.ends_with(&*name) && is_file(part));
        if let Some(part) = part {
            fs::remove_file(&part).map_err(OutputError::at(&part))?;
        }
    }
    Ok(())
}

fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|file| file.is_file())
}

/// A name in the folder that no file has, the given one if possible.
pub fn free_name(folder: &Path, name: &str, position: u64) -> String {
    let is_free = |name: &str| fs::symlink_metadata(folder.join(name)).is_err();
    if is_free(name) {
        return name.to_owned();
    }
    // The position tells it from others of this run; files of earlier runs may have that name too.
    let numbers = [position].into_iter().chain(2..);
    let mut names = numbers.map(|number| numbered(name, number));
    names.find(|name| is_free(name)).unwrap_or_default()
}

/// Gives a whole part its name, unless it has it already.
pub fn place(folder: &Path, position: u64, name: &str) -> Result<Placed, OutputError> {
    let (part, target) = (part_path(folder, position), folder.join(name));
    let placed = match fs::hard_link(&part, &target) {
        Ok(()) => fs::remove_file(&part),
        // A run that was killed has linked it.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && is_same(&part, &target) => {
            fs::remove_file(&part)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(Placed::NameIsTaken),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(error),
        // A file system without links.
        Err(_) if target.symlink_metadata().is_err() => fs::rename(&part, &target),
        Err(_) => return Ok(Placed::NameIsTaken),
    };
    placed
        .map(|()| Placed::Done)
        .map_err(OutputError::at(&target))
}

/// Whether two names are of one file.
fn is_same(part: &Path, target: &Path) -> bool {
    File::open(part).is_ok_and(|part| same_file::is_at(&part, target))
}

/// Whether a name in the folder is one that runs use until a file is whole.
pub fn is_unfinished(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.ends_with(".part") || name.ends_with(".indexrank")
}

impl Download {
    fn path(&self) -> PathBuf {
        part_path(&self.folder.save.folder, self.position)
    }

    /// The part that is there, and its length. Not what a link leads to: that file is another program's.
    fn part(&self) -> Option<(u64, Part)> {
        let part = self.folder.parts().get(&self.position).cloned()?;
        let file = self.path().symlink_metadata().ok()?;
        (file.is_file() && file.len() > 0).then_some((file.len(), part))
    }

    /// Forgets and removes the part.
    fn discard(&self) {
        self.folder.parts().remove(&self.position);
        // What cannot be removed is overwritten by the next attempt.
        let _ = fs::remove_file(self.path());
    }

    /// Opens the file for a response, and hashes what it has already. A whole body replaces what is there, the
    /// rest of one goes behind.
    fn open(&self, head: Head) -> Result<Hashing<File>, PageError> {
        if head.status == 206 {
            return self.open_rest(head);
        }
        let part = Part {
            position: self.position,
            validator: validator(head.headers),
            length: head.length,
        };
        self.folder.parts().insert(self.position, part.clone());
        // Removed first: the file could be a link that another program has put there.
        let _ = fs::remove_file(self.path());
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(self.path())
            .map_err(|error| self.unwritable(error))?;
        // Without a receiver, the run has ended.
        let _ = self.folder.messages.send(Message::Part(part));
        Ok(Hashing::new(file))
    }

    fn open_rest(&self, head: Head) -> Result<Hashing<File>, PageError> {
        let another = || {
            self.discard();
            let detail = "HTTP status 206, and not with the rest that is missing";
            PageError::new(Reason::Broken, detail)
        };
        let (length, part) = self.part().ok_or_else(another)?;
        let range = head.headers.get(CONTENT_RANGE);
        let range = range.and_then(|range| ContentRange::parse(range.to_str().ok()?));
        let range = range.ok_or_else(another)?;
        // A server that ignores If-Range may send the rest of another file.
        let found = validator(head.headers);
        let is_same = found.is_none() || found == part.validator;
        let has_same_length = part.length.is_none_or(|length| length == range.total);
        if range.start != length || !is_same || !has_same_length {
            return Err(another());
        }
        let hashed = || {
            let file = OpenOptions::new()
                .read(true)
                .append(true)
                .open(self.path())?;
            let mut hashing = Hashing::new(io::sink());
            io::copy(&mut (&file).take(length), &mut hashing)?;
            Ok(hashing.to(file))
        };
        hashed().map_err(|error| self.unwritable(error))
    }

    /// Reports that the disk does not take the body, which ends the run.
    fn unwritable(&self, error: io::Error) -> PageError {
        let error = OutputError::at(&self.path())(error);
        let detail = error.to_string();
        let _ = self.folder.messages.send(Message::Unwritable(error));
        PageError::new(Reason::Stopped, detail)
    }

    fn too_large(&self) -> PageError {
        self.discard();
        let limit = self.folder.save.max_size;
        let detail = format!("the body is larger than --max-size, {limit} bytes");
        PageError::new(Reason::TooLarge, detail)
    }
}

impl BodySink for Download {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        // A compressed body would have other bytes than the file.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some((length, part)) = self.part()
            && let Some(validator) = part.validator
            && let Ok(validator) = HeaderValue::from_str(&validator)
        {
            let range = format!("bytes={length}-");
            headers.insert(RANGE, HeaderValue::from_str(&range).expect("digits"));
            headers.insert(IF_RANGE, validator);
        }
        headers
    }

    fn receive(
        &self,
        head: Head,
        from: &mut dyn Read,
        counters: &Counters,
    ) -> Result<Option<Saved>, PageError> {
        if head.status == 416 {
            self.discard();
            let detail = "HTTP status 416: the server has no more than is there already";
            return Err(PageError::new(Reason::Broken, detail));
        }
        if !(200..300).contains(&head.status) {
            return Ok(None);
        }
        let mut body = self.open(head)?;
        let limit = self.folder.save.max_size;
        let announced = head.length.unwrap_or(0);
        if body.bytes().saturating_add(announced) > limit {
            return Err(self.too_large());
        }
        let range = head
            .headers
            .get(CONTENT_RANGE)
            .filter(|_| head.status == 206);
        let whole = range.and_then(|range| Some(ContentRange::parse(range.to_str().ok()?)?.total));
        let mut block = vec![0; BLOCK];
        let mut speed = MinimumSpeed::new();
        loop {
            let (filled, end) = fill(from, &mut block, &mut speed);
            counters.bytes_wire.add(filled as u64);
            body.write_all(&block[..filled])
                .map_err(|error| self.unwritable(error))?;
            if body.bytes() > limit {
                return Err(self.too_large());
            }
            match end {
                None => {}
                Some(Ok(())) => break,
                Some(Err(error)) => return Err(broken_body(error)),
            }
        }
        // A server may send less than the whole rest, and that is no error of HTTP.
        if let Some(whole) = whole.filter(|whole| *whole != body.bytes()) {
            if body.bytes() > whole {
                self.discard();
            }
            let detail = "the response is not the rest of the body as it states";
            return Err(PageError::new(Reason::Broken, detail));
        }
        self.folder.parts().remove(&self.position);
        let Content { bytes, sha256 } = body.content();
        Ok(Some(Saved { bytes, sha256 }))
    }
}

/// The value of `Content-Range` of a part with a known whole (RFC 9110, 14.4).
struct ContentRange {
    start: u64,
    total: u64,
}

impl ContentRange {
    /// Parses `bytes START-END/TOTAL`.
    fn parse(value: &str) -> Option<Self> {
        let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
        let start = range.split('-').next()?;
        Some(ContentRange {
            start: start.trim().parse().ok()?,
            total: total.trim().parse().ok()?,
        })
    }
}

/// Ends a download that hardly goes on: a byte now and then is no stall for the client.
struct MinimumSpeed {
    since: Instant,
    bytes: usize,
}

impl MinimumSpeed {
    fn new() -> Self {
        MinimumSpeed {
            since: Instant::now(),
            bytes: 0,
        }
    }

    /// Fails if fewer than [`MIN_BYTES`] have arrived in [`PERIOD`].
    fn add(&mut self, bytes: usize) -> io::Result<()> {
        self.bytes += bytes;
        if self.since.elapsed() < PERIOD {
            return Ok(());
        }
        let is_slow = self.bytes < MIN_BYTES;
        *self = MinimumSpeed::new();
        if is_slow {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

/// Fills a block, because a read returns what one receive from the network has brought, 32 KB at most, and
/// each write is a system call. Returns the number of bytes, and how the body has ended if it has.
fn fill(
    from: &mut dyn Read,
    block: &mut [u8],
    speed: &mut MinimumSpeed,
) -> (usize, Option<io::Result<()>>) {
    let mut filled = 0;
    while filled < block.len() {
        match from.read(&mut block[filled..]) {
            Ok(0) => return (filled, Some(Ok(()))),
            Ok(read) => {
                filled += read;
                if let Err(error) = speed.add(read) {
                    return (filled, Some(Err(error)));
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(Err(error))),
        }
    }
    (filled, None)
}

/// What tells this version of a file from others: a strong `ETag`, otherwise `Last-Modified`.
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let strong = text(ETAG).filter(|etag| etag.starts_with('"'));
    strong.or_else(|| text(LAST_MODIFIED)).map(str::to_owned)
}
