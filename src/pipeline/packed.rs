//! Lists of many values in little memory: encoded one after the other, on disk beyond some thousand
//! values, and decoded one by one.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::iter;
use std::marker::PhantomData;

use itertools::Itertools;
use positioned_io::{Cursor, WriteAt};
use serde::de::DeserializeOwned;
use serde::ser::Serialize;

/// Encoded bytes kept in memory before they are written to disk. A company takes about 90 bytes, so
/// this is about 1,100 companies.
const MEMORY_LIMIT: usize = 100 << 10;
/// Values in a sorted run. While a run is sorted, its values are decoded, at about 300 bytes a
/// company.
const RUN_LENGTH: usize = 2_000;
/// Bytes of the length before each encoded value.
const LENGTH_SIZE: usize = 4;

/// Values in [postcard](https://postcard.jamesmunns.com) encoding, each after its length.
///
/// Bytes over the memory limit are in unnamed files in the directory for temporary files (`TMPDIR`).
/// The operating system removes these files with the process. If they cannot be written, all values
/// stay in memory, and sorting takes twice that memory.
#[derive(Debug)]
pub struct Packed<T> {
    parts: Vec<Part>,
    len: usize,
    values: PhantomData<fn() -> T>,
}

/// Encoded values: first those in the file, then those in memory.
#[derive(Debug)]
struct Part {
    file: Option<File>,
    /// Valid bytes of the file. A failed write may have left more.
    in_file: u64,
    in_memory: Vec<u8>,
    /// The values in memory are written to the file when they take more bytes than this.
    memory_limit: usize,
}

impl<T> Packed<T> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Moves the values of another list to the end of this one.
    pub fn append(&mut self, other: Packed<T>) {
        self.len += other.len;
        for part in other.parts {
            match self.parts.last_mut() {
                // Some lists have a single value, so their bytes join the last part.
                Some(last) if part.file.is_none() => {
                    last.in_memory.extend_from_slice(&part.in_memory);
                    last.spill_over_limit();
                }
                _ => self.parts.push(part),
            }
        }
    }
}

impl<T: Serialize> Packed<T> {
    pub fn push(&mut self, value: &T) {
        if self.parts.is_empty() {
            self.parts.push(Part::default());
        }
        if let Some(last) = self.parts.last_mut() {
            encode(value, &mut last.in_memory);
            last.spill_over_limit();
        }
        self.len += 1;
    }
}

impl<T: DeserializeOwned> Packed<T> {
    /// Decodes the values in order.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.parts.iter().flat_map(Part::values)
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Packed<T> {
    /// The values in sorted order. The order of equal values is unspecified.
    ///
    /// This is an external merge sort: runs of `RUN_LENGTH` values are sorted in memory and spilled
    /// to disk, then merged.
    pub fn sorted_by(self, compare: impl Fn(&T, &T) -> Ordering) -> impl Iterator<Item = T> {
        let mut runs: Vec<Box<dyn Iterator<Item = T>>> = Vec::new();
        let values = self.parts.into_iter().flat_map(Part::into_values);
        for run in &values.chunks(RUN_LENGTH) {
            let mut run = run.collect_vec();
            run.sort_unstable_by(&compare);
            if run.len() == RUN_LENGTH {
                runs.push(Box::new(Part::spilled(&run).into_values()));
            } else {
                runs.push(Box::new(run.into_iter()));
            }
        }
        itertools::kmerge_by(runs, move |a: &T, b: &T| compare(a, b).is_lt())
    }
}

impl Part {
    /// Encodes values into a file, or into memory if the file cannot be written.
    fn spilled<T: Serialize>(values: &[T]) -> Self {
        let mut part = Part {
            memory_limit: 0,
            ..Part::default()
        };
        for value in values {
            encode(value, &mut part.in_memory);
        }
        part.spill_over_limit();
        // Frees the whole buffer if its values are in the file.
        part.in_memory.shrink_to_fit();
        part
    }

    fn values<T: DeserializeOwned>(&self) -> impl Iterator<Item = T> {
        let file = self.file.as_ref().map(Cursor::new);
        let in_memory = decode(&self.in_memory[..], self.in_memory.len() as u64);
        decode_file(file, self.in_file).chain(in_memory)
    }

    fn into_values<T: DeserializeOwned>(self) -> impl Iterator<Item = T> {
        let file = self.file.map(Cursor::new);
        let length = self.in_memory.len() as u64;
        let in_memory = decode(io::Cursor::new(self.in_memory), length);
        decode_file(file, self.in_file).chain(in_memory)
    }

