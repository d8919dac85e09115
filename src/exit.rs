//! How a run can end, as the number that a shell sees.

use std::process::ExitCode;

use crate::http::page::Reason;
use crate::pipeline::harvest::Harvest;
use crate::pipeline::walker::{Leaf, WalkError};
use crate::replica::Market;
use crate::results::layout_check;
use crate::source::Origin;
use crate::source::retry;
use crate::source::throttle::Cause;
use crate::warc::journal::ResumeError;

const NO_NETWORK: &str = "`--from replica` needs no network";

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
    /// Ended by SIGINT (Ctrl-C): 128 and the signal's number, as shells have it.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

const REFUSED: &str =
    "nothing here gets round that: wait, and ask less with --workers 4 or --rps 1";
const SIGINT: i32 = 2;

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
    /// Whether the same command with `--resume` goes on from here.
    pub resumable: bool,
}

impl Stop {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Stop {
            exit,
            message: message.into(),
            resumable: false,
        }
    }

    /// What to tell a user whose run was ended before it was done.
    pub fn of_cause(cause: &Cause) -> Self {
        let (exit, message) = match cause {
            Cause::Signal(SIGINT) => (Exit::Interrupted, "interrupted".to_owned()),
            Cause::Signal(_) => (Exit::Terminated, "terminated".to_owned()),
            Cause::MaxTime(most) => {
                let most = most.as_secs_f64();
                (
                    Exit::Unreachable,
                    format!("not done within --max-time {most} s"),
                )
            }
            Cause::Refused { path, error } => {
                let message = format!(
                    "the site refuses to be read, the last time {path}: {error}; {REFUSED}"
                );
                (Exit::Unreachable, message)
            }
            Cause::LongPause(pause) => {
                let pause = pause.as_secs();
                let message =
                    format!("the site asks to be left alone for {pause} s: come back then");
                (Exit::Unreachable, message)
            }
        };
        Stop {
            resumable: true,
            ..Stop::new(exit, message)
        }
    }

    /// What to tell a user whose index could not be walked.
    pub fn of_walk(error: &WalkError, origin: &Origin, index: &str) -> Self {
        let (exit, advice) = match (error.error.reason, origin) {
            (Reason::Unrecognised, _) => (
                Exit::Layout,
                "`indexrank read FILE` shows what is seen in a saved page".to_owned(),
            ),
            (Reason::Gone | Reason::NotArchived, _) if matches!(error.leaf, Leaf::Letter(_)) => (
                Exit::Unreachable,
                "check --index, or use --walk pages, which needs no letter pages".to_owned(),
            ),
            (Reason::Gone, Origin::Replica) => (
                Exit::Unreachable,
                format!("the embedded market has only the index {}", Market::INDEX),
            ),
            (Reason::Gone, _) if error.leaf == Leaf::Number(1) => {
                let advice = format!(
                    "the site has no index {:?}: check --index, and quote a name with & in a shell; {NO_NETWORK}",
                    index
                );
                (Exit::Unreachable, advice)
            }
            (Reason::Robots, _) => (
                Exit::Unreachable,
                "--ignore-robots is for a server of your own".to_owned(),
            ),
            (Reason::Blocked | Reason::Challenge, _) => (Exit::Unreachable, REFUSED.to_owned()),
            (Reason::NotArchived, _) => (
                Exit::Unreachable,
                "record a whole run with --record, or check --index".to_owned(),
            ),
            _ => (
                Exit::Unreachable,
                format!("check the network and try again later; {NO_NETWORK}"),
            ),
        };
        let may_come_good = retry::attempts(error.error.reason) > 1
            || matches!(
                error.error.reason,
                Reason::Blocked | Reason::Challenge | Reason::Postponed
            )
            || error.error.reason == Reason::Gone && error.leaf != Leaf::Number(1);
        Stop {
            resumable: may_come_good,
            ..Stop::new(exit, format!("{error}; {advice}"))
        }
    }

    /// Why there is nothing to rank after all, if so.
    pub fn of_harvest(harvest: &Harvest) -> Option<Self> {
        if let Some(change) = layout_check::change(harvest) {
            let advice = "the site's layout has changed; `indexrank read FILE` shows what is seen in a saved page";
            return Some(Stop::new(Exit::Layout, format!("{change}: {advice}")));
        }
        let first = harvest
            .failures
            .first()
            .filter(|_| harvest.companies.is_empty())?;
        let all = harvest.failures.len();
        let why = format!(
            "none of the {all} company pages could be had; the first, {}: {}",
            first.link.path, first.error
        );
        Some(Stop {
            resumable: true,
            ..Stop::new(Exit::Unreachable, why)
        })
    }
}

impl From<crate::disk::output::OutputError> for Stop {
    fn from(error: crate::disk::output::OutputError) -> Self {
        Stop::new(Exit::Output, error.to_string())
    }
}

impl From<ResumeError> for Stop {
    fn from(error: ResumeError) -> Self {
        match error {
            ResumeError::Output(error) => error.into(),
            error => Stop::new(Exit::Usage, error.to_string()),
        }
    }
}
