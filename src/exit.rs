//! How a run can end, as the number that a shell sees.

use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for is there.
    Complete = 0,
    /// A fault of this program.
    Internal = 1,
    /// Words on the command line that cannot be used.
    Usage = 2,
    /// The rankings are written, some companies are missing.
    Partial = 3,
    /// The site is blocked or cannot be reached, or an index page is missing for good.
    Unreachable = 4,
    /// The pages are not laid out as this program knows them.
    Layout = 5,
    /// No usable exchange rate.
    NoRate = 6,
    /// A file cannot be written.
    Output = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a run ends before its rankings are written: one sentence, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Stop {
    pub exit: Exit,
    pub message: String,
}

impl Stop {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Stop {
            exit,
            message: message.into(),
        }
    }
}

impl From<crate::output::OutputError> for Stop {
    fn from(error: crate::output::OutputError) -> Self {
        Stop::new(Exit::Output, error.to_string())
    }
}
