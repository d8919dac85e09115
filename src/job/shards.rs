//! Opens the archives of a run: one, or the shards of a job, which must fit together.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::pipeline::shard_rows::IndexDigest;
use crate::source::archives::Archives;
use crate::source::shard::Shard;
use crate::warc::reader::Archive;
use crate::words::form;

/// The field of the first record of a recording that says which shard of its job it is.
pub const SHARD: &str = "shard";
/// The other fields of the first record, which are the same for all shards of a job.
const OF_JOB: [&str; 3] = ["software", "source", "index"];
/// The fields of the record that closes the recording of a shard: the index that it saw.
const COMPANIES: &str = "index-companies";
const SHA256: &str = "index-sha256";

/// The fields of the record that closes the recording of a shard.
pub fn closing(index: &IndexDigest) -> Vec<(&'static str, String)> {
    vec![
        (COMPANIES, index.companies.to_string()),
        (SHA256, index.sha256.clone()),
    ]
}

/// Opens archives, at least one. Several must be the shards of one job: each once, all complete, and of the
/// same index. If they `may_lack` something, that is a warning of the archives instead of an error; they are
/// still of one job, and none is there twice.
pub fn open(paths: &[PathBuf], may_lack: bool) -> Result<Archives, Stop> {
    let mut shards = Vec::new();
    let mut lacks = Vec::new();
    if let [path] = paths {
        let archive = open_archive(path)?;
        match shard_of(&archive) {
            Some(shard) => shards.push((shard, archive)),
            None => return Ok(archive.into()),
        }
    } else {
        for archive in read(paths) {
            match archive {
                Ok(archive) => match (shard_of(&archive), archive.damage()) {
                    (Some(shard), _) => shards.push((shard, archive)),
                    (None, Some(damage)) => lacks.push(format!("of no known shard: {damage}")),
                    (None, None) => return Err(of_no_shard(&archive)),
                },
                Err(error) => lacks.push(unreadable(&error)),
            }
        }
    }
    shards.sort_by_key(|(shard, archive)| (!is_complete(archive), shard.number));
    let Some((first, _)) = shards.first() else {
        let message = format!("{}; run all shards again", lacks.join("; "));
        return Err(Stop::new(Exit::Unreachable, message));
    };
    check_one_job(&shards)?;
    lacks.extend(missing(&shards, first.of.get()));
    lacks.extend(shards.iter().filter_map(|part| torn(part, may_lack)));
    if !(lacks.is_empty() || may_lack) {
        let message = format!(
            "{}; run again what is missing, or rank what is there with --allow-missing",
            lacks.join("; ")
        );
        return Err(Stop::new(Exit::Unreachable, message));
    }
    if let Some(changed) = changed_index(&shards) {
        if !may_lack {
            let message = format!(
                "{changed}; run those again, or use the index of shard {} with --allow-missing",
                first.number
            );
            return Err(Stop::new(Exit::Usage, message));
        }
        lacks.push(changed);
    }
    let warning = (!lacks.is_empty()).then(|| lacks.join("; "));
    Ok(Archives::of_shards(shards, warning))
}

/// Opens an archive. One without a page of status 200 is an error.
pub fn open_archive(path: &Path) -> Result<Archive, Stop> {
    let archive = Archive::open(path).map_err(|error| Stop::of_archive(&error))?;
    if archive.has_pages() {
        return Ok(archive);
    }
    Err(Stop::of_archive_without_pages(&archive))
}

/// Reads the contents of archives, several at a time.
fn read(paths: &[PathBuf]) -> Vec<anyhow::Result<Archive>> {
    let threads = thread::available_parallelism().map_or(1, |cores| cores.get());
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads.min(paths.len()))
        .build();
    match pool {
        Ok(pool) => pool.install(|| paths.par_iter().map(|path| Archive::open(path)).collect()),
        // The system allows no further thread.
        Err(_) => paths.iter().map(|path| Archive::open(path)).collect(),
    }
}

/// A sentence about an archive that cannot be read.
fn unreadable(error: &anyhow::Error) -> String {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    match cause {
        // The name of the file is in the context of the error.
        Some(cause) if cause.kind() == io::ErrorKind::NotFound => {
            format!("{error}: it is not there")
        }
        _ => Stop::of_archive(error).message,
    }
}

