//! What a run shows on a terminal, seen by a terminal emulator behind a pseudo terminal.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::run::market;
use crate::support::{MARKET, TestServer, command};

const ROWS: usize = 30;
/// Lines on the terminal before the program starts.
const EARLIER: usize = 40;
/// Longer than anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run on a terminal emulator that wraps its lines anew when it is resized, as most do.
pub struct Terminal {
    /// The program's terminal.
    pty: OwnedFd,
    output: Receiver<Vec<u8>>,
    screen: avt::Terminal,
    /// All that the program has written.
    bytes: Vec<u8>,
    /// The end of them that the screen has not got yet.
    pending: Vec<u8>,
    child: Child,
}

impl Terminal {
    /// Starts the program with stderr on a terminal, and stdout if `with_tables`.
    pub fn start(columns: usize, mut command: Command, with_tables: bool) -> Self {
        let pty = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&pty).unwrap();
        unlockpt(&pty).unwrap();
        let name = ptsname(&pty, Vec::new()).unwrap().into_string().unwrap();
        tcsetwinsize(&pty, winsize(columns)).unwrap();
        let end: File = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name)
            .unwrap();
        if with_tables {
            command.stdout(end.try_clone().unwrap());
        } else {
            command.stdout(Stdio::null());
        }
        let child = command.stderr(end).spawn().unwrap();
        // It holds the program's end of the terminal.
        drop(command);
        let mut reader = File::from(pty.try_clone().unwrap());
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end of the program is an error.
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                let _ = sender.send(buffer[..length].to_vec());
            }
        });
        let mut screen = avt::Terminal::with_scrollback(columns, ROWS, None).unwrap();
        // The program starts at the bottom of a full screen.
        screen.feed("earlier\r\n".repeat(EARLIER));
        Terminal {
            pty,
            output,
            screen,
            bytes: Vec::new(),
            pending: Vec::new(),
            child,
        }
    }

    fn resize(&mut self, columns: usize) {
        tcsetwinsize(&self.pty, winsize(columns)).unwrap();
        self.screen.resize(columns, ROWS);
    }

    /// Shows what the program writes until `is_seen`.
    pub fn wait_until(&mut self, is_seen: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !is_seen(self) {
            assert!(started.elapsed() < PATIENCE, "{:#?}", self.lines());
            self.show(Duration::from_millis(50)).ok();
        }
    }

    fn show(&mut self, timeout: Duration) -> Result<(), RecvTimeoutError> {
        let bytes = self.output.recv_timeout(timeout)?;
        self.bytes.extend(&bytes);
        // A character may be split between two reads.
        self.pending.extend(&bytes);
        let whole = match std::str::from_utf8(&self.pending) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let whole: Vec<u8> = self.pending.drain(..whole).collect();
        self.screen.feed(String::from_utf8(whole).unwrap());
        Ok(())
    }

    /// Shows everything that the program writes, and returns its exit code.
    pub fn finish(&mut self) -> i32 {
        while self.show(PATIENCE).is_ok() {}
        self.child.wait().unwrap().code().unwrap()
    }

    /// Lines of the terminal from the first to the last that is not empty, with those that have scrolled
    /// out of it. Wrapped lines are joined.
    fn lines(&self) -> Vec<String> {
        let mut lines = self.screen.primary_screen().text();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// The lines after those before the program.
    pub fn own_lines(&self) -> Vec<String> {
        let lines = self.lines();
        assert_eq!(lines[..EARLIER], ["earlier"; EARLIER], "{lines:#?}");
        lines[EARLIER..].to_vec()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn winsize(columns: usize) -> Winsize {
    Winsize {
        ws_row: ROWS as u16,
        ws_col: columns as u16,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// A market that holds back its company pages until it is opened.
struct Gate {
    server: TestServer,
    opened: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    fn closed() -> Self {
        let opened = Arc::new((Mutex::new(false), Condvar::new()));
        let waits = opened.clone();
        let server = TestServer::start(market(), move |path, _| {
            if path.starts_with("/stocks/") {
                let opened = waits.0.lock().unwrap();
                drop(waits.1.wait_while(opened, |opened| !*opened).unwrap());
            }
            None
        });
        Gate { server, opened }
    }

    fn open(&self) {
        *self.opened.0.lock().unwrap() = true;
        self.opened.1.notify_all();
    }

    fn command(&self, folder: &Path, options: &[&str]) -> Command {
        let from = ["--from", self.server.address()];
        run_command(folder, &[&from, options].concat())
    }
}

/// The binary in an environment that allows bars and colours.
fn run_command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(folder, arguments);
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command.env("TERM", "xterm-256color");
    command
}

/// Whether the terminal shows the bars of a run that waits for its companies, and nothing else, as wide as
/// the terminal.
fn shows_bars(terminal: &Terminal, columns: usize) -> bool {
    let lines = terminal.lines();
    let Some([index, fetched, parsed, status @ ..]) = lines.get(EARLIER..) else {
        return false;
    };
    let bar =
        |name: &str, done: &str, width: usize| format!("{name:<9}{}  {done}", "━".repeat(width));
    // ` 12345/12345` behind each bar
    let width = columns - 9 - 12;
    let empty = |name: &str| format!("{name:<9}{}     0/60", "─".repeat(width));
    let status = status.join(" ");
    lines[..EARLIER] == ["earlier"; EARLIER]
        && *index == bar("index", "   2/2", width)
        && *fetched == empty("fetched")
        && *parsed == empty("parsed")
        && status.starts_with("0.0 pages/s, ")
        && status.ends_with("0 failures")
}

/// Each frame replaces the one before, at every width, and the last one is erased.
#[test]
fn bars_are_as_wide_as_the_terminal_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::closed();
    let mut terminal = Terminal::start(130, gate.command(folder.path(), &[]), true);
    terminal.wait_until(|terminal| shows_bars(terminal, 130));
    for columns in [60, 100, 80, 50, 130, 55] {
        terminal.resize(columns);
        terminal.wait_until(|terminal| shows_bars(terminal, columns));
    }
    gate.open();
    assert_eq!(terminal.finish(), 0);
    let lines = terminal.own_lines();
    assert!(
        lines[0].trim_start().starts_with("Code    Dearest"),
        "{lines:#?}"
    );
    let is_left = |line: &&String| line.contains('━') || line.contains("0 failures");
    assert_eq!(lines.iter().find(is_left), None, "{lines:#?}");
}

#[test]
fn bars_become_plain_lines_when_the_terminal_gets_narrow() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::closed();
    let mut terminal = Terminal::start(80, gate.command(folder.path(), &[]), false);
    terminal.wait_until(|terminal| shows_bars(terminal, 80));
    // Those of stderr, although stdout is no terminal
    assert!(has_colours(&terminal.text()));
    terminal.resize(40);
    terminal.wait_until(|terminal| terminal.text().contains("s: index 2/2"));
    gate.open();
    assert_eq!(terminal.finish(), 0);
    let text = terminal.text();
    let (_, lines) = text.rsplit_once("\x1b[2K").unwrap();
    assert!(!lines.contains('\x1b'), "{lines:?}");
    let lines = terminal.own_lines();
    assert!(lines[0].ends_with("fetched 0/60, parsed"), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains('─')), "{lines:#?}");
}

