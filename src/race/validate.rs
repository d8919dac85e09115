//! Checks the options before the first run, and selects the participants.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::disk::output::{self, NewFolders};
use crate::disk::same_file::UsedFiles;
use crate::disk::staging::StagedFile;
use crate::source::origin::Origin;
use crate::telemetry::usage;
use anyhow::{Result, bail};

use crate::race::contenders::{ALL, PRODUCT};
use crate::race::export;
use crate::race::options::{Programs, RaceArgs, WorkArg};
use crate::race::output_files::OutputFile;
use crate::race::participant::Participant;
use tempfile::TempDir;

/// Files that a process of the race has open besides its connections: pipes, outputs, the answer, and up
/// to 16 connections for index pages.
const OTHER_FILES: usize = 64;

/// Returns all participants and the staged outputs. Fails if the options are invalid.
pub fn check(args: &RaceArgs) -> Result<(Vec<Participant>, Outputs)> {
    let outputs = stage(args)?;
    check_conditions(args)?;
    let participants = participants(args, outputs.rivals.path())?;
    let mut names = HashSet::new();
    if let Some(duplicate) = participants
        .iter()
        .find(|participant| !names.insert(participant.name()))
    {
        bail!(
            "two participants are named {:?}; choose another name for --also",
            duplicate.name()
        );
    }
    Ok((participants, outputs))
}

/// The files that the race writes.
pub struct Outputs {
    pub html: Option<OutputFile>,
    pub json: Option<OutputFile>,
    pub csv: Option<OutputFile>,
    pub ca_out: Option<OutputFile>,
    /// The rivals, compiled. Deleted with this value.
    rivals: TempDir,
    /// Dropped last.
    _new_folders: NewFolders,
}

fn stage(args: &RaceArgs) -> Result<Outputs> {
    let mut new_folders = NewFolders::default();
    let mut used = UsedFiles::default();
    if let Origin::Archive(archive) = &args.from {
        used.add_kept(archive)?;
    }
    args.urls.iter().try_for_each(|urls| used.add_kept(urls))?;
    if let Some(folder) = &args.trace {
        new_folders.create(folder)?;
        used.add_kept(folder)?;
        // Fails if no file can be created in the folder.
        StagedFile::create(&folder.join(export::trace_name(PRODUCT, 0, 1)))?;
    }
    let mut stage = |file: &Option<PathBuf>| -> Result<Option<OutputFile>> {
        let Some(file) = file else { return Ok(None) };
        new_folders.create(output::parent(file))?;
        used.add_output(file)?;
        Ok(Some(OutputFile::stage(file)?))
    };
    Ok(Outputs {
        html: stage(&args.html)?,
        json: stage(&args.json)?,
        csv: stage(&args.csv)?,
        rivals: tempfile::tempdir()?,
        ca_out: stage(&args.ca_out)?,
        _new_folders: new_folders,
    })
}

fn check_conditions(args: &RaceArgs) -> Result<()> {
    let has_line =
        !args.latency.is_empty() || args.jitter > 0 || args.bandwidth.is_some() || args.tls;
    if args.work == WorkArg::Cpu && has_line {
        bail!(
            "--work cpu sends no requests to a server; omit --latency, --jitter, --bandwidth and --tls"
        );
    }
    if !args.also.is_empty() && args.work != WorkArg::Job {
        bail!(
            "--also runs the whole job and cannot be compared with --work {}; omit one of them",
            args.work.name()
        );
    }
    check_open_files(args)
}

/// Fails if a process cannot have as many connections as the option says: the race would compare other
/// numbers than it names. The processes of the race inherit the limit, raised here: the server has one end
/// of each connection and a contender the other.
fn check_open_files(args: &RaceArgs) -> Result<()> {
    let workers = args.worker_counts().into_iter().max().unwrap_or(1);
    let needed = workers as usize + OTHER_FILES;
    let Some(limit) = usage::raise_open_file_limit() else {
        return Ok(());
    };
    let available = usage::openable_files(needed);
    if available < needed {
        bail!(
            "--workers {workers} needs {needed} open files in each process, and the system allows {available} more: raise the limit with `ulimit -n {}`",
            usage::higher_open_file_limit(limit, needed - available)
        );
    }
    Ok(())
}

fn participants(args: &RaceArgs, folder: &Path) -> Result<Vec<Participant>> {
    let is_unknown = |name: &&String| ALL.iter().all(|contender| contender.name != **name);
    if let Some(unknown) = args.only.iter().find(is_unknown) {
        let names: Vec<&str> = ALL.iter().map(|contender| contender.name).collect();
        bail!(
            "unknown contender {unknown:?}; --only accepts {}",
            names.join(", ")
        );
    }
    let contenders = ALL
        .iter()
        .filter(|contender| args.includes(contender.name))
        .map(|contender| Participant::Contender {
            name: contender.name,
        });
    let mut participants: Vec<Participant> = contenders.collect();
    for programs in &args.also {
        match programs {
            Programs::Named(name, command) => participants.push(program(name, command.clone())),
            Programs::Rivals(rivals) => {
                for rival in rivals {
                    participants.push(program(rival.name, rival.prepare(folder)?));
                }
            }
        }
    }
    Ok(participants)
}

fn program(name: &str, command: String) -> Participant {
    let name = name.to_owned();
    Participant::Program { name, command }
}
