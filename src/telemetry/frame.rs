//! Lines at one place of the terminal on stderr, drawn anew while a run goes.
//!
//! Each frame replaces the one before. The cursor stays on the line below the frame, so an echoed `^C` or
//! the prompt after a kill does not overwrite it.

use std::io::{Write, stderr};
use std::time::{Duration, Instant};

use textwrap::core::display_width;

use crate::telemetry::screen::{self, Size};

/// A frame returns this long after the last change of size. Some terminals, such as tmux, report a change
/// up to 250 ms after they have wrapped the lines on the screen, so a frame drawn before that could not be
/// erased.
const SETTLE_TIME: Duration = Duration::from_millis(300);

/// The frame on the terminal, if there is one.
#[derive(Debug, Default)]
pub struct Frame {
    /// The lines of the present frame; empty if there is none.
    shown: Vec<String>,
    /// The size of the terminal when it was last checked.
    size: Option<Size>,
    /// When the size has last changed.
    resized: Option<Instant>,
}

impl Frame {
    /// Erases the frame if the size of the terminal has changed.
    pub fn follow_size(&mut self) {
        let size = screen::size(stderr());
        if size != self.size {
            self.erase_at(size);
            self.resized = self.size.map(|_| Instant::now());
            self.size = size;
        }
    }

    /// The size of the terminal when it was last checked; `None` if stderr is none.
    pub fn size(&self) -> Option<Size> {
        self.size
    }

    /// The size to draw for. `None` while the terminal is being resized.
    pub fn settled_size(&self) -> Option<Size> {
        let is_settling = |resized: Instant| resized.elapsed() < SETTLE_TIME;
        self.size.filter(|_| !self.resized.is_some_and(is_settling))
    }

    /// Draws lines in place of those before. Each must fit into [`settled_size`](Self::settled_size).
    pub fn draw(&mut self, lines: Vec<String>) {
        if let Some(size) = self.size
            && lines != self.shown
        {
            let frame = format!("{}{}\n", self.erasure(size.columns), lines.join("\n"));
            self.shown = lines;
            write(&frame);
        }
    }

    /// Erases the frame, so that other text can be printed in its place.
    pub fn erase(&mut self) {
        self.erase_at(screen::size(stderr()));
    }

    fn erase_at(&mut self, size: Option<Size>) {
        if let Some(size) = size {
            write(&self.erasure(size.columns));
        }
        self.shown.clear();
    }

    /// Erases the lines from the cursor up to the start of the frame. A terminal that has become narrower
    /// has wrapped them: the rows are counted for its present width. Erasing all below the start at once
    /// would make tmux keep the frame in its history if it starts in the first row.
    fn erasure(&self, columns: usize) -> String {
        let rows = |line: &String| display_width(line).div_ceil(columns).max(1);
        let rows: usize = self.shown.iter().map(rows).sum();
        if rows == 0 {
            return String::new();
        }
        format!("\r\x1b[2K{}", "\x1b[A\x1b[2K".repeat(rows))
    }
}

/// Writes a frame at once, so that no half of it is seen.
fn write(text: &str) {
    // A terminal that cannot be written must not end the run.
    let _ = stderr().write_all(text.as_bytes());
}
