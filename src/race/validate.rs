//! Checks the options before the first run, and selects the participants.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use crossbeam_channel::Receiver;
use tempfile::TempDir;

use crate::disk::output::{self, NewFolders};
use crate::disk::same_file::UsedFiles;
use crate::disk::staging::StagedFile;
use crate::race::contenders::{ALL, Contender, PRODUCT};
use crate::race::export;
use crate::race::options::{Programs, RaceArgs, WorkArg};
use crate::race::output_files::OutputFile;
use crate::race::run::participant::Participant;
use crate::source::origin::Origin;
use crate::telemetry::usage;

/// Returns all participants and the staged outputs. Fails if the options are invalid.
pub fn check(args: &RaceArgs, signals: &Receiver<i32>) -> Result<(Vec<Participant>, Outputs)> {
    let outputs = stage(args)?;
    check_conditions(args)?;
    let participants = participants(args, outputs.rivals.path(), signals)?;
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
    if args.companies.is_some() && matches!(args.from, Origin::Archive(_)) {
        bail!("--companies is for the embedded market, and an archive has its own; omit it");
    }
    check_open_files(args)
}

/// Fails if a process cannot have as many connections as the option says: the race would compare other
/// numbers than it names. The processes of the race inherit the limit, raised here: the server has one end
/// of each connection and a contender the other.
fn check_open_files(args: &RaceArgs) -> Result<()> {
    let files = |contender: &Contender| {
        let mut counts = args.worker_counts();
        counts.retain(|workers| args.sweeps(contender.name, *workers));
        let workers = counts.into_iter().max().unwrap_or(1);
        (contender.files(workers as usize), workers)
    };
    let contenders = ALL.iter().filter(|contender| args.includes(contender.name));
    let (needed, workers) = contenders.map(files).max().unwrap_or_default();
    let Some(limit) = usage::raise_open_file_limit() else {
        return Ok(());
    };
    let available = usage::openable_files(needed);
    if available < needed {
        bail!(
            "--workers {workers} needs {needed} open files in each process, and the system allows {available} \
             more: raise the limit with `ulimit -n {}`",
            usage::higher_open_file_limit(limit, needed - available)
        );
    }
    Ok(())
}

fn participants(
    args: &RaceArgs,
    folder: &Path,
    signals: &Receiver<i32>,
) -> Result<Vec<Participant>> {
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
                    participants.push(program(rival.name, rival.prepare(folder, signals)?));
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
