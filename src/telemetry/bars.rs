//! The bars of a run on a terminal.
//!
//! Each frame replaces the one before. The cursor rests in the line below the frame, where an echoed `^C`
//! or the prompt after a kill disturbs nothing.

use std::io::{Write, stderr};
use std::time::{Duration, Instant};

use textwrap::core::display_width;

use crate::telemetry::screen::{self, DONE, MIN_COLUMNS, SECONDARY, Size, wrap};
use crate::telemetry::snapshot::{Snapshot, Total};

/// The bars return this long after the last change of size. Some terminals, such as tmux, report a change
/// up to 250 ms after they have wrapped the lines on the screen, so a frame drawn before that could not be
/// erased.
const SETTLE_TIME: Duration = Duration::from_millis(300);
/// Bars need this many rows.
const MIN_ROWS: usize = 8;
/// Maximum number of lines of rates and problems below the bars. With three bars and the line of the
/// cursor, the frame fits into [`MIN_ROWS`].
const MAX_STATUS_LINES: usize = 3;
/// Columns of a name before its bar, and of the numbers behind it: ` 12345/12345`.
const NAME_WIDTH: usize = 9;
const NUMBERS_WIDTH: usize = 12;

/// Whether a terminal is large enough for bars.
pub fn fit_into(size: Size) -> bool {
    size.columns >= MIN_COLUMNS && size.rows >= MIN_ROWS
}

/// The bars on stderr.
#[derive(Debug, Default)]
pub struct Bars {
    /// The lines of the present frame; empty if there is none.
    shown: Vec<String>,
    /// The size of the terminal when it was last checked.
    size: Option<Size>,
    /// When the size has last changed.
    resized: Option<Instant>,
}

impl Bars {
    /// Erases the frame if the size of the terminal has changed. To be called often: with each further
    /// change, the place of the frame gets less certain. Returns false if the terminal is too small for
    /// bars.
    pub fn follow_size(&mut self) -> bool {
        let size = screen::size(stderr());
        if size != self.size {
            self.erase(size);
            self.resized = self.size.map(|_| Instant::now());
            self.size = size;
        }
        size.is_some_and(fit_into)
    }

    /// Draws the frame over the one before, as wide as the terminal. Draws nothing while the terminal is
    /// being resized.
    pub fn draw(&mut self, now: &Snapshot) {
        let settles = |resized: Instant| resized.elapsed() < SETTLE_TIME;
        let Some(size) = self.size.filter(|_| !self.resized.is_some_and(settles)) else {
            return;
        };
        let lines = frame(
            now,
            size.columns,
            screen::has_colours(&stderr(), Some(size)),
        );
        if lines != self.shown {
            let frame = format!("{}{}\n", self.erasure(size.columns), lines.join("\n"));
            self.shown = lines;
            write(&frame);
        }
    }

    /// Erases the bars for good.
    pub fn finish(mut self) {
        self.erase(screen::size(stderr()));
    }

    fn erase(&mut self, size: Option<Size>) {
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

/// The lines of a frame, at most `columns` wide.
fn frame(now: &Snapshot, columns: usize, has_colours: bool) -> Vec<String> {
    let bars = [
        ("index", now.index_parsed, now.index_pages),
        ("fetched", now.fetched, now.companies),
        ("parsed", now.parsed, now.companies),
    ];
    let numbers = bars.map(|(_, done, total)| format!(" {done:>5}/{:<5}", total.to_string()));
    let widest = numbers.iter().map(String::len).max();
    let numbers_width = widest.unwrap_or(0).max(NUMBERS_WIDTH);
    let width = columns.saturating_sub(NAME_WIDTH + numbers_width);
    let bars = bars.iter().zip(numbers);
    let bars = bars.map(|(&(name, done, total), numbers)| {
        let bar = bar(done, total, width, has_colours);
        format!("{name:<NAME_WIDTH$}{bar}{}", numbers.trim_end())
    });
    let status = wrap(&now.status(), columns).into_iter();
    bars.chain(status.take(MAX_STATUS_LINES)).collect()
}

/// A bar of `width` columns. It is empty while the total is unknown.
fn bar(done: u64, total: Total, width: usize, has_colours: bool) -> String {
    let full = match total {
        Total::Known(total) if total > 0 => {
            let share = done.min(total) as f64 / total as f64;
            (share * width as f64) as usize
        }
        _ => 0,
    };
    let tip = if (1..width).contains(&full) {
        "╸"
    } else {
        ""
    };
    let full = "━".repeat(full) + tip;
    let empty = "─".repeat(width - display_width(&full));
    if has_colours {
        format!("{DONE}{full}{DONE:#}{SECONDARY}{empty}{SECONDARY:#}")
    } else {
        full + &empty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_is_full_only_when_everything_is_done() {
        let check = |done, total, expected| {
            assert_eq!(bar(done, total, 8, false), expected, "{done}/{total}");
        };
        check(0, Total::Unknown, "────────");
        check(50, Total::AtLeast(50), "────────");
        check(0, Total::Known(0), "────────");
        check(0, Total::Known(496), "────────");
        check(100, Total::Known(496), "━╸──────");
        check(495, Total::Known(496), "━━━━━━━╸");
        check(496, Total::Known(496), "━━━━━━━━");
        check(497, Total::Known(496), "━━━━━━━━");
    }
}
