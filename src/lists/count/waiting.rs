//! Reads what may keep a read waiting for ever: a pipe without a writer, a device without data.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// Bytes of a block.
const BLOCK: usize = 128 << 10;
/// Blocks that are read ahead.
const AHEAD: usize = 4;
/// How often a waiting read checks whether it has been cancelled.
const POLL: Duration = Duration::from_millis(50);

/// Opens and reads a file on a thread of its own. While that waits, a read here can be cancelled; the thread
/// then ends with the process.
pub(super) struct WaitingReader<'a> {
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: Cursor<Vec<u8>>,
    is_cancelled: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> WaitingReader<'a> {
    pub fn open(path: &Path, is_cancelled: &'a (dyn Fn() -> bool + Sync)) -> io::Result<Self> {
        let (blocks_out, blocks) = bounded(AHEAD);
        let path = path.to_owned();
        let read = move || {
            if let Err(error) = read(&path, &blocks_out) {
                // Without a receiver, the counting has ended.
                let _ = blocks_out.send(Err(error));
            }
        };
        thread::Builder::new().spawn(read)?;
        Ok(WaitingReader {
            blocks,
            block: Cursor::default(),
            is_cancelled,
        })
    }
}

/// Sends the blocks of a file until it or the receiver ends.
fn read(path: &Path, blocks: &Sender<io::Result<Vec<u8>>>) -> io::Result<()> {
    let mut file = File::open(path)?;
    loop {
        let mut block = vec![0; BLOCK];
        let length = match file.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        block.truncate(length);
        if blocks.send(Ok(block)).is_err() {
            return Ok(());
        }
    }
}

impl Read for WaitingReader<'_> {
    /// Fails with [`io::ErrorKind::Interrupted`] if it is cancelled while it waits.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.block.read(buffer)?;
            if length > 0 || buffer.is_empty() {
                return Ok(length);
            }
            match self.blocks.recv_timeout(POLL) {
                Ok(block) => self.block = Cursor::new(block?),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) if (self.is_cancelled)() => {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}
