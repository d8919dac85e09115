//! Printing to stdout and stderr. All text passes [`visible`], whatever page, server or file name it
//! comes from.

use std::env;
use std::io::{self, BufWriter, Write};
use std::panic::{self, PanicHookInfo};

use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::job::shell::{self, ResumeCommand};
use crate::site::text::{is_hidden, visible};
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
    let mut stdout = BufWriter::new(io::stdout().lock());
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

/// Writes a line to stderr, after the name of the program.
pub fn say(line: &str) {
    // An error of stderr cannot be reported anywhere.
    let _ = writeln!(io::stderr(), "indexrank: {}", visible(line));
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

/// Says how to continue the run, after `what` such as "to resume".
pub fn say_resume_command(what: &str) {
    let ResumeCommand { line, placeholder } = shell::resume_command(env::args_os());
    match placeholder {
        Some(placeholder) => say(&format!("{what}, with your own {placeholder}: {line}")),
        None => say(&format!("{what}: {line}")),
    }
}
