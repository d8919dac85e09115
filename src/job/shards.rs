//! Opens the archives of a run: one, or the shards of a job, which must fit together.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::pipeline::shard_rows::IndexDigest;
use crate::pipeline::threads::join;
use crate::source::archives::Archives;
use crate::source::shard::Shard;
use crate::warc::reader::Archive;
use crate::words::form;

/// The field of the first record of a recording that says which shard of its job it is.
pub const SHARD: &str = "shard";
/// The other fields of the first record, which are the same for all shards of a job.
const OF_JOB: [&str; 3] = ["software", "source", "index"];
/// The fields of the record that closes the recording of a shard: the index that it has walked.
const COMPANIES: &str = "index-companies";
const SHA256: &str = "index-sha256";

/// A shard and its recording.
type Part = (Shard, Archive);

/// The fields of the record that closes the recording of a shard.
pub fn closing(index: &IndexDigest) -> Vec<(&'static str, String)> {
    vec![
        (COMPANIES, index.companies.to_string()),
        (SHA256, index.sha256.clone()),
    ]
}

/// Opens archives, at least one. Several must be the shards of one job: each once, all complete, and of the
/// same index. With `allow_missing`, what they lack is a warning of the archives instead of an error; they are
/// still of one job, and none is there twice.
pub fn open(paths: &[PathBuf], allow_missing: bool) -> Result<Archives, Stop> {
    let (mut shards, mut lacks) = match paths {
        [path] => {
            let archive = open_archive(path)?;
            if shard_of(&archive).is_none() && !has_lost_number(&archive) {
                return Ok(archive.into());
            }
            shards_in(vec![Ok(archive)])?
        }
        paths => shards_in(read(paths))?,
    };
    let most_common = most_common_index(&shards);
    shards.sort_by_key(|(shard, archive)| {
        let is_other = archive.closing(SHA256) != most_common.as_deref();
        (!is_complete(archive), is_other, shard.number)
    });
    let Some((first, _)) = shards.first() else {
        let message = format!("{}; run all shards again", lacks.join("; "));
        return Err(Stop::new(Exit::Unreachable, message));
    };
    check_one_job(&shards)?;
    lacks.extend(missing(&shards, first.of.get()));
    lacks.extend(
        shards
            .iter()
            .filter_map(|one| incomplete(one, allow_missing)),
    );
    let changed = changed_index(&shards);
    if !allow_missing && !lacks.is_empty() {
        let message = format!(
            "{}; run again what is missing, or rank what is there with --allow-missing",
            lacks.join("; ")
        );
        return Err(Stop::new(Exit::Unreachable, message));
    }
    if let (Some(changed), false) = (&changed, allow_missing) {
        let message = format!(
            "{changed}; run again what differs, or use the index of shard {} with --allow-missing",
            first.number
        );
        return Err(Stop::new(Exit::Usage, message));
    }
    lacks.extend(changed);
    let warning = (!lacks.is_empty()).then(|| lacks.join("; "));
    Ok(Archives::of_shards(shards, warning))
}

/// Fails if a walk over shards has listed another index than they have recorded.
pub fn check_walk(archives: &Archives, walked: &IndexDigest) -> Result<(), Stop> {
    let recorded = (archives.closing(SHA256), archives.closing(COMPANIES));
    let (Some(sha256), Some(companies)) = recorded else {
        return Ok(());
    };
    if sha256 == walked.sha256 {
        return Ok(());
    }
    let message = format!(
        "the shards have recorded an index with {companies} companies, and this walk has found {}: give it the --walk of the shards",
        walked.companies
    );
    Err(Stop::new(Exit::Usage, message))
}

/// Whether archives say which index a walk over them finds.
pub fn have_index(archives: &Archives) -> bool {
    archives.closing(SHA256).is_some()
}

/// Opens an archive. One without a page of status 200 is an error.
pub fn open_archive(path: &Path) -> Result<Archive, Stop> {
    let archive = Archive::open(path).map_err(|error| Stop::of_archive(&error))?;
    if archive.has_pages() {
        return Ok(archive);
    }
    Err(Stop::of_archive_without_pages(&archive))
}

/// The shards, and sentences about the archives that are none because they cannot be read.
fn shards_in(archives: Vec<anyhow::Result<Archive>>) -> Result<(Vec<Part>, Vec<String>), Stop> {
    let (mut shards, mut lacks) = (Vec::new(), Vec::new());
    for archive in archives {
        match archive {
            Ok(archive) => match (shard_of(&archive), archive.damage()) {
                (Some(shard), _) => shards.push((shard, archive)),
                (None, Some(damage)) => lacks.push(format!("a shard without its number: {damage}")),
                (None, None) if has_lost_number(&archive) => {
                    let path = archive.path().display();
                    lacks.push(format!(
                        "{path} has lost the record that says which shard it is"
                    ));
                }
                (None, None) => return Err(of_no_shard(&archive)),
            },
            Err(error) => lacks.push(unreadable(&error)),
        }
    }
    Ok((shards, lacks))
}

