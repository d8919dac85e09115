//! The circumstances in which a race starts: its command line, the time, and the load of the machine.

use std::ffi::OsString;
use std::fs;

use jiff::Timestamp;

use crate::job::shell;

pub struct Start {
    /// The command line, quoted for a shell.
    pub command: String,
    /// `2026-01-31 12:00 UTC`
    pub time: String,
    /// The load average of the last minute. `None` on systems without `/proc/loadavg`.
    pub load: Option<f64>,
}

impl Start {
    pub fn now() -> Self {
        Start {
            command: command(std::env::args_os().skip(1)),
            time: Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
            load: fs::read_to_string("/proc/loadavg")
                .ok()
                .and_then(|text| load_of_last_minute(&text)),
        }
    }
}

/// Leaves out the path of the program, which may name folders of the user.
fn command(arguments: impl Iterator<Item = OsString>) -> String {
    let words = arguments.map(|argument| shell::quote(&argument));
    ["indexrank".to_owned()]
        .into_iter()
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The first number of `/proc/loadavg`.
fn load_of_last_minute(loadavg: &str) -> Option<f64> {
    loadavg.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_the_command_line() {
        let arguments = ["race", "--also", "mine=sleep 1; true"].map(OsString::from);
        assert_eq!(
            command(arguments.into_iter()),
            "indexrank race --also 'mine=sleep 1; true'"
        );
    }

    #[test]
    fn reads_the_load() {
        for (text, expected) in [("0.52 0.58 0.59 1/467 12\n", Some(0.52)), ("", None)] {
            assert_eq!(load_of_last_minute(text), expected, "{text:?}");
        }
    }
}
