//! The files of a run: staged before its first request, written all or none at its end.

use std::path::{Path, PathBuf};

use crate::disk::commit::{self, Commit, CommitError, REDO, Recovered};
use crate::disk::output::{self, NewFolders, OutputError};
use crate::disk::same_file::{PathError, UsedFiles};
use crate::disk::staging::{Content, StagedFile};
use crate::exit::Exit;
use crate::results::findings::Findings;
use crate::results::ranking::{Figure, Place};
use crate::results::report::{self, Report, WrittenFile};
use crate::results::table::{self, Format};
use crate::telemetry::trace::Timeline;
use crate::warc::journal::{self, Recording};

/// The report, beside the rankings.
const REPORT: &str = "run.json";
/// The report of a run that failed, until the next one succeeds.
const FAILED_RUN: &str = "failed-run.json";
/// The ranking by price of an earlier run, beside the rankings of a run that has none.
const PREVIOUS_PRICE: &str = "price.previous.json";

/// Where a run writes its results.
#[derive(Debug, Clone)]
pub struct Outputs {
    /// Folder of the rankings and the report.
    pub folder: PathBuf,
    /// Files of the table of all companies.
    pub tables: Vec<(PathBuf, Format)>,
    /// Archive to record into.
    pub record: Option<PathBuf>,
    /// File of the trace.
    pub trace: Option<PathBuf>,
    /// Database that the run appends itself to.
    pub database: Option<PathBuf>,
    /// File that the run appends its messages to.
    pub log: Option<PathBuf>,
}

impl Outputs {
    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let tables = self.tables.iter().map(|(file, _)| file);
        tables.chain(&self.record).chain(&self.trace)
    }

    /// All files that the run may write or rename.
    fn all_files(&self) -> impl Iterator<Item = PathBuf> {
        let rankings = Figure::ALL.map(|figure| figure.file_name());
        let names = rankings
            .into_iter()
            .chain([REPORT, FAILED_RUN, PREVIOUS_PRICE, REDO]);
        names
            .map(|name| self.folder.join(name))
            .chain([self.journal()])
            .chain(self.files().cloned())
    }

    /// The number of files that are open at the same time because options name them.
    pub fn count(&self) -> usize {
        // The database, its journal, and the folder of both.
        let of_database = if self.database.is_some() { 3 } else { 0 };
        self.files().count() + usize::from(self.log.is_some()) + of_database
    }

    /// The database, and the files that SQLite may create beside it.
    fn database_files(&self) -> Vec<PathBuf> {
        let Some(database) = &self.database else {
            return Vec::new();
        };
        // Of a link, they stand beside its target.
        let target = database.canonicalize().unwrap_or_else(|_| database.clone());
        let beside = ["-journal", "-wal", "-shm"].map(|ending| {
            let mut name = target.clone().into_os_string();
            name.push(ending);
            PathBuf::from(name)
        });
        [database.clone()].into_iter().chain(beside).collect()
    }

    /// The journal of the run.
    pub fn journal(&self) -> PathBuf {
        journal::journal_path(&self.folder, self.record.as_deref())
    }
}

/// Why the outputs of a run cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutputsError {
    #[error(
        "--record needs a server; to duplicate an archive, copy {}", .0.display()
    )]
    RecordsArchive(PathBuf),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<OutputError> for OutputsError {
    fn from(error: OutputError) -> Self {
        PathError::from(error).into()
    }
}

/// The staged files of a run. The recording is staged in the journal.
#[derive(Debug)]
pub struct StagedOutputs {
    pub results: StagedResults,
    pub failed_run: StagedFile,
    /// The commit of an earlier run that this one has completed.
    pub recovered: Option<Recovered>,
    /// Dropped last, when the staged files are gone.
    pub new_folders: NewFolders,
}

/// The staged files of a run that succeeds.
#[derive(Debug)]
pub struct StagedResults {
    /// Staged for [`REDO`]: the lock of the folder.
    record: StagedFile,
    rankings: Vec<(Figure, StagedFile)>,
    tables: Vec<(Format, StagedFile)>,
    trace: Option<StagedFile>,
    report: StagedFile,
}

