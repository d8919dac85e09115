//! The exit codes of the program.

use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Complete = 0,
    /// A bug of this program.
    Internal = 1,
    /// The command line cannot be used, or the system allows too few threads or open files.
    Usage = 2,
    /// The rankings are written, some companies are missing.
    Partial = 3,
    /// The site refuses, cannot be reached, or lacks an index page for good.
    Unreachable = 4,
    /// The layout of the pages is unknown.
    Layout = 5,
    /// There is no usable exchange rate.
    NoRate = 6,
    /// A file cannot be written.
    Output = 7,
    /// Too few companies have a usable page, so no file is written.
    TooFew = 8,
    /// `diff --exit-code` has found changes.
    Changed = 10,
    /// Ended by SIGINT (Ctrl-C): 128 plus the signal's number, as in shells.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// The code of a program that a signal ended, by the signal's number.
    pub fn of_signal(number: i32) -> Self {
        const SIGINT: i32 = 2;
        if number == SIGINT {
            Exit::Interrupted
        } else {
            Exit::Terminated
        }
    }

    /// The code of a run that wrote its results, by its number.
    pub fn of_complete_run(number: u8) -> Self {
        let codes = [Exit::Partial, Exit::NoRate];
        let code = codes.into_iter().find(|exit| *exit as u8 == number);
        code.unwrap_or(Exit::Complete)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
