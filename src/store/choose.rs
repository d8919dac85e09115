//! Which two runs are compared.

use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::store::error::{StoreError, run_command};
use crate::store::rows::RunRow;

/// The run that the latest one is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    Run(i64),
    /// The last run that began on this day in UTC, or before.
    Day(Date),
}

/// The two runs to compare, the earlier one first. `path` is for messages.
pub fn choose(
    path: &Path,
    runs: &[RunRow],
    index: Option<&str>,
    since: Option<Since>,
) -> Result<(RunRow, RunRow), StoreError> {
    let file = path.display();
    let asked_for = match since {
        Some(Since::Run(number)) => Some(find(path, runs, number)?),
        _ => None,
    };
    let index = match (index, asked_for) {
        (Some(index), Some(run)) if run.index_name != index => {
            let what = format!(
                "run {} in {file} is one of {}, not of {index}",
                run.run, run.index_name
            );
            return Err(StoreError::misuse(what, "choose another run or --index"));
        }
        (Some(index), _) => index,
        (None, Some(run)) => &run.index_name,
        (None, None) => only_index(path, runs)?,
    };
    let complete = runs.iter().filter(|run| run.is_complete());
    let complete: Vec<&RunRow> = complete.filter(|run| run.index_name == index).collect();
    let Some((latest, earlier)) = complete.split_last() else {
        return Err(no_complete_run(path, runs, index));
    };
    let before = match since {
        None => earlier.last(),
        Some(Since::Run(number)) if number >= latest.run => {
            let what = format!("{file} has no complete run of {index} after run {number}");
            return Err(StoreError::misuse(what, "choose an earlier run"));
        }
        Some(Since::Run(number)) => earlier.iter().find(|run| run.run == number),
        Some(Since::Day(day)) => {
            let before = earlier.iter().rfind(|run| day_of(run) <= day);
            if let (None, Some(first)) = (before, earlier.first()) {
                let what = format!(
                    "{file} has no complete run of {index} up to {day}; the first, run {}, is of {}",
                    first.run,
                    day_of(first)
                );
                return Err(StoreError::misuse(what, "choose a later day"));
            }
            before
        }
    };
    let Some(before) = before else {
        let what = format!(
            "{file} has only one complete run of {index}, run {}, so there is nothing to compare it with",
            latest.run
        );
        return Err(StoreError::misuse(what, add_a_run(path, Some(index))));
    };
    Ok(((*before).clone(), (*latest).clone()))
}

fn add_a_run(path: &Path, index: Option<&str>) -> String {
    format!("the next `{}` adds one", run_command(path, index))
}

fn no_complete_run(path: &Path, runs: &[RunRow], index: &str) -> StoreError {
    let file = path.display();
    let failed = runs.iter().rfind(|run| run.index_name == index);
    let what = match failed.and_then(|run| Some((run.run, run.error.as_ref()?))) {
        Some((number, error)) => format!(
            "{file} has no complete run of {index}; the last one, run {number}, failed: {error}"
        ),
        None if runs.is_empty() => format!("{file} has no run"),
        None => format!(
            "{file} has no run of {index}, only of {}",
            indices(runs.iter()).join(", ")
        ),
    };
    StoreError::misuse(what, add_a_run(path, Some(index)))
}

/// The complete run of this number.
fn find<'a>(path: &Path, runs: &'a [RunRow], number: i64) -> Result<&'a RunRow, StoreError> {
    let file = path.display();
    let Some(run) = runs.iter().find(|run| run.run == number) else {
        let last = runs
            .last()
            .map(|last| format!(", its last one is {}", last.run));
        let what = format!("{file} has no run {number}{}", last.unwrap_or_default());
        return Err(StoreError::misuse(what, "choose another run"));
    };
    match &run.error {
        None => Ok(run),
        Some(error) => Err(StoreError::misuse(
            format!("run {number} in {file} failed, so it has no companies: {error}"),
            "choose a complete run",
        )),
    }
}

/// The index of all complete runs; of all runs if none is complete.
fn only_index<'a>(path: &Path, runs: &'a [RunRow]) -> Result<&'a str, StoreError> {
    let mut found = indices(runs.iter().filter(|run| run.is_complete()));
    if found.is_empty() {
        found = indices(runs.iter());
    }
    match found[..] {
        [] => Err(StoreError::misuse(
            format!("{} has no run", path.display()),
            add_a_run(path, None),
        )),
        [index] => Ok(index),
        ref several => Err(StoreError::misuse(
            format!("{} has runs of {}", path.display(), several.join(", ")),
            "choose one with --index",
        )),
    }
}

/// The indices of these runs, each once, ordered.
fn indices<'a>(runs: impl Iterator<Item = &'a RunRow>) -> Vec<&'a str> {
    let mut indices: Vec<&str> = runs.map(|run| &*run.index_name).collect();
    indices.sort_unstable();
    indices.dedup();
    indices
}

fn day_of(run: &RunRow) -> Date {
    run.started.to_zoned(TimeZone::UTC).date()
}
