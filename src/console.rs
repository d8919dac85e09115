//! Printing to stdout and stderr.

use std::env;
use std::io::{self, BufWriter, Write};

use crate::exit::Exit;
use crate::job::advice::{Stop, quote};

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
            format!("cannot write to stdout: {error}; output files, if any, are complete"),
        )),
        _ => Ok(()),
    }
}

/// Writes a line to stderr, after the name of the program.
pub fn say(line: &str) {
    // An error of stderr cannot be reported anywhere.
    let _ = writeln!(io::stderr(), "indexrank: {line}");
}

/// The command line of this process with `--resume`, quoted for a shell.
pub fn resume_command() -> String {
    let words = env::args_os().map(|word| quote(&word.to_string_lossy()));
    let mut words: Vec<String> = words.collect();
    if !words.iter().any(|word| word == "--resume") {
        words.push("--resume".to_owned());
    }
    words.join(" ")
}
