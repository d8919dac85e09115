//! A block of a file: its bytes, decoded if they are UTF-16, and what was found in it.

use std::io;

use encoding_rs::{CoderResult, Encoding, UTF_8, UTF_16BE};

use super::words::{Found, Words};

/// A part of a file, followed by the beginning of the next part.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Grows to the size of the largest block and keeps it, so that it is zeroed once.
    buffer: Vec<u8>,
    /// How many bytes of the buffer are filled.
    filled: usize,
    /// How many of these are the block's own. The rest belongs to the next block.
    owned: usize,
    /// Whether the block is the first of the text.
    is_first: bool,
    /// The text of UTF-16. `None` if the bytes are the text.
    decoded: Option<String>,
    pub results: Results,
}

/// What was found in a block.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// The length of the block's own text in UTF-8.
    pub text_length: usize,
    pub chars: u64,
    /// One entry per word: what begins in the block's own text, searched from its start.
    pub found: Vec<Found>,
}

impl Block {
    /// Fills the block: with `head`, then from `read` up to a length of `wanted` or the end of the file.
    pub fn fill(
        &mut self,
        head: &[u8],
        wanted: usize,
        read: impl FnMut(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        self.buffer[..head.len()].copy_from_slice(head);
        self.filled = head.len() + read_full(&mut self.buffer[head.len()..wanted], read)?;
        Ok(())
    }

    /// Empties the block.
    pub fn clear(&mut self) {
        self.filled = 0;
        self.owned = 0;
    }

    /// Sets how many of the filled bytes are the block's own.
    pub fn own(&mut self, owned: usize, is_first: bool) {
        self.owned = owned.min(self.filled);
        self.is_first = is_first;
    }

    /// How many bytes are the block's own.
    pub fn owned(&self) -> usize {
        self.owned
    }

    /// How many bytes were read, including those of the next block.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// The bytes that belong to the next block.
    pub fn beyond(&self) -> &[u8] {
        &self.buffer[self.owned..self.filled]
    }

    /// Decodes the bytes and searches all words.
    pub fn search(&mut self, words: &Words, encoding: &'static Encoding) {
        let text_length = if encoding == UTF_8 {
            self.owned
        } else {
            self.decode(encoding)
        };
        let text = self.text();
        let searchers = words.searchers.iter();
        let found = searchers.map(|word| word.find(text, 0, text_length));
        self.results = Results {
            text_length,
            chars: characters(&text[..text_length]),
            found: found.collect(),
        };
    }

    /// Decodes UTF-16. Returns the length of the block's own text. A surrogate pair across a border belongs
    /// to the block in which it begins. So does any low surrogate at a border, which needs no look back.
    fn decode(&mut self, encoding: &'static Encoding) -> usize {
        let bytes = &self.buffer[..self.filled];
        let border = |at: usize| match bytes.get(at..at + 2) {
            Some(unit) if is_low_surrogate(unit, encoding) => at + 2,
            _ => at,
        };
        let start = if self.is_first { 0 } else { border(0) };
        let end = border(self.owned);
        let decoded = self.decoded.get_or_insert_default();
        decoded.clear();
        append_decoded(decoded, &bytes[start..end], encoding);
        let text_length = decoded.len();
        append_decoded(decoded, &bytes[end..], encoding);
        text_length
    }

    /// The text of the block and of the beginning of the next one.
    pub fn text(&self) -> &[u8] {
        match &self.decoded {
            Some(decoded) => decoded.as_bytes(),
            None => &self.buffer[..self.filled],
        }
    }
}

/// Reads until the buffer is full or the end is reached. Returns how many bytes were read.
pub(super) fn read_full(
    buffer: &mut [u8],
    mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        filled += match read(&mut buffer[filled..])? {
            0 => break,
            count => count,
        };
    }
    Ok(filled)
}

fn is_low_surrogate(unit: &[u8], encoding: &'static Encoding) -> bool {
    let high_byte = if encoding == UTF_16BE {
        unit[0]
    } else {
        unit[1]
    };
    (0xDC..=0xDF).contains(&high_byte)
}

fn append_decoded(text: &mut String, bytes: &[u8], encoding: &'static Encoding) {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let needed = decoder.max_utf8_buffer_length(bytes.len());
    text.reserve_exact(needed.expect("a block is far shorter than the address space"));
    let (result, _, _) = decoder.decode_to_string(bytes, text, true);
    debug_assert_eq!(result, CoderResult::InputEmpty);
}

/// The number of characters in UTF-8: of bytes that do not continue a character.
fn characters(text: &[u8]) -> u64 {
    bytecount::num_chars(text) as u64
}
