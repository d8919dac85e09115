//! The bars of a run on a terminal, drawn by indicatif and placed by [`Frame`].

use std::io::{self, stderr};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::telemetry::frame::Frame;
use crate::telemetry::screen::{self, MIN_COLUMNS, Size, wrap};
use crate::telemetry::snapshot::{Snapshot, Total};

/// Bars need this many rows.
const MIN_ROWS: usize = 8;
/// Maximum number of lines of rates and problems below the bars. With three bars and the line of the
/// cursor, the frame fits into [`MIN_ROWS`].
const MAX_STATUS_LINES: usize = 3;
/// A bar of all columns that are left between its name and numbers such as `12345/12345`.
const BAR: &str = "{prefix:9}{wide_bar:.green/dim} {msg:11}";
const STATUS: &str = "{msg}";

/// Whether a terminal is large enough for bars.
pub fn fit_into(size: Size) -> bool {
    size.columns >= MIN_COLUMNS && size.rows >= MIN_ROWS
}

/// The bars on stderr.
#[derive(Debug)]
pub struct Bars {
    canvas: Canvas,
    /// Index pages, fetched companies, parsed companies.
    bars: [ProgressBar; 3],
    status: ProgressBar,
    frame: Frame,
}

impl Bars {
    pub fn new() -> Self {
        let canvas = Canvas::default();
        let target = ProgressDrawTarget::term_like(Box::new(canvas.clone()));
        let all = MultiProgress::with_draw_target(target);
        let add = |name, template| {
            let style = ProgressStyle::with_template(template).expect("a valid template");
            let bar = ProgressBar::hidden().with_style(style.progress_chars("━╸─"));
            all.add(bar.with_prefix(name))
        };
        Bars {
            canvas,
            bars: ["index", "fetched", "parsed"].map(|name| add(name, BAR)),
            status: add("", STATUS),
            frame: Frame::default(),
        }
    }

    /// Erases the bars if the size of the terminal has changed. To be called often: with each further
    /// change, the place of the bars gets less certain. Returns false if the terminal is too small for
    /// bars.
    pub fn follow_size(&mut self) -> bool {
        self.frame.follow_size();
        self.frame.size().is_some_and(fit_into)
    }

    /// Replaces the bars by new ones, as wide as the terminal. Draws nothing while the terminal is being
    /// resized.
    pub fn draw(&mut self, now: &Snapshot) {
        let Some(size) = self.frame.settled_size() else {
            return;
        };
        // indicatif asks for the colours of stdout, wherever it draws.
        console::set_colors_enabled(screen::has_colours(&stderr(), Some(size)));
        let lines = self.lines(now, size.columns);
        self.frame.draw(lines);
    }

    /// The lines of a frame, at most `columns` wide.
    fn lines(&self, now: &Snapshot, columns: usize) -> Vec<String> {
        self.canvas.drawing().columns = columns;
        let counts = [
            (now.index_parsed, now.index_pages),
            (now.fetched, now.companies),
            (now.parsed, now.companies),
        ];
        for (bar, (done, total)) in self.bars.iter().zip(counts) {
            bar.set_message(format!("{done:>5}/{total}"));
            let (done, total) = match total {
                Total::Known(total @ 1..) => (done, total),
                // Empty. indicatif would show 0 of 0 as a full bar.
                _ => (0, 1),
            };
            bar.update(|state| {
                state.set_pos(done);
                state.set_len(total);
            });
        }
        // The bars of a list are those below that of the index.
        if now.is_list {
            self.bars[0].finish_and_clear();
        }
        let mut status = wrap(&now.status(), columns);
        status.truncate(MAX_STATUS_LINES);
        self.status.set_message(status.join("\n"));
        mem::take(&mut self.canvas.drawing().lines)
    }

    /// Erases the bars for good.
    pub fn finish(mut self) {
        self.frame.erase();
    }
}

/// The terminal that indicatif draws on. It keeps the lines of the last frame, for [`Frame`] to place:
/// indicatif counts the rows that it erases at the width that they were drawn with, which is wrong after a
/// resize, and draws a frame after each change of a bar.
#[derive(Debug, Clone, Default)]
struct Canvas(Arc<Mutex<Drawing>>);

#[derive(Debug, Default)]
struct Drawing {
    /// The width to draw for.
    columns: usize,
    /// The lines of a frame that is not complete yet.
    written: Vec<String>,
    /// The lines of the last complete frame.
    lines: Vec<String>,
}

impl Canvas {
    fn drawing(&self) -> MutexGuard<'_, Drawing> {
        self.0.lock().expect("no panic under this lock")
    }
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        self.drawing().columns.try_into().unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    /// Receives a whole line, or the spaces that fill the rest of it.
    fn write_str(&self, text: &str) -> io::Result<()> {
        let line = text.trim_end();
        if !line.is_empty() {
            self.drawing().written.push(line.to_owned());
        }
        Ok(())
    }

    /// Ends a frame.
    fn flush(&self) -> io::Result<()> {
        let drawing = &mut *self.drawing();
        drawing.lines = mem::take(&mut drawing.written);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::counters::Counters;
    use crate::telemetry::speed::Speed;

    #[test]
    fn bar_is_full_only_when_everything_is_done() {
        console::set_colors_enabled(false);
        let bars = Bars::new();
        let mut now = Snapshot::of(&Counters::default(), Duration::ZERO, &mut Speed::new());
        let mut check = |done, total, expected| {
            (now.fetched, now.companies) = (done, total);
            assert_eq!(bars.lines(&now, 29)[1], format!("fetched  {expected}"));
        };
        check(0, Total::Unknown, "────────     0/?");
        check(50, Total::AtLeast(50), "────────    50/50+");
        check(0, Total::Known(0), "────────     0/0");
        check(0, Total::Known(496), "────────     0/496");
        check(100, Total::Known(496), "━╸──────   100/496");
        check(495, Total::Known(496), "━━━━━━━╸   495/496");
        check(496, Total::Known(496), "━━━━━━━━   496/496");
        check(497, Total::Known(496), "━━━━━━━━   497/496");
        check(49, Total::AtLeast(12345), "───────    49/12345+");
    }
}
