//! Reads the body of a response into a buffer, under a limit.
//!
//! Buffers are recycled and keep the capacity they have grown to. So a usual body gets a buffer of
//! its own size, and the few larger ones share two large buffers.

use std::io::{self, ErrorKind, Read};
use std::mem;

use crossbeam_channel::{Receiver, Sender, bounded};

/// Maximum size of a usual body, in bytes.
const USUAL: u64 = 256 << 10;
/// Maximum number of large bodies in memory. 32 fetchers with 2 MiB each would take half of the memory
/// that a run may use.
const LARGE_BUFFERS: usize = 2;
/// Requests whose limit is at most this never use the shared large buffers. Only company pages have a
/// higher limit.
pub const MAX_UNSHARED: u64 = 1 << 20;
/// The first size of the buffer for a body without a Content-Length.
const UNKNOWN: u64 = 64 << 10;

#[derive(Debug)]
pub enum BodyError {
    TooLarge,
    Broken(io::Error),
}

/// The buffers for bodies larger than usual.
///
/// They are never freed: the allocator would keep the memory for the thread that freed it.
#[derive(Debug)]
pub struct LargeBuffers {
    give_back: Sender<Vec<u8>>,
    free: Receiver<Vec<u8>>,
}

impl Default for LargeBuffers {
    fn default() -> Self {
        let (give_back, free) = bounded(LARGE_BUFFERS);
        for _ in 0..LARGE_BUFFERS {
            // The channel has room for all of them.
            let _ = give_back.try_send(Vec::new());
        }
        LargeBuffers { give_back, free }
    }
}

impl LargeBuffers {
    /// Blocks until one is free.
    fn acquire(&self) -> (LargeBufferPermit, Vec<u8>) {
        let buffer = self.free.recv().expect("self holds a sender");
        let permit = LargeBufferPermit {
            buffer: Vec::new(),
            give_back: self.give_back.clone(),
        };
        (permit, buffer)
    }
}

/// The permit for one large body. Dropped, it gives its buffer back.
#[derive(Debug)]
pub struct LargeBufferPermit {
    buffer: Vec<u8>,
    give_back: Sender<Vec<u8>>,
}

impl LargeBufferPermit {
    pub fn give_back(mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
    }
}

impl Drop for LargeBufferPermit {
    fn drop(&mut self) {
        // The channel has room for all buffers; without a receiver the buffer is freed.
        let _ = self.give_back.try_send(mem::take(&mut self.buffer));
    }
}

/// Reads a whole body of at most `limit` bytes into `buffer` and overwrites its content. Returns a
/// large buffer with its permit instead if the body is larger than usual and `limit` exceeds
/// [`MAX_UNSHARED`].
///
/// `announced` is the Content-Length. The reader must report a body shorter than that as an error.
pub fn read(
    mut from: impl Read,
    announced: Option<u64>,
    limit: u64,
    mut buffer: Vec<u8>,
    large: &LargeBuffers,
) -> Result<(Vec<u8>, Option<LargeBufferPermit>), BodyError> {
    if announced.is_some_and(|announced| announced > limit) {
        return Err(BodyError::TooLarge);
    }
    // One byte more than announced lets the reader report its end without growing the buffer.
    let room = announced.map_or(UNKNOWN, |announced| announced.min(USUAL) + 1) as usize;
    buffer.reserve_exact(room.saturating_sub(buffer.len()));
    buffer.resize(room, 0);
    fill(&mut from, USUAL, &mut buffer, 0).map_err(BodyError::Broken)?;
    if (buffer.len() as u64) < USUAL {
        return Ok((buffer, None));
    }
    let mut permit = None;
    if limit > MAX_UNSHARED {
        let (acquired, mut large) = large.acquire();
        large.clear();
        large.reserve_exact(limit as usize + 1);
        large.extend_from_slice(&buffer);
        (buffer, permit) = (large, Some(acquired));
    }
    let filled = buffer.len();
    let read = fill(&mut from, limit + 1, &mut buffer, filled);
    let is_too_large = buffer.len() as u64 > limit;
    match read {
        Ok(()) if !is_too_large => Ok((buffer, permit)),
        read => {
            if let Some(permit) = permit {
                permit.give_back(buffer);
            }
            Err(read.map_or_else(BodyError::Broken, |()| BodyError::TooLarge))
        }
    }
}

/// Reads behind the first `filled` bytes of `buffer` and truncates it where the reader ends. The
/// buffer grows by doubling, up to `max_len` bytes.
///
/// Unlike `read_to_end`, this does not clear the bytes of an earlier page. Clearing them took as long
/// as copying a page.
fn fill(
    from: &mut impl Read,
    max_len: u64,
    buffer: &mut Vec<u8>,
    mut filled: usize,
) -> io::Result<()> {
    let max_len = max_len as usize;
    let read = loop {
        if filled == buffer.len() {
            if filled >= max_len {
                break Ok(());
            }
            buffer.resize((2 * filled).clamp(1, max_len), 0);
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

    /// Every length around the limits, with and without Content-Length, into buffers of all sizes.
    #[test]
    fn reads_the_body_whatever_the_buffer_contained() {
        let large = LargeBuffers::default();
        let limit = MAX_UNSHARED + 1;
        let usual = USUAL as usize;
        for length in [
            0,
            1,
            1000,
            65_536,
            usual - 1,
            usual,
            usual + 1,
            limit as usize,
        ] {
            let body: Vec<u8> = (0..length).map(|at| at as u8).collect();
            for announced in [None, Some(length as u64)] {
                for held in [0, 10, 300_000] {
                    let read = read(&body[..], announced, limit, vec![0xff; held], &large);
                    let (read, permit) = read.unwrap();
                    assert!(read == body, "{length}, {announced:?}, {held}");
                    assert_eq!(permit.is_some(), length >= usual, "{length}");
                }
            }
        }
        let long = vec![0; limit as usize + 1];
        for announced in [None, Some(limit + 1)] {
            let read = read(&long[..], announced, limit, Vec::new(), &large);
            assert!(matches!(read, Err(BodyError::TooLarge)));
        }
    }
}
