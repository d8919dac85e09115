//! The message and the exit code of a run that ended early: one sentence, and what to do next, which
//! mostly comes from the table in `remedies`.

use std::time::Duration;

use crate::disk::commit::CommitError;
use crate::disk::output::OutputError;
use crate::disk::same_file::PathError;
use crate::exit::Exit;
use crate::http::error::{PageError, Reason};
use crate::job::{remedies, shell};
use crate::pipeline::harvest::{Failure, Harvest};
use crate::pipeline::index_walk::WalkError;
use crate::pipeline::task::IndexPageId;
use crate::replica::Market;
use crate::results::coverage::Shortfall;
use crate::results::layout_check;
use crate::results::write::{Outputs, OutputsError};
use crate::site::paths::INDICES;
use crate::source::origin::Origin;
use crate::source::pauses::{MAX_PAUSED, MAX_UNSTATED};
use crate::source::throttle::Cause;
use crate::store::error::StoreError;
use crate::warc::journal::ResumeError;
use crate::warc::reader::Archive;
use crate::words;

/// A run without `--max-age` resumes with pages up to this age. After a longer pause, none is left.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// Why a command failed. A run that failed has written no rankings, unless only its database lacks it.
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

    /// The stop of a program that a signal ended, by the signal's number.
    pub fn of_signal(number: i32) -> Self {
        let exit = Exit::of_signal(number);
        let message = match exit {
            Exit::Interrupted => "interrupted",
            _ => "terminated",
        };
        Stop::new(exit, message)
    }

    /// The stop of a run that was cancelled.
    pub fn of_cancellation(cause: &Cause) -> Self {
        match cause {
            Cause::Signal(number) => Stop {
                resumable: true,
                ..Stop::of_signal(*number)
            },
            Cause::MaxTime(limit) => {
                let message = format!("not done within --max-time {} s", limit.as_secs_f64());
                Stop::resumable(Exit::Unreachable, message)
            }
            Cause::Refused { path, error } => {
                let message = format!(
                    "the site refuses requests, the last one {path}: {error}; {}",
                    remedies::of_refusal(error.reason)
                );
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
                Stop {
                    resumable: *pause <= MAX_AGE,
                    ..Stop::new(Exit::Unreachable, message)
                }
            }
            Cause::ManyPauses { site, status } => {
                let message = format!(
                    "{site} demands pauses of more than {} minutes in all (HTTP status {status} with Retry-After); run the command again later, and send fewer requests with --workers 4 or --rps 1",
                    MAX_PAUSED.as_secs() / 60
                );
                Stop::resumable(Exit::Unreachable, message)
            }
            Cause::TooManyRequests { site } => {
                let message = format!(
                    "{site} asks for fewer requests (HTTP status 429, {MAX_UNSTATED} times in a row, each after a longer pause); {}",
                    remedies::SLOW_DOWN
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
        let remedy = remedies::of_page(&error.error, origin);
        let advice = match (reason, origin) {
            // The check looks at numbered pages only.
            (Reason::Unrecognised, _) if !is_letter => shows_landmarks(origin, index),
            (Reason::Robots, _) if !is_letter && error.allows_letters => {
                remedies::WALK_LETTERS.to_owned()
            }
            (Reason::Gone | Reason::NotArchived, _) if is_letter => {
                "check --index, or use --walk pages, which needs no letter pages".to_owned()
            }
            (Reason::Gone, Origin::Replica) if is_first_page => {
                format!("the embedded market has {}", Market::INDICES.join(", "))
            }
            (Reason::Gone, Origin::Live | Origin::Site(_)) if is_first_page => {
                of_unknown_index(index)
            }
            _ => remedy.advice.to_owned(),
        };
        let exit = match reason {
            Reason::Unrecognised => Exit::Layout,
            _ => Exit::Unreachable,
        };
        Stop {
            // Without the first page, no page is known that a run could have kept.
            resumable: remedy.may_succeed_later && !is_first_page,
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
        let pages = match harvest.failures.len() {
            1 => "the only company page could not be fetched,".to_owned(),
            number => format!("none of the {number} company pages could be fetched; the first,"),
        };
        let remedy = remedies::of_page(&first.error, origin);
        let message = format!("{pages} {}: {}; {}", first.path, first.error, remedy.advice);
        let is_other = first.error.reason == Reason::OtherPage;
        Some(Stop {
            resumable: !is_other && may_succeed_later(&harvest.failures, origin),
            ..Stop::new(Exit::Unreachable, message)
        })
    }

    /// The stop of a run that has too few companies. `resumable` says whether a resumed run may get more.
    pub fn of_shortfall(shortfall: &Shortfall, resumable: bool) -> Self {
        let message = format!("{shortfall}; --min-companies changes that");
        Stop {
            resumable,
            ..Stop::new(Exit::TooFew, message)
        }
    }

    /// The stop of a run that wrote its files to their folder, but could not append itself to its database.
    /// `has_journal` says whether its pages are kept for `--resume`.
    pub fn of_append(error: StoreError, outputs: &Outputs, has_journal: bool) -> Self {
        let again = match &outputs.record {
            Some(record) => {
                let record = shell::quote(record.as_os_str());
                format!("run the command again, with --from {record} in place of --record")
            }
            None if has_journal => "run the command again with --resume".to_owned(),
            None => "run the command again".to_owned(),
        };
        let lacks = if error.may_be_appended() {
            "but the database may lack this run"
        } else {
            "only the database lacks this run"
        };
        let StoreError { what, advice, .. } = error;
        let message = format!(
            "{what}; {advice}, then {again}; the files in {} are written, {lacks}",
            outputs.folder.display()
        );
        Stop::resumable(Exit::Output, message)
    }

    /// The stop of a command whose archive cannot be opened.
    pub fn of_archive(error: &anyhow::Error) -> Self {
        let advice = remedies::of_archive(error);
        Stop::new(Exit::Usage, format!("{}; {advice}", without_number(error)))
    }

    /// The stop of a command whose archive has no page that could be used.
    pub fn of_archive_without_pages(archive: &Archive) -> Self {
        let damage = archive.damage().map(|damage| format!(" ({damage})"));
        let message = format!(
            "{} contains no usable page, that is, no undamaged response with status 200{}; record a run with --record",
            archive.path().display(),
            damage.unwrap_or_default()
        );
        Stop::new(Exit::Usage, message)
    }
}

/// An error and its causes, without the numbers of the system.
fn without_number(error: &anyhow::Error) -> String {
    let causes = error.chain().map(|cause| match cause.downcast_ref() {
        Some(error) => words::of_system(error),
        None => cause.to_string(),
    });
    causes.collect::<Vec<_>>().join(": ")
}

/// Whether a resumed run may fetch any of these company pages.
pub fn may_succeed_later(failures: &[Failure], origin: &Origin) -> bool {
    let mut errors = failures.iter().map(|failure| &failure.error);
    errors.any(|error| match error.reason {
        // A page that the site refuses to send is not requested again.
        reason if reason.is_refusal() => false,
        // A company page names its own address, so another page in a journal is noticed.
        Reason::OtherPage => !origin.is_archived(),
        _ => remedies::of_page(error, origin).may_succeed_later,
    })
}

/// What to do about the first page of an index that is not there.
fn of_unknown_index(index: &str) -> String {
    if INDICES.contains(&index) {
        return "the site has no such page now: try again later, or another --index".to_owned();
    }
    format!(
        "the site has no index {index:?}: check --index (the site has {}), and quote a name with & in a shell; `--from replica` needs no network",
        INDICES.join(", ")
    )
}

/// What to do about a page that could not be had.
pub fn next_step(error: &PageError, origin: &Origin) -> &'static str {
    remedies::of_page(error, origin).advice
}

fn shows_landmarks(origin: &Origin, index: &str) -> String {
    let command = shell::command("check", origin, index);
    format!("`{command}` shows which landmarks are there")
}

impl From<OutputError> for Stop {
    fn from(error: OutputError) -> Self {
        let OutputError { path, cause } = error;
        let (path, advice) = (path.display(), remedies::of_output(&cause));
        let message = format!(
            "cannot write {path}: {}; {advice}",
            words::of_system(&cause)
        );
        Stop::new(Exit::Output, message)
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

/// A database that a run finds unusable before its first request. That ends the run as with other outputs:
/// a file that is no database of this program is wrong usage.
impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        let exit = if error.is_misuse {
            Exit::Usage
        } else {
            Exit::Output
        };
        Stop::new(exit, error.to_string())
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
