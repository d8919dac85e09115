//! How a run can end, as the number that a shell sees.

use std::process::ExitCode;

use crate::harvest::Harvest;
use crate::layout;
use crate::page::Reason;
use crate::replica::Market;
use crate::source::Origin;
use crate::walk::WalkError;

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

    /// What to tell a user whose index could not be walked.
    pub fn of_walk(error: &WalkError, origin: &Origin, index: &str) -> Self {
        let (exit, advice) = match (error.error.reason, origin) {
            (Reason::Unrecognised, _) => (
                Exit::Layout,
                "`indexrank read FILE` shows what is seen in a saved page".to_owned(),
            ),
            (Reason::Gone, Origin::Replica) => (
                Exit::Unreachable,
                format!("the embedded market has only the index {}", Market::INDEX),
            ),
            (Reason::Gone, _) if error.number == 1 => {
                let advice = format!(
                    "the site has no index {:?}: check --index, and quote a name with & in a shell; {NO_NETWORK}",
                    index
                );
                (Exit::Unreachable, advice)
            }
            (Reason::NotArchived, _) => (
                Exit::Unreachable,
                "record a whole run with --record, or check --index".to_owned(),
            ),
            _ => (
                Exit::Unreachable,
                format!("check the network and try again later; {NO_NETWORK}"),
            ),
        };
        Stop::new(exit, format!("{error}; {advice}"))
    }

    /// Why there is nothing to rank after all, if so.
    pub fn of_harvest(harvest: &Harvest) -> Option<Self> {
        if let Some(change) = layout::change(harvest) {
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
        Some(Stop::new(Exit::Unreachable, why))
    }
}

impl From<crate::output::OutputError> for Stop {
    fn from(error: crate::output::OutputError) -> Self {
        Stop::new(Exit::Output, error.to_string())
    }
}
