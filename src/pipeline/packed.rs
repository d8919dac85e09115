//! Many values in little memory: encoded one behind the other, beyond some thousand on disk, and
//! decoded again one by one.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::iter;
use std::marker::PhantomData;

use itertools::Itertools;
use positioned_io::{Cursor, WriteAt};
use serde::de::DeserializeOwned;
use serde::ser::Serialize;

/// Bytes that are kept in memory. A company takes some 90, so 1,100 of them are.
const IN_MEMORY: usize = 100 << 10;
/// Values that are in memory as they are, at 300 bytes a company, while they are sorted.
const SORTED_AT_ONCE: usize = 2_000;
/// Bytes of a value's length.
const LENGTH: usize = 4;

/// Values in [postcard](https://postcard.jamesmunns.com)'s encoding, each behind its length.
///
/// What is not kept in memory is in files of the folder for temporary ones (`TMPDIR`), which have no
/// name and so are gone with the process. If they cannot be written, memory takes it all, twice while
/// it is sorted.
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
        self.len += other.len;
        for part in other.parts {
            match self.parts.last_mut() {
                // Some bring home one value at a time.
                Some(last) if part.file.is_none() => {
                    last.rest.extend_from_slice(&part.rest);
                    last.put_aside();
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
            put(value, &mut last.rest);
            last.put_aside();
        }
        self.len += 1;
    }
}

impl<T: DeserializeOwned> Packed<T> {
    /// The values one after the other.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.parts.iter().flat_map(Part::values)
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Packed<T> {
    /// The values in their order, equal ones in any.
    ///
    /// An external merge sort: so many at once are sorted in memory and put aside, and then the
    /// smallest is taken that comes next in any of these runs.
    pub fn sorted_by(self, compare: impl Fn(&T, &T) -> Ordering) -> impl Iterator<Item = T> {
        let mut runs: Vec<Box<dyn Iterator<Item = T>>> = Vec::new();
        let values = self.parts.into_iter().flat_map(Part::into_values);
        for run in &values.chunks(SORTED_AT_ONCE) {
            let mut run = run.collect_vec();
            run.sort_unstable_by(&compare);
            if run.len() == SORTED_AT_ONCE {
                runs.push(Box::new(Part::aside(&run).into_values()));
            } else {
                runs.push(Box::new(run.into_iter()));
            }
        }
        { runs.into_iter() }.kmerge_by(move |a, b| compare(a, b).is_lt())
    }
}

impl Part {
    /// Values in a file, if they can be.
    fn aside<T: Serialize>(values: &[T]) -> Self {
        let mut part = Part {
            limit: 0,
            ..Part::default()
        };
        for value in values {
            put(value, &mut part.rest);
        }
        part.put_aside();
        // To nothing, if they are in the file.
        part.rest.shrink_to_fit();
        part
    }

    fn values<T: DeserializeOwned>(&self) -> impl Iterator<Item = T> {
        let file = self.file.as_ref().map(Cursor::new);
        read_all(file, self.in_file, &self.rest[..], self.rest.len())
    }

    fn into_values<T: DeserializeOwned>(self) -> impl Iterator<Item = T> {
        let file = self.file.map(Cursor::new);
        let in_rest = self.rest.len();
        read_all(file, self.in_file, io::Cursor::new(self.rest), in_rest)
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

/// The values in so many bytes of a file, then those in memory.
fn read_all<T: DeserializeOwned>(
    file: Option<impl Read>,
    in_file: u64,
    rest: impl Read,
    in_rest: usize,
) -> impl Iterator<Item = T> {
    let file = file.map(|file| read(BufReader::new(file), in_file));
    file.into_iter().flatten().chain(read(rest, in_rest as u64))
}

fn read<T: DeserializeOwned>(mut from: impl Read, mut left: u64) -> impl Iterator<Item = T> {
    let mut next = move || -> io::Result<Option<T>> {
        if left == 0 {
            return Ok(None);
        }
        let mut length = [0; LENGTH];
        from.read_exact(&mut length)?;
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        from.read_exact(&mut bytes)?;
        left -= (LENGTH + bytes.len()) as u64;
        Ok(Some(postcard::from_bytes(&bytes).expect("a value of ours")))
    };
    // A disk that does not give back what it took a moment ago: then there is no right answer.
    iter::from_fn(move || next().unwrap_or_else(|error| panic!("temporary file of ours: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With its length, four of them are more than is kept in memory.
    fn value(number: u8) -> String {
        char::from(b'a' + number).to_string().repeat(IN_MEMORY / 4)
    }

    #[test]
    fn what_is_long_is_put_aside() {
        let packed: Packed<String> = (0..9).map(value).collect();
        let part = &packed.parts[0];
        assert_eq!(part.in_file, 8 * part.rest.len() as u64);
        assert!(packed.iter().eq((0..9).map(value)));

        let aside = Part::aside(&[value(0)]);
        assert_eq!(aside.in_file, part.rest.len() as u64);
        assert_eq!(aside.rest.capacity(), 0);
    }

    /// What a full disk has taken does not count, and nothing is lost.
    #[test]
    fn a_disk_that_is_full_for_a_while() {
        let mut packed: Packed<String> = (0..5).map(value).collect();
        let full = File::open("/dev/null").unwrap();
        let mut file = packed.parts[0].file.replace(full).unwrap();
        let in_file = packed.parts[0].in_file;
        (5..12).for_each(|number| packed.push(&value(number)));
        assert_eq!(packed.parts[0].in_file, in_file);

        file.write_all_at(in_file, b"half a value").unwrap();
        packed.parts[0].file = Some(file);
        assert!(packed.iter().eq((0..12).map(value)));
        (12..20).for_each(|number| packed.push(&value(number)));
        assert!(packed.parts[0].in_file > in_file);
        assert!(packed.iter().eq((0..20).map(value)));
        assert!({ packed.sorted_by(|a, b| b.cmp(a)) }.eq((0..20).rev().map(value)));
    }

    #[test]
    #[should_panic = "temporary file of ours"]
    fn a_file_that_ends_too_early() {
        let packed: Packed<String> = (0..5).map(value).collect();
        let file = packed.parts[0].file.as_ref().unwrap();
        file.set_len(packed.parts[0].in_file / 2).unwrap();
        packed.iter().for_each(drop);
    }

    #[test]
    fn many_hands_make_few_parts() {
        let mut packed = Packed::default();
        (0..100_u8).for_each(|number| packed.append([number].into_iter().collect()));
        assert_eq!((packed.parts.len(), packed.len()), (1, 100));
        assert!(packed.iter().eq(0..100));
    }
}
