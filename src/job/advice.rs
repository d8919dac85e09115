//! The message and the exit code of a run that ended early: one sentence, and what to do next.

use crate::disk::commit::CommitError;
use crate::disk::output::OutputError;
use crate::disk::same_file::PathError;
use crate::exit::Exit;
use crate::http::error::Reason;
use crate::job::settings::DEFAULT_INDEX;
use crate::pipeline::harvest::{Harvest, Ledger};
use crate::pipeline::index_walk::WalkError;
use crate::pipeline::task::IndexPageId;
use crate::replica::Market;
use crate::results::coverage::Shortfall;
use crate::results::layout_check;
use crate::results::write::OutputsError;
use crate::site::paths::INDICES;
use crate::source::origin::Origin;
use crate::source::retry;
use crate::source::throttle::Cause;
use crate::warc::journal::ResumeError;

const NO_NETWORK: &str = "`--from replica` needs no network";
const REFUSED: &str = "indexrank does not try to get around that: wait, and send fewer requests with --workers 4 or --rps 1";
const READ: &str = "`indexrank read FILE` shows what indexrank finds in a saved page";
const OTHER_PAGE: &str = "the site, or a cache or proxy before it, answers with other pages than requested: check --index, and run again later without --resume";
const SIGINT: i32 = 2;

/// Why a run ended before its rankings were written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Stop {
    pub exit: Exit,
    pub message: String,
    /// Whether the same command with `--resume` continues the run.
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

    fn resumable(exit: Exit, message: impl Into<String>) -> Self {
        Stop {
            resumable: true,
            ..Stop::new(exit, message)
        }
    }

    /// Completes the message of a run whose results are those of before.
    pub fn unchanged(mut self) -> Self {
        self.message += "; no result was changed";
        self
    }

    /// The stop of a run that was cancelled.
    pub fn of_cancellation(cause: &Cause) -> Self {
        match cause {
            Cause::Signal(SIGINT) => Stop::resumable(Exit::Interrupted, "interrupted"),
            Cause::Signal(_) => Stop::resumable(Exit::Terminated, "terminated"),
            Cause::MaxTime(limit) => {
                let message = format!("not done within --max-time {} s", limit.as_secs_f64());
                Stop::resumable(Exit::Unreachable, message)
            }
            Cause::Refused { path, error } => {
                let message =
                    format!("the site refuses requests, the last one {path}: {error}; {REFUSED}");
                Stop::resumable(Exit::Unreachable, message)
            }
            Cause::WalkFailed => {
                Stop::resumable(Exit::Unreachable, "the index could not be walked")
            }
            Cause::LongPause(pause) => {
                let message = format!(
                    "the site demands a pause of {} s (Retry-After); run the command again after that",
                    pause.as_secs()
                );
                Stop::resumable(Exit::Unreachable, message)
            }
        }
    }

    /// The stop of a run that could not walk its index to the end.
    pub fn of_walk(error: &WalkError, origin: &Origin, index: &str) -> Self {
        let is_first_page = error.page == IndexPageId::Number(1);
        let is_letter = matches!(error.page, IndexPageId::Letter(_));
        let reason = error.error.reason;
        let advice = match (reason, origin) {
            // The check looks at numbered pages only.
            (Reason::Unrecognised, _) if is_letter => READ.to_owned(),
            (Reason::Unrecognised, _) => shows_landmarks(origin, index),
            (Reason::Gone | Reason::NotArchived, _) if is_letter => {
                "check --index, or use --walk pages, which needs no letter pages".to_owned()
            }
            (Reason::Gone, Origin::Replica) => {
                format!("the embedded market has {}", Market::INDICES.join(", "))
            }
            (Reason::Gone, _) if is_first_page => format!(
                "the site has no index {index:?}: check --index (the site has {}), and quote a name with & in a shell; {NO_NETWORK}",
                INDICES.join(", ")
            ),
            _ => next_step(reason),
        };
        let exit = match reason {
            Reason::Unrecognised => Exit::Layout,
            _ => Exit::Unreachable,
        };
        // A journal may hold pages that only together show that one of them is another page.
        let may_succeed_later = reason != Reason::OtherPage && retry::is_transient(reason)
            || matches!(
                reason,
                Reason::Blocked | Reason::Challenge | Reason::Postponed
            )
            || reason == Reason::Gone && !is_first_page;
        Stop {
            resumable: may_succeed_later,
            ..Stop::new(exit, format!("{error}; {advice}"))
        }
    }

    /// The stop of a run whose harvest cannot be ranked: the layout has changed or no page was fetched.
    /// `None` if it can be ranked.
    pub fn of_harvest(harvest: &Harvest, origin: &Origin, index: &str) -> Option<Self> {
        if let Some(change) = layout_check::change(harvest) {
            let check = shows_landmarks(origin, index);
            let message = format!("{change}: the site's layout has changed; {check}");
            return Some(Stop::new(Exit::Layout, message));
        }
        if !harvest.companies.is_empty() {
            return None;
        }
        let first = harvest.failures.first()?;
        let message = format!(
            "none of the {} company pages could be fetched; the first, {}: {}",
            harvest.failures.len(),
            first.path,
            first.error
        );
        Some(Stop::resumable(Exit::Unreachable, message))
    }

    /// The stop of a run that has too few companies. Resuming it is useless if no page is missing.
    pub fn of_shortfall(shortfall: &Shortfall, ledger: &Ledger) -> Self {
        let message = format!("{shortfall}; --min-companies changes that");
        Stop {
            resumable: ledger.failed + ledger.not_attempted > 0,
            ..Stop::new(Exit::TooFew, message)
        }
    }
}

