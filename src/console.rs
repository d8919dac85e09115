//! Printing to stdout and stderr. All text passes [`visible`], whatever page, server or file name it
//! comes from.

use std::env;
use std::io::{self, BufWriter, Write, stderr, stdout};
use std::panic::{self, PanicHookInfo};

use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::job::shell::{self, ResumeCommand};
use crate::site::text::{is_hidden, visible};
use crate::telemetry::screen::{self, ERROR, Size, WARNING};
use crate::words;

/// Prints text of any number of lines to stdout.
pub fn print_text(text: &str) -> Result<(), Stop> {
    let lines = text.split('\n').map(visible);
    print(lines.collect::<Vec<_>>().join("\n").as_bytes())
}

/// Streams JSON to stdout. [Hidden](is_hidden) characters become escapes of JSON, so the values are the
/// same.
pub fn print_json(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Stop> {
    stream(|out| write(&mut EscapeHidden(out)))
}

/// Writes JSON with hidden characters escaped. `serde_json` writes whole characters only.
struct EscapeHidden<W>(W);

impl<W: Write> Write for EscapeHidden<W> {
    fn write(&mut self, json: &[u8]) -> io::Result<usize> {
        match str::from_utf8(json) {
            Ok(text) if text.contains(|c| c != '\n' && is_hidden(c)) => {
                for c in text.chars() {
                    if c == '\n' || !is_hidden(c) {
                        write!(self.0, "{c}")?;
                        continue;
                    }
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(self.0, "\\u{unit:04x}")?;
                    }
                }
            }
            _ => self.0.write_all(json)?,
        }
        Ok(json.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes to stdout and flushes it, as [`stream`].
pub fn print(bytes: &[u8]) -> Result<(), Stop> {
    stream(|out| out.write_all(bytes))
}

/// Streams to stdout and flushes it. A closed pipe (`| head`) is not an error.
pub fn stream(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Stop> {
    let mut stdout = BufWriter::new(stdout().lock());
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Stop::new(
            Exit::Output,
            format!(
                "cannot write to stdout: {}; output files, if any, are complete",
                words::of_system(&error)
            ),
        )),
        _ => Ok(()),
    }
}

/// Prints text with colours to stdout, without them unless stdout shows them. What comes from pages is
/// [`visible`] already.
pub fn print_coloured(text: &str) -> Result<(), Stop> {
    let size = screen::size(stdout());
    print(screen::coloured(text, &stdout(), size).as_bytes())
}

/// Writes a line to stderr, after the name of the program. On a terminal it is wrapped at words.
pub fn say(line: &str) {
    let line = visible(line);
    let line = match line.strip_prefix("warning:") {
        Some(rest) => format!("{WARNING}warning:{WARNING:#}{rest}"),
        None => line.into_owned(),
    };
    let size = screen::size(stderr());
    write_line(&screen::fit(&format!("indexrank: {line}"), size), size);
}

/// Writes the line of an error to stderr.
pub fn say_error(line: &str) {
    let line = format!("{ERROR}indexrank:{ERROR:#} {}", visible(line));
    let size = screen::size(stderr());
    write_line(&screen::fit(&line, size), size);
}

/// Writes a line with a command at its end to stderr. The command is never wrapped, so that it can be
/// copied.
pub fn say_command(intro: &str, command: &str) {
    let intro = format!("indexrank: {intro}");
    let size = screen::size(stderr());
    write_line(&screen::fit_command(&intro, command, size), size);
}

fn write_line(line: &str, size: Option<Size>) {
    let line = format!("{line}\n");
    let line = screen::coloured(&line, &stderr(), size);
    // An error of stderr cannot be reported anywhere.
    let _ = stderr().write_all(line.as_bytes());
}

/// Writes text of any number of lines to stderr.
pub fn say_text(text: &str) {
    for line in text.lines() {
        let _ = writeln!(io::stderr(), "{}", visible(line));
    }
}

/// Prints panics by [`say`]: their messages can quote a page.
pub fn say_panics() {
    panic::set_hook(Box::new(|panic: &PanicHookInfo| {
        let place = panic.location().map(|place| format!(" at {place}"));
        let payload = panic.payload();
        let message = payload.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| payload.downcast_ref().copied());
        let message = message.unwrap_or("a panic without a message");
        say(&format!("panic{}: {message}", place.unwrap_or_default()));
    }));
}

/// What to say before the command that continues this run, after `what` such as "to resume", and the
/// command.
pub fn resume_command(what: &str) -> (String, String) {
    let ResumeCommand { line, placeholder } = shell::resume_command(env::args_os());
    let intro = match placeholder {
        Some(placeholder) => format!("{what}, with your own {placeholder}:"),
        None => format!("{what}:"),
    };
    (intro, line)
}
