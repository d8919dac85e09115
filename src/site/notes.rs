//! The notes on a company: on its page, and on its row in the index.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::site::text::prefix;

/// Maximum size in bytes of the text of an unusable figure in a note.
const MAX_NOTED: usize = 40;

/// The notes on a page, one sentence each, in the order of the page.
///
/// They are one text, one line each. Most pages have no note, but those of a changed layout have several
/// on each of 100,000 pages; a list of texts would take twice the memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes(String);

impl Notes {
    /// Adds a note, a sentence without line ends.
    pub fn push(&mut self, note: &str) {
        // Exactly, because doubling could leave half of the memory unused.
        self.0.reserve_exact(note.len() + 1);
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(note);
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.lines()
    }
}

/// The note on a figure whose text is unusable: `P/E is "12.3B"`.
pub fn unusable(what: &str, text: &str) -> String {
    format!("{what} is {:?}", prefix(text, MAX_NOTED))
}

/// Why a row of the index has no usable growth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowNote {
    /// The row has another number of columns than the header, so no cell is surely the growth.
    Misfit { columns: usize, in_header: usize },
    /// The beginning of a text that is no percentage.
    Unusable(Box<str>),
}

impl RowNote {
    /// The note on a growth with this text.
    pub fn unusable(text: &str) -> Self {
        RowNote::Unusable(prefix(text, MAX_NOTED).into())
    }
}

impl fmt::Display for RowNote {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            RowNote::Misfit { columns, in_header } => write!(
                f,
                "its row in the index has {columns} columns, the header {in_header}"
            ),
            RowNote::Unusable(text) => f.write_str(&unusable("growth", text)),
        }
    }
}
