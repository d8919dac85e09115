//! The standings while the race goes: a board on a terminal, a line for each finished condition elsewhere.
//!
//! The board is drawn between runs only, so that it takes no CPU time from a run.

use std::io::{Write, stderr};

use unicode_width::UnicodeWidthStr;

use crate::race::number_format::duration;
use crate::race::stats::Spread;
use crate::site::text::visible;
use crate::telemetry::frame::Frame;
use crate::telemetry::screen::{self, Size, wrap};
use crate::words::quantity;

/// A narrower terminal gets lines. A row has 40 columns with the longest name, `thread-per-page`.
const MIN_COLUMNS: usize = 40;
/// Rows of the board beside those of the participants: two of the heading, and the cursor's.
const OTHER_ROWS: usize = 3;
/// From this width on, a row also has the best time and the distance to the first.
const WIDE: usize = 66;

/// The standings under the present condition. Erased when it is dropped.
#[derive(Debug)]
pub struct Board {
    /// `None` if stderr cannot show a board.
    frame: Option<Frame>,
    heading: String,
    rows: Vec<Row>,
    running: Option<usize>,
    round: u32,
    /// Estimated seconds of the later conditions.
    later: f64,
    /// Estimated seconds to the end of the race.
    left: f64,
}

#[derive(Debug)]
struct Row {
    name: String,
    walls: Vec<f64>,
    is_broken: bool,
}

impl Board {
    pub fn for_stderr() -> Self {
        let is_wide = screen::size(stderr()).is_some_and(|size| size.columns >= MIN_COLUMNS);
        let is_capable = is_wide && !screen::is_dumb();
        Board {
            frame: is_capable.then(Frame::default),
            heading: String::new(),
            rows: Vec::new(),
            running: None,
            round: 0,
            later: 0.0,
            left: 0.0,
        }
    }

    /// Begins a condition. `later` are the estimated seconds of the conditions after it.
    pub fn begin<'a>(&mut self, heading: String, names: impl Iterator<Item = &'a str>, later: f64) {
        self.heading = heading;
        self.rows = names
            .map(|name| Row {
                name: name.to_owned(),
                walls: Vec::new(),
                is_broken: false,
            })
            .collect();
        self.later = later;
    }

    /// Shows that the participant with number `at` runs. `left` are the estimated seconds to the end of the
    /// condition.
    pub fn begin_run(&mut self, at: usize, round: u32, left: f64) {
        self.running = Some(at);
        self.round = round;
        self.left = left + self.later;
        self.draw();
    }

    /// Adds the wall time of a counted run in seconds.
    pub fn end_run(&mut self, at: usize, wall: Option<f64>) {
        self.running = None;
        self.rows[at].walls.extend(wall);
    }

    pub fn disqualify(&mut self, at: usize) {
        self.rows[at].is_broken = true;
    }

    /// Ends a condition. Without a board, writes `summary` and the time that is left.
    pub fn end(&mut self, summary: &str) {
        self.running = None;
        self.erase();
        if self.frame.is_none() {
            let left = match self.later {
                0.0 => String::new(),
                later => format!("; {} left", duration(later)),
            };
            self.say(&format!("{summary}{left}"));
        }
    }

    /// Writes a line to stderr, in place of the board.
    pub fn say(&mut self, line: &str) {
        self.erase();
        let line = screen::fit(
            &format!("indexrank: {}", visible(line)),
            screen::size(stderr()),
        );
        // An error of stderr cannot be reported anywhere.
        let _ = writeln!(stderr(), "{line}");
    }

    pub fn erase(&mut self) {
        if let Some(frame) = &mut self.frame {
            frame.erase();
        }
    }

    fn draw(&mut self) {
        let Some(frame) = &mut self.frame else { return };
        frame.follow_size();
        let Some(size) = frame.settled_size() else {
            return;
        };
        let lines = self.lines(size);
        if let Some(frame) = &mut self.frame {
            frame.draw(lines);
        }
    }

    /// The lines of the board, at most `size.columns` wide. None if they do not fit.
    fn lines(&self, size: Size) -> Vec<String> {
        if size.columns < MIN_COLUMNS || size.rows < OTHER_ROWS {
            return Vec::new();
        }
        let round = match self.round {
            0 => "warm-up".to_owned(),
            round => format!("round {round}"),
        };
        let heading = format!("{}, {round}, {} left", self.heading, duration(self.left));
        let mut lines = wrap(&heading, size.columns);
        lines.truncate(2);
        let rows = size.rows - OTHER_ROWS;
        lines.extend(self.rows(size.columns).into_iter().take(rows));
        lines
    }

    fn rows(&self, columns: usize) -> Vec<String> {
        let spreads: Vec<Option<Spread>> = self
            .rows
            .iter()
            .map(|row| Spread::of(row.walls.iter().copied()).filter(|_| !row.is_broken))
            .collect();
        let medians = || spreads.iter().flatten().map(|spread| spread.median);
        let first = medians().min_by(f64::total_cmp).unwrap_or(0.0);
        let width = self.rows.iter().map(|row| row.name.width());
        // A longer name of a program is cut.
        let width = width.max().unwrap_or(0).min(15);
        let row = |(at, (row, spread)): (usize, (&Row, &Option<Spread>))| {
            let name: String = visible(&row.name).chars().take(width).collect();
            let mark = if self.running == Some(at) { "…" } else { "" };
            let Some(Spread { median, min, .. }) = *spread else {
                let state = if row.is_broken { "disqualified" } else { "" };
                return format!("{name:width$}  {state:>12}  {mark}")
                    .trim_end()
                    .to_owned();
            };
            let place = medians().filter(|other| *other < median).count() + 1;
            let runs = row.walls.len();
            let line = if columns < WIDE {
                format!("{name:width$} {runs:>3} {median:>7.3} s {place:>2}.")
            } else {
                let behind = match place {
                    1 => String::new(),
                    _ if median >= 2.0 * first => format!("× {:.1}", median / first),
                    _ => format!("+{:.1} %", (median / first - 1.0) * 100.0),
                };
                let runs = quantity(runs, "run", "runs");
                format!(
                    "{name:width$} {runs:>8}  {median:>7.3} s  best {min:>7.3} s {place:>3}. {behind:>9}"
                )
            };
            format!("{line}  {mark}").trim_end().to_owned()
        };
        let rows = self.rows.iter().zip(&spreads).enumerate();
        rows.map(row).collect()
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.erase();
    }
}
