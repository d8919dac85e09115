//! Words, searched in bytes.

use std::ops::Range;

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};

/// The longest word in bytes. It bounds what neighbouring blocks have in common: at most 4 KiB.
pub const MAX_WORD: usize = 1024;

/// Words that are prepared for searching.
///
/// The count of a word is that of Python's `text.count(word)`: occurrences that do not overlap, from left to
/// right, anywhere in the text, also within longer words. Each word is counted by itself, so occurrences of
/// different words may overlap.
#[derive(Debug)]
pub struct Words {
    words: Vec<String>,
    pub(super) searchers: Vec<Word>,
    /// How far an occurrence can extend beyond its first byte, in UTF-8 and UTF-16: 4 bytes a character.
    /// At least 4.
    pub(super) reach: usize,
    ignore_case: bool,
}

impl Words {
    /// Prepares words. With `ignore_case`, characters are equal if their simple case foldings of Unicode are:
    /// `K` is `k` and the Kelvin sign, `σ` is `ς` and `Σ`, `ß` is `ẞ` but not `ss`, `İ` is only `İ`.
    ///
    /// # Errors
    ///
    /// A word is empty or longer than [`MAX_WORD`].
    pub fn new(words: &[String], ignore_case: bool) -> Result<Words, WordError> {
        let searchers = words.iter().map(|word| Word::new(word, ignore_case));
        let longest = words.iter().map(|word| word.chars().count()).max();
        Ok(Words {
            searchers: searchers.collect::<Result<_, _>>()?,
            reach: 4 * longest.unwrap_or(1),
            words: words.to_vec(),
            ignore_case,
        })
    }

    /// Whether upper and lower case count alike.
    pub fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    /// The words in the order of the counts.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Counts the words in a text. Returns one count per word, in the order of [`Words::words`].
    pub fn count_in(&self, text: &str) -> Vec<u64> {
        let searchers = self.searchers.iter();
        let counts = searchers.map(|word| word.find(text.as_bytes(), 0, text.len()).count);
        counts.collect()
    }
}

/// Why a word cannot be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    #[error("a word to count must not be empty")]
    Empty,
    /// The length of the word in bytes.
    #[error("a word to count is {0} bytes long; at most {MAX_WORD} are allowed")]
    TooLong(usize),
}

/// A prepared word.
#[derive(Debug)]
pub(super) enum Word {
    Exact(Box<Finder<'static>>),
    /// The bytes of a match may be fewer or more than those of the word: `k` has 1, the Kelvin sign 3.
    AnyCase(Regex),
}

/// Occurrences that do not overlap, from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Where the first one begins. `usize::MAX` if there is none.
    pub first: usize,
    /// Where the last one ends. 0 if there is none.
    pub end: usize,
    pub count: u64,
}

impl Word {
    pub fn new(word: &str, ignore_case: bool) -> Result<Word, WordError> {
        match word.len() {
            0 => Err(WordError::Empty),
            1..=MAX_WORD if ignore_case => Ok(Word::AnyCase(any_case(word))),
            1..=MAX_WORD => Ok(Word::Exact(Box::new(Finder::new(word).into_owned()))),
            length => Err(WordError::TooLong(length)),
        }
    }

    /// Finds the occurrences in `text[from..]` that begin before `end`. They may extend beyond `end`.
    pub fn find(&self, text: &[u8], from: usize, end: usize) -> Found {
        // A file that is rewritten while it is read may end before `from`.
        let rest = text.get(from..).unwrap_or_default();
        let limit = end.saturating_sub(from);
        let found = match self {
            Word::Exact(finder) => {
                let length = finder.needle().len();
                let starts = finder.find_iter(rest);
                Found::of(starts.map(|start| start..start + length), limit)
            }
            Word::AnyCase(regex) => {
                Found::of(regex.find_iter(rest).map(|found| found.range()), limit)
            }
        };
        found.moved_by(from)
    }
}

impl Found {
    const NOTHING: Found = Found {
        first: usize::MAX,
        end: 0,
        count: 0,
    };

    /// Sums up matches, which are in order, up to the first that begins at `limit` or later.
    fn of(matches: impl Iterator<Item = Range<usize>>, limit: usize) -> Found {
        let mut sum = Found::NOTHING;
        for found in matches.take_while(|found| found.start < limit) {
            sum.first = sum.first.min(found.start);
            sum.end = found.end;
            sum.count += 1;
        }
        sum
    }

    fn moved_by(self, by: usize) -> Found {
        match self.count {
            0 => self,
            count => Found {
                first: self.first + by,
                end: self.end + by,
                count,
            },
        }
    }
}

/// A regex of a word. It always matches as many characters as the word has.
fn any_case(word: &str) -> Regex {
    RegexBuilder::new(&regex::escape(word))
        .case_insensitive(true)
        .build()
        .expect("an escaped word of at most 1 KiB stays below the limit of 10 MB")
}
