//! Progress of a run: bars on a terminal, plain lines elsewhere, nothing if quiet.
//!
//! A thread of its own looks at the [`Counters`] ten times a second; the stages know nothing of it.

use std::io::{Write, stderr};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use terminal_size::terminal_size_of;

use crate::telemetry::counters::Counters;

const BAR_TICK: Duration = Duration::from_millis(100);
/// Columns that the bars need.
const NARROWEST: u16 = 50;
const LINE_TICK: Duration = Duration::from_secs(2);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Bars,
    Lines,
    Nothing,
}

impl Style {
    /// Bars need a terminal that can move its cursor and has room for them, and a user who has not
    /// asked for plain text with `NO_COLOR`.
    pub fn for_stderr(quiet: bool) -> Self {
        let plain = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let width = terminal_size_of(stderr()).map(|(width, _)| width.0);
        let is_wide = width.is_some_and(|width| width >= NARROWEST);
        if quiet {
            Style::Nothing
        } else if is_wide && !plain("NO_COLOR") && !dumb {
            Style::Bars
        } else {
            Style::Lines
        }
    }
}

/// A display that is running. [Finished](Progress::finish) or dropped, it leaves nothing on the
/// terminal.
#[derive(Debug)]
pub struct Progress {
    stop: Option<Sender<()>>,
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
        let display = thread::spawn(move || {
            let started = Instant::now();
            let mut bars = (style == Style::Bars).then(Bars::new);
            let tick = if bars.is_some() { BAR_TICK } else { LINE_TICK };
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(tick) {
                let now = Snapshot::of(&counters, started.elapsed());
                match &mut bars {
                    Some(bars) => bars.draw(&now),
                    // Progress that cannot be written is not worth a word.
                    None => drop(writeln!(stderr(), "{}", now.line())),
                }
            }
            if let Some(bars) = bars {
                bars.clear();
            }
        });
        Progress {
            stop: Some(stop),
            display: Some(display),
        }
    }

    /// Takes the display away.
    pub fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.take();
        if let Some(display) = self.display.take() {
            let _ = display.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

/// The counters at one moment.
struct Snapshot {
    seconds: f64,
    index: (u64, u64),
    listed: u64,
    fetched: u64,
    read: u64,
    megabytes: f64,
    retries: u64,
    failures: u64,
    waiting: u64,
    resting: u64,
    paused: f64,
    apart: f64,
}

impl Snapshot {
    fn of(counters: &Counters, elapsed: Duration) -> Self {
        Snapshot {
            seconds: elapsed.as_secs_f64(),
            index: (counters.index_parsed.get(), counters.index_pages.get()),
            listed: counters.listed.get(),
            fetched: counters.fetched.get(),
            read: counters.parsed.get(),
            megabytes: counters.bytes_wire.get() as f64 / 1e6,
            retries: counters.retries.get(),
            failures: counters.failed.get(),
            waiting: counters.waiting.get(),
            resting: counters.held_back.get(),
            paused: counters.paused_ms.get() as f64 / 1e3,
            apart: counters.crawl_delay_ms.get() as f64 / 1e3,
        }
    }

    fn rates(&self) -> String {
        let seconds = self.seconds.max(0.001);
        let (pages, megabytes) = (self.fetched as f64 / seconds, self.megabytes / seconds);
        let (retries, failures) = (self.retries, self.failures);
        let mut text = format!(
            "{pages:.0} pages/s, {megabytes:.1} MB/s, {retries} retries, {failures} failures"
        );
        // What a quiet run has nothing of.
        if self.apart > 0.0 {
            text += &format!(", {} s between requests by robots.txt", self.apart);
        }
        if self.waiting > 0 {
            text += &format!(", {} waiting", self.waiting);
        }
        if self.resting > 0 {
            text += &format!(", {} workers resting", self.resting);
        }
        if self.paused > 0.0 {
            text += &format!(", {:.0} s of pause asked for", self.paused);
        }
        text
    }

    fn line(&self) -> String {
        let Snapshot {
            seconds,
            index: (index_read, index_pages),
            listed,
            fetched,
            read,
            ..
        } = self;
        format!(
            "{seconds:.0} s: index {index_read}/{index_pages}, fetched {fetched}/{listed}, read {read}/{listed}, {}",
            self.rates()
        )
    }
}

struct Bars {
    all: MultiProgress,
    /// The library leaves the cursor in the last column, so that the `^C` of a user wraps, and clears
    /// one line too few at the top: this one, which is empty.
    space: ProgressBar,
    index: ProgressBar,
    fetched: ProgressBar,
    read: ProgressBar,
    rates: ProgressBar,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let bar = |name: &str, end: &str| {
            let template = format!("{name:<8} {{bar:24!}} {{pos:>5}}/{{len:<5}}{end}");
            let style = ProgressStyle::with_template(&template).expect("a template of ours");
            all.add(ProgressBar::new(0).with_style(style.progress_chars("━╸─")))
        };
        let text = ProgressStyle::with_template("{msg}").expect("a template of ours");
        let space = ProgressStyle::with_template(" ").expect("a template of ours");
        Bars {
            space: all.add(ProgressBar::new(0).with_style(space)),
            index: bar("index", ""),
            fetched: bar("fetched", " {msg}"),
            read: bar("read", ""),
            rates: all.add(ProgressBar::new(0).with_style(text)),
            all,
        }
    }

    fn draw(&mut self, now: &Snapshot) {
        let (index_read, index_pages) = now.index;
        self.space.tick();
        for (bar, position, length) in [
            (&self.index, index_read, index_pages),
            (&self.fetched, now.fetched, now.listed),
            (&self.read, now.read, now.listed),
        ] {
            bar.set_length(length);
            bar.set_position(position);
        }
        // As long as the index is not read, nobody knows how much there is to do.
        if index_read == index_pages && now.fetched > 0 {
            self.fetched
                .set_message(format!("ETA {} s", self.fetched.eta().as_secs()));
        }
        let width = terminal_size_of(stderr()).map_or(NARROWEST, |(width, _)| width.0);
        let rates: String = now.rates().chars().take(width.into()).collect();
        self.rates.set_message(rates);
    }

    fn clear(self) {
        for bar in [
            &self.space,
            &self.index,
            &self.fetched,
            &self.read,
            &self.rates,
        ] {
            bar.finish_and_clear();
        }
        let _ = self.all.clear();
    }
}
