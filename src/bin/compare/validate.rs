//! Whether what the user asks for makes sense, and who takes part in it.

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::{Result, bail};
use indexrank::disk::output;
use indexrank::source::Origin;

use crate::cli::{RaceArgs, WorkArg};
use crate::contenders::ALL;
use crate::export;
use crate::run::Entrant;

/// Everybody who takes part, or what is wrong with the options, before anything is done.
pub fn check(args: &RaceArgs) -> Result<Vec<Entrant>> {
    check_outputs(args)?;
    check_conditions(args)?;
    let entrants = entrants(args)?;
    let mut names = HashSet::new();
    if let Some(twice) = entrants
        .iter()
        .find(|entrant| !names.insert(entrant.name()))
    {
        bail!(
            "there are two entrants with the name {:?}; choose another for --also",
            twice.name()
        );
    }
    Ok(entrants)
}

fn check_outputs(args: &RaceArgs) -> Result<()> {
    let results: Vec<&PathBuf> = [&args.html, &args.json, &args.csv]
        .into_iter()
        .flatten()
        .collect();
    for file in &results {
        output::try_file(file)?;
    }
    if let Some(folder) = &args.trace {
        output::try_file(&folder.join(export::trace_name("pipeline", 0, 1)))?;
    }
    let mut places: Vec<PathBuf> = results
        .into_iter()
        .chain(&args.trace)
        .chain(&args.urls)
        .cloned()
        .collect();
    if let Origin::Archive(archive) = &args.from {
        places.push(archive.clone());
    }
    if let Some(place) = output::named_twice(places) {
        bail!(
            "{} is named twice, for two results or for one and the pages; choose another name for one",
            place.display()
        );
    }
    Ok(())
}

fn check_conditions(args: &RaceArgs) -> Result<()> {
    let has_line = !args.latency.is_empty() || args.jitter > 0 || args.bandwidth.is_some();
    if args.work == WorkArg::Cpu && has_line {
        bail!(
            "with --work cpu nothing is asked of a server; leave --latency, --jitter and --bandwidth out"
        );
    }
    if !args.also.is_empty() && args.work != WorkArg::Job {
        bail!(
            "--also runs the whole job and cannot be held against --work {}; leave one out",
            args.work.name()
        );
    }
    Ok(())
}

fn entrants(args: &RaceArgs) -> Result<Vec<Entrant>> {
    let unknown = |name: &&String| ALL.iter().all(|contender| contender.name != **name);
    if let Some(unknown) = args.only.iter().find(unknown) {
        let names: Vec<&str> = ALL.iter().map(|contender| contender.name).collect();
        bail!(
            "there is no contender {unknown:?}; --only takes {}",
            names.join(", ")
        );
    }
    let chosen = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    // Where nothing is inflated, or other people are asked, the limit has no place.
    let has_limit = args.work != WorkArg::Io && args.urls.is_none();
    if let Some(limit) = ALL.iter().find(|contender| !contender.answers)
        && !has_limit
        && args.only.iter().any(|only| only == limit.name)
    {
        bail!(
            "{} is the limit of a job and of reading; leave it out here",
            limit.name
        );
    }
    let own = ALL
        .iter()
        .filter(|contender| chosen(contender.name) && (contender.answers || has_limit));
    let own = own.map(|contender| Entrant::Own {
        name: contender.name,
        answers: contender.answers,
    });
    let also = args
        .also
        .iter()
        .cloned()
        .map(|(name, command)| Entrant::Also { name, command });
    Ok(own.chain(also).collect())
}
