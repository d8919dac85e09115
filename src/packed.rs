//! Many values in little memory: encoded one behind the other, and decoded again one by one.
//!
//! A company with its three texts takes 450 bytes as a struct, and fewer than a hundred here.

use std::cmp::Ordering;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeOwned};
use serde::ser::Serialize;

/// Values are kept in blocks of about this many bytes: what grows is never the whole, which would
/// then be there twice.
const BLOCK: usize = 64 << 10;
/// A block with less room than this is full. Nearly all values are shorter; another makes its block
/// longer.
const LONG: usize = 512;

/// Values in [postcard](https://postcard.jamesmunns.com)'s encoding, in an order of their own.
#[derive(Debug)]
pub struct Packed<T> {
    blocks: Vec<Vec<u8>>,
    /// Where each value begins: in which block, at which byte.
    places: Vec<(u32, u32)>,
    of: PhantomData<fn() -> T>,
}

/// One of the values, not decoded yet.
pub struct Encoded<'a, T> {
    bytes: &'a [u8],
    of: PhantomData<fn() -> T>,
}

impl<'a, T: Deserialize<'a>> Encoded<'a, T> {
    pub fn value(&self) -> T {
        self.begins_with()
    }

    /// The first field, or the first fields as a tuple; texts are not copied.
    pub fn begins_with<F: Deserialize<'a>>(&self) -> F {
        let decoded = postcard::take_from_bytes(self.bytes);
        decoded.expect("a value of ours").0
    }
}

impl<T> Packed<T> {
    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn encoded(&self, (block, at): (u32, u32)) -> Encoded<'_, T> {
        Encoded {
            bytes: &self.blocks[block as usize][at as usize..],
            of: PhantomData,
        }
    }

    /// Takes over the values of another one, behind its own.
    pub fn append(&mut self, other: Packed<T>) {
        self.places.reserve_exact(other.places.len());
        let mut moved = Vec::with_capacity(other.blocks.len());
        for bytes in other.blocks {
            let number = self.blocks.len() as u32;
            match self.blocks.last_mut() {
                // Some bring home one value at a time.
                Some(last) if last.len() + bytes.len() <= BLOCK => {
                    moved.push((number - 1, last.len() as u32));
                    last.extend_from_slice(&bytes);
                }
                _ => {
                    moved.push((number, 0));
                    self.blocks.push(bytes);
                }
            }
        }
        let places = other.places.into_iter().map(|(block, at)| {
            let (block, offset) = moved[block as usize];
            (block, offset + at)
        });
        self.places.extend(places);
    }

    /// Sorts the values; equal ones may change places.
    pub fn sort_by(&mut self, compare: impl Fn(Encoded<T>, Encoded<T>) -> Ordering) {
        let mut places = std::mem::take(&mut self.places);
        places.sort_unstable_by(|a, b| compare(self.encoded(*a), self.encoded(*b)));
        self.places = places;
    }

    /// Removes every value that is the same as the one before it that stays.
    pub fn dedup_by(&mut self, mut is_same: impl FnMut(Encoded<T>, Encoded<T>) -> bool) {
        let mut places = std::mem::take(&mut self.places);
        places.dedup_by(|later, kept| is_same(self.encoded(*later), self.encoded(*kept)));
        self.places = places;
    }
}

impl<T: Serialize> Packed<T> {
    pub fn push(&mut self, value: &T) {
        let full = |block: &Vec<u8>| block.len() > BLOCK - LONG;
        if self.blocks.last().is_none_or(full) {
            self.blocks.push(Vec::new());
        }
        let number = self.blocks.len() - 1;
        let block = &mut self.blocks[number];
        self.places.push((number as u32, block.len() as u32));
        postcard::to_io(value, block).expect("memory takes everything");
    }
}

impl<T: DeserializeOwned> Packed<T> {
    /// The values one after the other, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> {
        let values = self.places.iter();
        values.map(|place| self.encoded(*place).value())
    }
}

impl<T> Default for Packed<T> {
    fn default() -> Self {
        Packed {
            blocks: Vec::new(),
            places: Vec::new(),
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