/// What to do about a page that could not be fetched for this reason.
pub fn next_step(reason: Reason) -> String {
    match reason {
        Reason::OtherPage => OTHER_PAGE.to_owned(),
        Reason::Gone => "the index links a page that is gone: try again later".to_owned(),
        Reason::Postponed => "run the command again after that".to_owned(),
        Reason::Robots => "--ignore-robots is for a server of your own".to_owned(),
        Reason::Blocked | Reason::Challenge => REFUSED.to_owned(),
        Reason::NotArchived | Reason::Damaged => {
            "record a whole run with --record, or check --index".to_owned()
        }
        _ => format!("check the network and try again later; {NO_NETWORK}"),
    }
}

fn shows_landmarks(origin: &Origin, index: &str) -> String {
    let command = command("check", origin, index);
    format!("`{command}` shows which landmarks are there")
}

/// The command line of a subcommand, or of a run for `""`, with this source and index, quoted for a
/// shell.
pub fn command(subcommand: &str, origin: &Origin, index: &str) -> String {
    let mut words = vec!["indexrank".to_owned()];
    if !subcommand.is_empty() {
        words.push(subcommand.to_owned());
    }
    if *origin != Origin::Live {
        words.extend(["--from".to_owned(), quote(&origin.to_string())]);
    }
    if index != DEFAULT_INDEX {
        words.extend(["--index".to_owned(), quote(index)]);
    }
    words.join(" ")
}

/// A word as a shell needs it: in single quotes, unless all of its characters are harmless.
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,%@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

impl From<OutputError> for Stop {
    fn from(error: OutputError) -> Self {
        Stop::new(Exit::Output, error.to_string())
    }
}

impl From<OutputsError> for Stop {
    fn from(error: OutputsError) -> Self {
        match error {
            OutputsError::Path(PathError::Unwritable(error)) => error.into(),
            OutputsError::Commit(error) => Stop::new(Exit::Output, error.to_string()),
            error => Stop::new(Exit::Usage, error.to_string()),
        }
    }
}

impl From<CommitError> for Stop {
    fn from(error: CommitError) -> Self {
        let stop = Stop::resumable(Exit::Output, error.to_string());
        match error {
            CommitError::Unchanged(_) => stop.unchanged(),
            CommitError::Unfinished { .. } => stop,
        }
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