/// Which shard of a job an archive is. `None` for a whole job, and for an archive of another program.
fn shard_of(archive: &Archive) -> Option<Shard> {
    let shard = archive.about(SHARD)?.parse().ok();
    shard.filter(|shard| *shard != Shard::WHOLE)
}

/// Whether the run of a shard has ended, and nothing of its archive is damaged.
fn is_complete(archive: &Archive) -> bool {
    archive.closing(SHA256).is_some() && archive.damage().is_none()
}

fn of_no_shard(archive: &Archive) -> Stop {
    let message = format!(
        "{} was recorded without --shard; several archives must be the shards of one job",
        archive.path().display()
    );
    Stop::new(Exit::Usage, message)
}

/// `shard 3/8 (FILE)`
fn name((shard, archive): &(Shard, Archive)) -> String {
    format!("shard {shard} ({})", archive.path().display())
}

/// Fails if two shards are of two jobs, or one is there twice.
fn check_one_job(shards: &[(Shard, Archive)]) -> Result<(), Stop> {
    for (at, one) in shards.iter().enumerate() {
        for other in &shards[..at] {
            if one.0 == other.0 {
                let file = other.1.path().display();
                let message = format!("{} is also in {file}: give each shard once", name(one));
                return Err(Stop::new(Exit::Usage, message));
            }
        }
        let first = &shards[0];
        let differ = OF_JOB.iter().find_map(|field| {
            let (of_first, of_one) = (first.1.about(field)?, one.1.about(field)?);
            (of_first != of_one).then(|| format!(": their {field} is {of_first} and {of_one}"))
        });
        if one.0.of != first.0.of || differ.is_some() {
            let message = format!(
                "{} and {} are of two jobs{}",
                name(first),
                name(one),
                differ.unwrap_or_default()
            );
            return Err(Stop::new(Exit::Usage, message));
        }
    }
    Ok(())
}

/// A sentence about the shards that are not there.
fn missing(shards: &[(Shard, Archive)], of: u32) -> Option<String> {
    let there: BTreeSet<u32> = shards.iter().map(|(shard, _)| shard.number).collect();
    let missing: Vec<u32> = (1..=of).filter(|number| !there.contains(number)).collect();
    let shard = form(missing.len(), "shard", "shards");
    let verb = form(missing.len(), "is", "are");
    let numbers = ranges(&missing);
    (!missing.is_empty()).then(|| format!("{shard} {numbers} of {of} {verb} missing"))
}

/// Ascending numbers as the option `--array` of Slurm has them: `3,7,9-12`.
fn ranges(numbers: &[u32]) -> String {
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    let texts = runs.map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        one => one.iter().map(u32::to_string).collect(),
    });
    texts.collect::<Vec<_>>().join(",")
}

/// A sentence about a shard that is not complete, with the damage in full if the rest of it `is_used`.
fn torn(part: &(Shard, Archive), is_used: bool) -> Option<String> {
    if is_complete(&part.1) {
        return None;
    }
    let why = match part.1.damage() {
        None => "its run has not ended".to_owned(),
        Some(damage) if is_used => damage,
        Some(_) => "it is damaged, or was cut short".to_owned(),
    };
    Some(format!("{} is not complete: {why}", name(part)))
}

/// A sentence about the shards that saw another index than the first one.
fn changed_index(shards: &[(Shard, Archive)]) -> Option<String> {
    let (first, archive) = shards.first()?;
    let seen = archive.closing(SHA256)?;
    let others = shards.iter().filter(|(_, other)| {
        let other = other.closing(SHA256);
        other.is_some_and(|other| other != seen)
    });
    let others: Vec<String> = others
        .map(|part| {
            let companies = part.1.closing(COMPANIES).unwrap_or("no");
            format!("{} with {companies} companies", name(part))
        })
        .collect();
    let companies = archive.closing(COMPANIES).unwrap_or("no");
    let saw = format!("saw another index, or other figures in it, than shard {first}");
    (!others.is_empty()).then(|| format!("{} {saw} with {companies} companies", others.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_numbers_as_slurm_takes_them() {
        for (numbers, text) in [
            (&[3][..], "3"),
            (&[3, 7], "3,7"),
            (&[1, 2, 3, 5, 7, 8], "1-3,5,7-8"),
        ] {
            assert_eq!(ranges(numbers), text);
        }
    }
}
