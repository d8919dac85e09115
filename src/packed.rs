//! Many values in little memory: encoded one behind the other, beyond some thousand on disk, and
//! decoded again one by one.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::iter;
use std::marker::PhantomData;

use itertools::Itertools;
use positioned_io::{Cursor, ReadAt, WriteAt};
use serde::de::DeserializeOwned;
use serde::ser::Serialize;

/// Bytes that are kept in memory, a little less than a power of two, by which vectors grow. A company
/// takes some 90, so 1,400 of them are kept.
const IN_MEMORY: usize = 127 << 10;
/// Values that are in memory as they are, at 300 bytes a company, while they are sorted.
const SORTED_AT_ONCE: usize = 2_000;
/// Bytes of a value's length.
const LENGTH: usize = 4;

/// Values in [postcard](https://postcard.jamesmunns.com)'s encoding, each behind its length.
///
/// What is not kept in memory is in files of the folder for temporary ones (`TMPDIR`), which have no
/// name and so are gone with the process. If they cannot be written, memory takes it all.
#[derive(Debug)]
pub struct Packed<T> {
    parts: Vec<Part>,
    len: usize,
    of: PhantomData<fn() -> T>,
}

/// Encoded values, the first of them in a file.
#[derive(Debug)]
struct Part {
    file: Option<File>,
    /// How much of the file counts.
    in_file: u64,
    rest: Vec<u8>,
    /// How long the rest may be.
    limit: usize,
}

impl<T> Packed<T> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes over the values of another one, behind its own.
    pub fn append(&mut self, other: Packed<T>) {
        self.parts.extend(other.parts);
        self.len += other.len;
    }
}

impl<T: Serialize> Packed<T> {
    pub fn push(&mut self, value: &T) {
        if self.parts.is_empty() {
            self.parts.push(Part::default());
        }
        if let Some(last) = self.parts.last_mut() {
            put(value, &mut last.rest);
            last.put_aside();
        }
        self.len += 1;
    }
}

impl<T: DeserializeOwned> Packed<T> {
    /// The values one after the other.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.parts.iter().flat_map(|part| {
            let Part {
                file,
                in_file,
                rest,
                ..
            } = part;
            all(file.as_ref(), *in_file, &rest[..])
        })
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Packed<T> {
    /// The values in their order, equal ones in any.
    ///
    /// An external merge sort: so many at once are sorted in memory and put aside, and then the
    /// smallest is taken that comes next in any of these runs.
    pub fn sorted_by(&self, compare: impl Fn(&T, &T) -> Ordering) -> impl Iterator<Item = T> {
        let mut runs: Vec<Box<dyn Iterator<Item = T>>> = Vec::new();
        for run in &self.iter().chunks(SORTED_AT_ONCE) {
            let mut run = run.collect_vec();
            run.sort_unstable_by(&compare);
            if run.len() == SORTED_AT_ONCE {
                let Part {
                    file,
                    in_file,
                    rest,
                    ..
                } = Part::aside(&run);
                runs.push(Box::new(all(file, in_file, io::Cursor::new(rest))));
            } else {
                runs.push(Box::new(run.into_iter()));
            }
        }
        runs.into_iter()
            .kmerge_by(move |a, b| compare(a, b).is_lt())
    }
}

impl Part {
    /// All values that can be in a file, in one.
    fn aside<T: Serialize>(values: &[T]) -> Self {
        let mut part = Part {
            limit: 0,
            ..Part::default()
        };
        for value in values {
            put(value, &mut part.rest);
        }
        part.put_aside();
        part.rest.shrink_to_fit();
        part
    }

    /// Moves the rest to the file, if it is long.
    fn put_aside(&mut self) {
        if self.rest.len() <= self.limit {
            return;
        }
        match self.write_rest() {
            Ok(()) => {
                self.in_file += self.rest.len() as u64;
                self.rest.clear();
            }
            // What is there is not lost, and a full disk not tried again too soon.
            Err(_) => self.limit *= 2,
        }
    }

    fn write_rest(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.write_all_at(self.in_file, &self.rest)
    }
}

impl Default for Part {
    fn default() -> Self {
        Part {
            file: None,
            in_file: 0,
            rest: Vec::new(),
            limit: IN_MEMORY,
        }
    }
}

impl<T> Default for Packed<T> {
    fn default() -> Self {
        Packed {
            parts: Vec::new(),
            len: 0,
            of: PhantomData,
        }
    }
}

impl<T: Serialize> FromIterator<T> for Packed<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut packed = Packed::default();
        values.into_iter().for_each(|value| packed.push(&value));
        packed
    }
}

fn put<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.extend([0; LENGTH]);
    postcard::to_io(value, &mut *bytes).expect("memory takes everything");
    let length = (bytes.len() - start - LENGTH) as u32;
    bytes[start..start + LENGTH].copy_from_slice(&length.to_le_bytes());
}

/// The values of a file, then those of what is in memory.
fn all<T: DeserializeOwned>(
    file: Option<impl ReadAt>,
    in_file: u64,
    rest: impl Read,
) -> impl Iterator<Item = T> {
    let file = file.map(|file| BufReader::new(Cursor::new(file).take(in_file)));
    file.map(values).into_iter().flatten().chain(values(rest))
}

fn values<T: DeserializeOwned>(mut reader: impl Read) -> impl Iterator<Item = T> {
    let mut next = move || {
        let mut length = [0; LENGTH];
        match reader.read_exact(&mut length) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        reader.read_exact(&mut bytes)?;
        Ok(Some(postcard::from_bytes(&bytes).expect("a value of ours")))
    };
    iter::from_fn(move || {
        // A disk that does not give back what it took a moment ago: then there is no right answer.
        next().unwrap_or_else(|error: io::Error| panic!("temporary file of ours: {error}"))
    })
}
