//! The body of an answer → bytes in a buffer, under a limit.
//!
//! Buffers go round: what one grows beyond its page it keeps. So the usual ones are made no longer
//! than they have to be, and there are few for bodies that are larger than usual.

use std::io::{self, ErrorKind, Read};
use std::mem;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::http::page::MAX_RAW_OF_OTHERS;

/// Bytes up to which a body is nothing special, and how many larger ones there may be at a time: 32
/// fetchers with 2 MiB each would be half of what a run may use.
const USUAL: u64 = 256 << 10;
const LARGE: usize = 2;
/// What is made room for at first where a body comes without its length.
const UNKNOWN: u64 = 64 << 10;

#[derive(Debug)]
pub enum BodyError {
    TooLarge,
    Broken(io::Error),
}

/// The buffers for bodies that are larger than usual.
///
/// They are not freed meanwhile: the allocator would keep what one thread frees for that thread.
#[derive(Debug)]
pub struct Large {
    back: Sender<Vec<u8>>,
    places: Receiver<Vec<u8>>,
}

impl Default for Large {
    fn default() -> Self {
        let (back, places) = bounded(LARGE);
        for _ in 0..LARGE {
            let _ = back.try_send(Vec::new());
        }
        Large { back, places }
    }
}

impl Large {
    /// Waits for one of them.
    fn take(&self) -> (Hold, Vec<u8>) {
        let buffer = self.places.recv().expect("the other end is here too");
        let hold = Hold {
            buffer: Vec::new(),
            back: self.back.clone(),
        };
        (hold, buffer)
    }
}

/// The right to a body that is larger than usual; its buffer goes back in the end.
#[derive(Debug)]
pub struct Hold {
    buffer: Vec<u8>,
    back: Sender<Vec<u8>>,
}

impl Hold {
    pub fn give_back(mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let _ = self.back.try_send(mem::take(&mut self.buffer));
    }
}

/// Reads a whole body of at most so many bytes into a buffer, whatever that holds. One that is
/// shorter than announced must be an error of the reader's.
pub fn read(
    mut from: impl Read,
    announced: Option<u64>,
    most: u64,
    mut buffer: Vec<u8>,
    large: &Large,
) -> Result<(Vec<u8>, Option<Hold>), BodyError> {
    if announced.is_some_and(|announced| announced > most) {
        return Err(BodyError::TooLarge);
    }
    // One more shows that it has its end.
    let room = announced.map_or(UNKNOWN, |announced| announced.min(USUAL) + 1) as usize;
    buffer.reserve_exact(room.saturating_sub(buffer.len()));
    buffer.resize(room, 0);
    fill(&mut from, USUAL, &mut buffer, 0).map_err(BodyError::Broken)?;
    if (buffer.len() as u64) < USUAL {
        return Ok((buffer, None));
    }
    let mut hold = None;
    if most > MAX_RAW_OF_OTHERS {
        let (place, mut other) = large.take();
        other.clear();
        other.reserve_exact(most as usize + 1);
        other.extend_from_slice(&buffer);
        (buffer, hold) = (other, Some(place));
    }
    let filled = buffer.len();
    let read = fill(&mut from, most + 1, &mut buffer, filled);
    let is_too_large = buffer.len() as u64 > most;
    match read {
        Ok(()) if !is_too_large => Ok((buffer, hold)),
        read => {
            if let Some(hold) = hold {
                hold.give_back(buffer);
            }
            Err(read.map_or_else(BodyError::Broken, |()| BodyError::TooLarge))
        }
    }
}

/// Reads into a buffer behind what it is filled with, and cuts it off where the reader ends. One that
/// is too short grows, but not beyond a length. Unlike `read_to_end` this does not clear what a page
/// before has left there, which took as long as copying a page.
fn fill(
    from: &mut impl Read,
    longest: u64,
    buffer: &mut Vec<u8>,
    mut filled: usize,
) -> io::Result<()> {
    let longest = longest as usize;
    let read = loop {
        if filled == buffer.len() {
            if filled >= longest {
                break Ok(());
            }
            buffer.resize((2 * filled).clamp(1, longest), 0);
        }
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break Ok(()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    buffer.truncate(filled);
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With its length and without, into buffers that are new, shorter and longer; and the limit.
    #[test]
    fn a_body_is_what_was_sent_whatever_the_buffer_held() {
        let large = Large::default();
        let most = MAX_RAW_OF_OTHERS + 1;
        let usual = USUAL as usize;
        for length in [
            0,
            1,
            1000,
            65_536,
            usual - 1,
            usual,
            usual + 1,
            most as usize,
        ] {
            let body: Vec<u8> = (0..length).map(|at| at as u8).collect();
            for announced in [None, Some(length as u64)] {
                for held in [0, 10, 300_000] {
                    let read = read(&body[..], announced, most, vec![0xff; held], &large);
                    let (read, hold) = read.unwrap();
                    assert!(read == body, "{length}, {announced:?}, {held}");
                    assert_eq!(hold.is_some(), length >= usual, "{length}");
                }
            }
        }
        let long = vec![0; most as usize + 1];
        for announced in [None, Some(most + 1)] {
            let read = read(&long[..], announced, most, Vec::new(), &large);
            assert!(matches!(read, Err(BodyError::TooLarge)));
        }
    }
}