    /// Moves the values in memory to the file, if they are over the limit.
    fn spill_over_limit(&mut self) {
        if self.in_memory.len() <= self.memory_limit {
            return;
        }
        match self.append_to_file() {
            Ok(()) => {
                self.in_file += self.in_memory.len() as u64;
                self.in_memory.clear();
            }
            // The values stay in memory. The doubled limit delays the next attempt on a full disk.
            Err(_) => self.memory_limit *= 2,
        }
    }

    /// Writes the values in memory after the valid bytes of the file, which is created if necessary.
    fn append_to_file(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.write_all_at(self.in_file, &self.in_memory)
    }
}

impl Default for Part {
    fn default() -> Self {
        Part {
            file: None,
            in_file: 0,
            in_memory: Vec::new(),
            memory_limit: MEMORY_LIMIT,
        }
    }
}

impl<T> Default for Packed<T> {
    fn default() -> Self {
        Packed {
            parts: Vec::new(),
            len: 0,
            values: PhantomData,
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

/// Appends the length and the encoding of a value.
fn encode<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.extend([0; LENGTH_SIZE]);
    postcard::to_io(value, &mut *bytes).expect("writing to memory does not fail");
    let length = (bytes.len() - start - LENGTH_SIZE) as u32;
    bytes[start..start + LENGTH_SIZE].copy_from_slice(&length.to_le_bytes());
}

/// Decodes the values in the first `length` bytes of a file.
fn decode_file<T: DeserializeOwned>(
    file: Option<impl Read>,
    length: u64,
) -> impl Iterator<Item = T> {
    let values = file.map(|file| decode(BufReader::new(file), length));
    values.into_iter().flatten()
}

/// Decodes the values in the next `length` bytes of a reader.
///
/// Panics if a temporary file cannot be read back. Values are lost then, and no result would be right.
fn decode<T: DeserializeOwned>(mut from: impl Read, length: u64) -> impl Iterator<Item = T> {
    let mut left = length;
    let mut next = move || -> io::Result<Option<T>> {
        if left == 0 {
            return Ok(None);
        }
        let mut length = [0; LENGTH_SIZE];
        from.read_exact(&mut length)?;
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        from.read_exact(&mut bytes)?;
        left -= (LENGTH_SIZE + bytes.len()) as u64;
        Ok(Some(
            postcard::from_bytes(&bytes).expect("this program encoded the value"),
        ))
    };
    iter::from_fn(move || {
        next().unwrap_or_else(|error| panic!("cannot read back a temporary file: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four values with their lengths are just over the memory limit.
    fn value(number: u8) -> String {
        char::from(b'a' + number)
            .to_string()
            .repeat(MEMORY_LIMIT / 4)
    }

    #[test]
    fn spills_values_over_the_memory_limit() {
        let packed: Packed<String> = (0..9).map(value).collect();
        let part = &packed.parts[0];
        assert_eq!(part.in_file, 8 * part.in_memory.len() as u64);
        assert!(packed.iter().eq((0..9).map(value)));

        let spilled = Part::spilled(&[value(0)]);
        assert_eq!(spilled.in_file, part.in_memory.len() as u64);
        assert_eq!(spilled.in_memory.capacity(), 0);
    }

    /// A failed write leaves bytes in the file that do not count, and loses no value.
    #[test]
    fn keeps_all_values_while_the_disk_is_full() {
        let mut packed: Packed<String> = (0..5).map(value).collect();
        let read_only = File::open("/dev/null").unwrap();
        let mut file = packed.parts[0].file.replace(read_only).unwrap();
        let in_file = packed.parts[0].in_file;
        (5..12).for_each(|number| packed.push(&value(number)));
        assert_eq!(packed.parts[0].in_file, in_file);

        file.write_all_at(in_file, b"half a value").unwrap();
        packed.parts[0].file = Some(file);
        assert!(packed.iter().eq((0..12).map(value)));
        (12..20).for_each(|number| packed.push(&value(number)));
        assert!(packed.parts[0].in_file > in_file);
        assert!(packed.iter().eq((0..20).map(value)));
        let descending = packed.sorted_by(|a, b| b.cmp(a));
        assert!(descending.eq((0..20).rev().map(value)));
    }

    #[test]
    #[should_panic = "cannot read back a temporary file"]
    fn panics_when_the_temporary_file_is_truncated() {
        let packed: Packed<String> = (0..5).map(value).collect();
        let file = packed.parts[0].file.as_ref().unwrap();
        file.set_len(packed.parts[0].in_file / 2).unwrap();
        packed.iter().for_each(drop);
    }

    #[test]
    fn appended_single_values_share_one_part() {
        let mut packed = Packed::default();
        (0..100_u8).for_each(|number| packed.append([number].into_iter().collect()));
        assert_eq!((packed.parts.len(), packed.len()), (1, 100));
        assert!(packed.iter().eq(0..100));
    }
}