/// A terminal that is narrow or cannot move its cursor gets plain lines without control characters.
#[test]
fn narrow_and_dumb_terminals_get_plain_lines() {
    for (columns, term) in [(49, "xterm-256color"), (80, "dumb")] {
        let folder = tempfile::tempdir().unwrap();
        let gate = Gate::closed();
        let mut command = gate.command(folder.path(), &[]);
        // As a CI service sets it
        command.env("TERM", term).env("CI", "true");
        let mut terminal = Terminal::start(columns, command, true);
        terminal.wait_until(|terminal| terminal.text().contains("s: index 2/2"));
        gate.open();
        assert_eq!(terminal.finish(), 0);
        let text = terminal.text().replace("\r\n", "\n");
        let control = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{text:?}");
    }
}

/// A sequence `ESC [ ... m` sets a colour.
fn has_colours(text: &str) -> bool {
    let mut sequences = text.split("\x1b[").skip(1);
    let is_colour = |sequence: &str| {
        let end = sequence.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        end.starts_with('m')
    };
    sequences.any(is_colour)
}

#[test]
fn no_color_takes_colours_and_keeps_bars() {
    for (no_color, expected) in [("", true), ("1", false)] {
        let folder = tempfile::tempdir().unwrap();
        let gate = Gate::closed();
        let mut command = gate.command(folder.path(), &[]);
        command.env("NO_COLOR", no_color);
        let mut terminal = Terminal::start(80, command, true);
        terminal.wait_until(|terminal| shows_bars(terminal, 80));
        assert_eq!(has_colours(&terminal.text()), expected, "bars");
        let frames = terminal.bytes.len();
        gate.open();
        assert_eq!(terminal.finish(), 0);
        let rest = String::from_utf8_lossy(&terminal.bytes[frames..]);
        let (_, tables) = rest.split_once("Dearest").unwrap();
        assert_eq!(has_colours(tables), expected, "tables");
    }
}

/// `indexrank: ` and the message are wrapped at words, the command behind it is whole.
#[test]
fn wraps_messages_at_words_and_keeps_the_resume_command_whole() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::closed();
    let options = ["--max-time", "0.5", "--out", "a folder with a long name"];
    let mut terminal = Terminal::start(60, gate.command(folder.path(), &options), true);
    assert_eq!(terminal.finish(), 4);
    gate.open();
    let text = terminal.text();
    let (_, messages) = text.rsplit_once("\x1b[2K").unwrap_or(("", &text));
    let lines: Vec<&str> = messages.lines().collect();
    let is_wrapped = |line: &&str| line.starts_with("  ");
    assert!(lines.iter().any(is_wrapped), "{lines:#?}");
    let command = format!(
        "{} --from {} --max-time 0.5 --out 'a folder with a long name' --resume",
        env!("CARGO_BIN_EXE_indexrank"),
        gate.server.address()
    );
    assert_eq!(
        lines[lines.len() - 2..],
        ["indexrank: to resume:", &*command]
    );
    for line in &lines[..lines.len() - 1] {
        let columns = line
            .replace("\x1b[1m\x1b[31m", "")
            .replace("\x1b[0m", "")
            .len();
        assert!(columns <= 60, "{lines:#?}");
    }
}

/// The bars of fast runs are erased too, whatever the width.
#[test]
fn short_runs_leave_nothing_behind() {
    for columns in [130, 100, 80, 60, 50] {
        let folder = tempfile::tempdir().unwrap();
        let address = MARKET.address();
        let run = run_command(folder.path(), &["--from", &address]);
        let mut terminal = Terminal::start(columns, run, true);
        assert_eq!(terminal.finish(), 0);
        let lines = terminal.own_lines();
        assert!(
            lines[0].trim_start().starts_with("Code    Dearest"),
            "{lines:#?}"
        );
        assert!(!lines.iter().any(|line| line.contains('━')), "{lines:#?}");
    }
}
