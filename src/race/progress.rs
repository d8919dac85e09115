//! The progress line on stderr. Without a terminal it is not shown.

use std::io::{IsTerminal, Write, stderr};

/// Replaces the progress line.
pub fn show(line: &str) {
    if stderr().is_terminal() {
        // A failed write costs the progress line only.
        let _ = write!(stderr(), "\r\x1b[K{line}");
    }
}

pub fn clear() {
    show("");
}
