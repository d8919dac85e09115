//! The notes on a company page.

use serde::{Deserialize, Serialize};

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
