//! Progress of a run on stderr: bars on a terminal, plain lines elsewhere, nothing with `--quiet`.
//!
//! A separate thread samples the [`Counters`], so the stages of the pipeline do not depend on the
//! display.

use std::env;
use std::io::{Write, stderr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use terminal_size::terminal_size_of;

use crate::telemetry::counters::Counters;

const BAR_INTERVAL: Duration = Duration::from_millis(100);
const LINE_INTERVAL: Duration = Duration::from_secs(2);
/// Terminal columns that the bars need.
const MIN_COLUMNS: u16 = 50;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Bars,
    Lines,
    Nothing,
}

impl Style {
    /// Chooses the style for stderr. Bars need a terminal of at least 50 columns that can move its
    /// cursor (`TERM` is not `dumb`). `NO_COLOR` requests plain lines.
    pub fn for_stderr(quiet: bool) -> Self {
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_wide = columns().is_some_and(|columns| columns >= MIN_COLUMNS);
        if quiet {
            Style::Nothing
        } else if is_wide && !no_color && !is_dumb {
            Style::Bars
        } else {
            Style::Lines
        }
    }
}

/// The columns of the terminal on stderr. `None` if stderr is not a terminal.
fn columns() -> Option<u16> {
    terminal_size_of(stderr()).map(|(width, _)| width.0)
}

/// A running display. It clears its bars when it is [finished](Progress::finish) or dropped.
#[derive(Debug)]
pub struct Progress {
    /// Dropping it stops the display.
    stop: Option<Sender<()>>,
    /// The thread that draws. `None` with [`Style::Nothing`].
    display: Option<JoinHandle<()>>,
}

impl Progress {
    pub fn start(style: Style, counters: Arc<Counters>) -> Self {
        if style == Style::Nothing {
            return Progress {
                stop: None,
                display: None,
            };
        }
        let (stop, stopped) = channel();
        let show = move || match style {
            Style::Bars => show_bars(&counters, &stopped),
            _ => show_lines(&counters, &stopped),
        };
        Progress {
            stop: Some(stop),
            // A run goes on without its display if no thread can be started.
            display: thread::Builder::new().spawn(show).ok(),
        }
    }

    /// Stops the display and clears its bars.
    pub fn finish(mut self) {
        self.stop_and_join();
    }

    fn stop_and_join(&mut self) {
        self.stop.take();
        if let Some(display) = self.display.take() {
            // A display that panicked must not end the run.
            let _ = display.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop_and_join();
    }
}

fn show_bars(counters: &Counters, stopped: &Receiver<()>) {
    let started = Instant::now();
    let mut bars = Bars::new();
    while is_running(stopped, BAR_INTERVAL) {
        bars.draw(&Snapshot::of(counters, started.elapsed()));
    }
    bars.clear();
}

fn show_lines(counters: &Counters, stopped: &Receiver<()>) {
    let started = Instant::now();
    while is_running(stopped, LINE_INTERVAL) {
        let line = Snapshot::of(counters, started.elapsed()).line();
        // A closed stderr must not end the run.
        let _ = writeln!(stderr(), "{line}");
    }
}

/// Waits for the next interval. Returns false as soon as the display is stopped.
fn is_running(stopped: &Receiver<()>, interval: Duration) -> bool {
    stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout)
}

/// The counters at one moment.
struct Snapshot {
    seconds: f64,
    index_parsed: u64,
    index_pages: u64,
    listed: u64,
    fetched: u64,
    parsed: u64,
    megabytes: f64,
    retries: u64,
    failures: u64,
    waiting: u64,
    held_back: u64,
    paused_seconds: f64,
    crawl_delay_seconds: f64,
}

impl Snapshot {
    fn of(counters: &Counters, elapsed: Duration) -> Self {
        Snapshot {
            seconds: elapsed.as_secs_f64(),
            index_parsed: counters.index_parsed.get(),
            index_pages: counters.index_pages.get(),
            listed: counters.listed.get(),
            fetched: counters.fetched.get(),
            parsed: counters.parsed.get(),
            megabytes: counters.bytes_wire.get() as f64 / 1e6,
            retries: counters.retries.get(),
            failures: counters.failed.get(),
            waiting: counters.waiting.get(),
            held_back: counters.held_back.get(),
            paused_seconds: counters.paused_ms.get() as f64 / 1e3,
            crawl_delay_seconds: counters.crawl_delay_ms.get() as f64 / 1e3,
        }
    }