/// Locks the folder of the results, completes the commit of an earlier run, and stages every output.
/// Fails if an output is not writable or used by another run, if two outputs are one file, and if one is
/// a source archive.
pub fn stage(outputs: &Outputs, archives: &[PathBuf]) -> Result<StagedOutputs, OutputsError> {
    if let ([archive, ..], Some(_)) = (archives, &outputs.record) {
        return Err(OutputsError::RecordsArchive(archive.clone()));
    }
    let folder = &outputs.folder;
    let mut new_folders = NewFolders::default();
    let files = outputs.files().chain(&outputs.database);
    let folders = files.map(|file| output::parent(file));
    for folder in [&**folder].into_iter().chain(folders) {
        new_folders.create(folder)?;
    }
    let record = StagedFile::create(&folder.join(REDO)).map_err(|error| OutputError {
        path: folder.clone(),
        ..error
    })?;
    let recovered = commit::recover(folder)?;
    let mut used = UsedFiles::default();
    archives.iter().for_each(|archive| used.add_source(archive));
    let kept = outputs.log.iter().map(PathBuf::as_path);
    let database = outputs.database_files();
    let kept = kept.chain(database.iter().map(PathBuf::as_path));
    for path in [&**folder].into_iter().chain(kept) {
        used.add_kept(path)?;
    }
    for file in outputs.all_files() {
        used.add_output(&file)?;
    }
    let rankings = Figure::ALL.map(|figure| {
        let staged = StagedFile::create(&folder.join(figure.file_name()))?;
        Ok((figure, staged))
    });
    let tables = outputs.tables.iter();
    let tables = tables.map(|(file, format)| Ok((*format, StagedFile::create(file)?)));
    let trace = outputs.trace.as_deref().map(StagedFile::create);
    Ok(StagedOutputs {
        results: StagedResults {
            record,
            rankings: rankings.into_iter().collect::<Result<_, OutputError>>()?,
            tables: tables.collect::<Result<_, OutputError>>()?,
            trace: trace.transpose()?,
            report: StagedFile::create(&folder.join(REPORT))?,
        },
        failed_run: StagedFile::create(&folder.join(FAILED_RUN))?,
        recovered,
        new_folders,
    })
}

/// What the files of a run contain, the report aside.
pub struct Contents<'a> {
    pub rankings: &'a [(Figure, Vec<Place>)],
    pub findings: &'a Findings,
    pub timeline: Option<Timeline>,
    pub recording: Option<Recording>,
}

/// The complete files of a run, still under other names.
#[derive(Debug)]
pub struct Complete {
    commit: Commit,
    report: StagedFile,
    /// The files for the report, which lists itself too; its own content is `None`.
    files: Vec<WrittenFile>,
    /// The name that an earlier ranking by price gets, because this run has none.
    previous_price: Option<String>,
    /// Held until the commit is complete.
    _recording: Option<Recording>,
}

impl StagedResults {
    /// Writes and syncs all files but the report. After an error no result has changed.
    pub fn write(
        self,
        outputs: &Outputs,
        contents: Contents,
        exit: Exit,
    ) -> Result<Complete, OutputError> {
        let mut complete = Complete {
            commit: Commit::new(self.record, exit as u8),
            report: self.report,
            files: Vec::new(),
            previous_price: None,
            _recording: None,
        };
        let Findings {
            harvest, prices, ..
        } = contents.findings;
        if prices.error.is_some() {
            complete.supersede_price(&outputs.folder)?;
        }
        for (figure, staged) in self.rankings {
            let mut rankings = contents.rankings.iter();
            // Without usable rates, there is no ranking by price.
            if let Some((_, places)) = rankings.find(|(ranked, _)| *ranked == figure) {
                let content = staged.write(|out| report::write_json(places, out))?;
                complete.add(staged, content)?;
            }
        }
        for (format, staged) in self.tables {
            let content =
                staged.write(|out| table::write(&harvest.companies, prices, format, out))?;
            complete.add(staged, content)?;
        }
        if let (Some(staged), Some(timeline)) = (self.trace, contents.timeline) {
            let content = staged.write(|out| timeline.write_chrome(out))?;
            complete.add(staged, content)?;
        }
        complete
            .files
            .push((complete.report.target().display().to_string(), None));
        if let (Some(recording), Some(target)) = (contents.recording, &outputs.record) {
            let content = recording.content.clone();
            complete
                .commit
                .rename(&recording.path, target, content.clone())?;
            complete
                .files
                .push((target.display().to_string(), Some(content)));
            complete._recording = Some(recording);
        }
        complete.commit.remove(FAILED_RUN);
        Ok(complete)
    }
}

impl Complete {
    fn add(&mut self, staged: StagedFile, content: Content) -> Result<(), OutputError> {
        let name = staged.target().display().to_string();
        self.files.push((name, Some(content.clone())));
        self.commit.publish(staged, content)
    }

    /// Renames an earlier ranking by price. Under its old name, it would look like one of this run.
    fn supersede_price(&mut self, folder: &Path) -> Result<(), OutputError> {
        let earlier = folder.join(Figure::Price.file_name());
        if earlier.symlink_metadata().is_err() {
            return Ok(());
        }
        let previous = folder.join(PREVIOUS_PRICE);
        let content = Content::of(&earlier).map_err(OutputError::at(&earlier))?;
        self.commit.rename(&earlier, &previous, content)?;
        self.previous_price = Some(previous.display().to_string());
        Ok(())
    }

    /// Adds the files to the report, writes it, and gives all files their names.
    pub fn commit(mut self, report: &mut Report) -> Result<(), CommitError> {
        report.add_files(&self.files, self.previous_price.as_deref());
        let content = self.report.write(|out| report::write_json(report, out))?;
        self.commit.publish(self.report, content)?;
        self.commit.run()
    }
}