/// Reads the contents of archives, one on each core at a time.
fn read(paths: &[PathBuf]) -> Vec<anyhow::Result<Archive>> {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    let open = |path: &PathBuf| Archive::open(path);
    thread::scope(|scope| {
        let chunks = paths.chunks(paths.len().div_ceil(cores));
        let readers = chunks.map(|paths| scope.spawn(|| paths.iter().map(open).collect()));
        let readers: Vec<_> = readers.collect();
        let read = readers.into_iter().map(|reader| join(reader));
        read.collect::<Vec<Vec<_>>>()
            .into_iter()
            .flatten()
            .collect()
    })
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

/// Which shard of a job an archive is. `None` for a whole job, for an archive of another program, and if the
/// record that says so is damaged.
fn shard_of(archive: &Archive) -> Option<Shard> {
    let shard = number(archive)?.parse().ok();
    shard.filter(|shard| *shard != Shard::WHOLE)
}

/// Whether an archive is a shard, and the record with its number is damaged or lost.
fn has_lost_number(archive: &Archive) -> bool {
    archive.closing(SHA256).is_some() && number(archive).is_none()
}

fn number(archive: &Archive) -> Option<&str> {
    archive.about(SHARD).filter(|_| !archive.is_about_damaged())
}

/// Whether the run of a shard has ended, and nothing of its archive is damaged or missing.
fn is_complete(archive: &Archive) -> bool {
    archive.closing(SHA256).is_some() && archive.has_all_responses() && archive.damage().is_none()
}

fn of_no_shard(archive: &Archive) -> Stop {
    let message = format!(
        "{} was recorded without --shard; several archives must be the shards of one job",
        archive.path().display()
    );
    Stop::new(Exit::Usage, message)
}

/// `shard 3/8 (FILE)`
fn name((shard, archive): &Part) -> String {
    format!("shard {shard} ({})", archive.path().display())
}

/// Fails if two shards are of two jobs, or one is there twice, or if a file has two recordings or is of a
/// list.
fn check_one_job(shards: &[Part]) -> Result<(), Stop> {
    for (at, one) in shards.iter().enumerate() {
        if one.1.is_joined() {
            let message = format!(
                "{} has two recordings: give each as its own file",
                name(one)
            );
            return Err(Stop::new(Exit::Usage, message));
        }
        if one.1.about("index").is_none() {
            let message = format!(
                "{} is of a list of addresses (fetch), and no shard of an index",
                name(one)
            );
            return Err(Stop::new(Exit::Usage, message));
        }
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
                "{} and {} are of two jobs{}; give the archives of one",
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
fn missing(shards: &[Part], of: u32) -> Option<String> {
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
fn incomplete(part: &Part, is_used: bool) -> Option<String> {
    if is_complete(&part.1) {
        return None;
    }
    let why = match part.1.damage() {
        None if part.1.closing(SHA256).is_none() => "its run has not ended".to_owned(),
        None => "it has lost records".to_owned(),
        Some(damage) if is_used => damage,
        Some(_) => "it is damaged, or was cut short".to_owned(),
    };
    Some(format!("{} is not complete: {why}", name(part)))
}

/// The index that most of the complete shards have seen, by its digest.
fn most_common_index(shards: &[Part]) -> Option<String> {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let complete = shards.iter().filter(|(_, archive)| is_complete(archive));
    for index in complete.filter_map(|(_, archive)| archive.closing(SHA256)) {
        *numbers.entry(index).or_default() += 1;
    }
    let most = numbers.into_iter().max_by_key(|(_, number)| *number);
    most.map(|(index, _)| index.to_owned())
}

/// A sentence about the shards that have seen another index than the first one.
fn changed_index(shards: &[Part]) -> Option<String> {
    let companies = |archive: &Archive| {
        let companies = archive.closing(COMPANIES).unwrap_or("?");
        format!("{companies} companies")
    };
    let (first, archive) = shards.first()?;
    let seen = archive.closing(SHA256)?;
    let others = shards.iter().filter(|(_, other)| {
        let other = other.closing(SHA256);
        other.is_some_and(|other| other != seen)
    });
    let others: Vec<String> = others
        .map(|part| format!("{} with {}", name(part), companies(&part.1)))
        .collect();
    let first = format!("shard {first} with {}", companies(archive));
    (!others.is_empty()).then(|| {
        format!(
            "{} has recorded another index, or other figures in it, than {first}",
            others.join(" and ")
        )
    })
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