    /// Rates and problems. Delays appear only in a run that has some.
    fn rates(&self) -> String {
        let seconds = self.seconds.max(0.001);
        let (pages, megabytes) = (self.fetched as f64 / seconds, self.megabytes / seconds);
        let mut text = format!(
            "{pages:.0} pages/s, {megabytes:.1} MB/s, {}, {}",
            quantity(self.retries, "retry", "retries"),
            quantity(self.failures, "failure", "failures"),
        );
        if self.crawl_delay_seconds > 0.0 {
            text += &format!(
                ", {} s between requests (robots.txt)",
                self.crawl_delay_seconds
            );
        }
        if self.waiting > 0 {
            let pages = quantity(self.waiting, "page", "pages");
            text += &format!(", {pages} waiting for a retry");
        }
        if self.held_back > 0 {
            let workers = quantity(self.held_back, "worker", "workers");
            text += &format!(", {workers} held back");
        }
        if self.paused_seconds > 0.0 {
            text += &format!(", {:.0} s of pause (Retry-After)", self.paused_seconds);
        }
        text
    }

    fn line(&self) -> String {
        let Snapshot {
            seconds,
            index_parsed,
            index_pages,
            listed,
            fetched,
            parsed,
            ..
        } = self;
        format!(
            "{seconds:.0} s: index {index_parsed}/{index_pages}, fetched {fetched}/{listed}, parsed {parsed}/{listed}, {}",
            self.rates()
        )
    }
}

/// `0 retries`, `1 retry`, `2 retries`.
fn quantity(number: u64, singular: &str, plural: &str) -> String {
    let noun = if number == 1 { singular } else { plural };
    format!("{number} {noun}")
}

struct Bars {
    all: MultiProgress,
    /// An empty line above the bars. indicatif leaves the cursor in the last column, so an echoed
    /// `^C` wraps to a new line. On exit the top line is then left uncleared; this empty line takes
    /// its place.
    spacer: ProgressBar,
    index: ProgressBar,
    fetched: ProgressBar,
    parsed: ProgressBar,
    rates: ProgressBar,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let add = |template: &str| {
            let style = ProgressStyle::with_template(template).expect("a valid template");
            all.add(ProgressBar::new(0).with_style(style.progress_chars("━╸─")))
        };
        let bar = |name: &str, end: &str| {
            add(&format!("{name:<8} {{bar:24!}} {{pos:>5}}/{{len:<5}}{end}"))
        };
        Bars {
            spacer: add(" "),
            index: bar("index", ""),
            fetched: bar("fetched", " {msg}"),
            parsed: bar("parsed", ""),
            rates: add("{msg}"),
            all,
        }
    }

    fn draw(&mut self, now: &Snapshot) {
        self.spacer.tick();
        for (bar, position, length) in [
            (&self.index, now.index_parsed, now.index_pages),
            (&self.fetched, now.fetched, now.listed),
            (&self.parsed, now.parsed, now.listed),
        ] {
            bar.set_length(length);
            bar.set_position(position);
        }
        // Until all index pages are parsed, the number of companies is unknown, so there is no ETA.
        if now.index_parsed == now.index_pages && now.fetched > 0 {
            self.fetched
                .set_message(format!("ETA {} s", self.fetched.eta().as_secs()));
        }
        let columns = usize::from(columns().unwrap_or(MIN_COLUMNS));
        let rates: String = now.rates().chars().take(columns).collect();
        self.rates.set_message(rates);
    }

    fn clear(self) {
        for bar in [
            &self.spacer,
            &self.index,
            &self.fetched,
            &self.parsed,
            &self.rates,
        ] {
            bar.finish_and_clear();
        }
        // A terminal that cannot be cleared must not end the run.
        let _ = self.all.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_uses_singular_and_plural_nouns() {
        let counters = Counters::default();
        let line = || Snapshot::of(&counters, Duration::from_millis(2_010)).line();
        let start = "2 s: index 7/11, fetched 47/322, parsed 46/322, 23 pages/s, 0.9 MB/s";
        counters.index_parsed.add(7);
        counters.index_pages.add(11);
        counters.listed.add(322);
        counters.fetched.add(47);
        counters.parsed.add(46);
        counters.bytes_wire.add(1_800_000);
        assert_eq!(line(), format!("{start}, 0 retries, 0 failures"));

        counters.retries.add(2);
        counters.failed.add(1);
        counters.waiting.add(1);
        counters.held_back.add(3);
        counters.paused_ms.add(2_000);
        counters.crawl_delay_ms.add(500);
        assert_eq!(
            line(),
            format!(
                "{start}, 2 retries, 1 failure, 0.5 s between requests (robots.txt), \
                 1 page waiting for a retry, 3 workers held back, 2 s of pause (Retry-After)"
            )
        );
    }
}
