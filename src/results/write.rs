//! The files of a run: checked before it, written all or none after it.

use std::path::{Path, PathBuf};

use crate::disk::output::{self, OutputError, StagedFile};
use crate::results::prices::Prices;
use crate::results::ranking::{Figure, Place};
use crate::results::report;
use crate::results::table::{self, Format};
use crate::site::company::Company;
use crate::telemetry::trace::Timeline;
use crate::warc::journal::{self, Journal};

/// The report, beside the rankings.
const REPORT: &str = "run.json";
/// The ranking by price of an earlier run, beside the rankings of a run that has none.
const PREVIOUS_PRICE: &str = "price.previous.json";

/// Where a run writes its results.
#[derive(Debug, Clone)]
pub struct Outputs {
    /// Folder of the rankings and the report.
    pub folder: PathBuf,
    /// File of the table of all companies.
    pub table: Option<(PathBuf, Format)>,
    /// Archive to record into.
    pub record: Option<PathBuf>,
    /// File of the trace.
    pub trace: Option<PathBuf>,
}

/// Why the outputs of a run cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutputsError {
    #[error("{0}")]
    Conflict(String),
    #[error(transparent)]
    Unwritable(#[from] OutputError),
}

/// Checks that every output is writable, that no two outputs share a path, and that none overwrites the
/// source archive.
pub fn check(outputs: &Outputs, archive: Option<&Path>) -> Result<(), OutputsError> {
    if let (Some(archive), Some(_)) = (archive, &outputs.record) {
        let message = format!(
            "--record needs a server; to duplicate an archive, copy {}",
            archive.display()
        );
        return Err(OutputsError::Conflict(message));
    }
    let Outputs {
        folder,
        table,
        record,
        trace,
    } = outputs;
    let mut paths: Vec<PathBuf> = Figure::ALL
        .map(|figure| folder.join(figure.file_name()))
        .into_iter()
        .chain([REPORT, PREVIOUS_PRICE].map(|name| folder.join(name)))
        .chain(table.iter().map(|(file, _)| file.clone()))
        .chain(record.clone())
        .chain([journal::journal_path(folder, record.as_deref())])
        .chain(trace.clone())
        .collect();
    for path in &paths {
        output::check_writable(path)?;
    }
    paths.push(folder.clone());
    paths.extend(archive.map(Path::to_owned));
    match output::find_duplicate(paths) {
        Some(path) => {
            let message = format!(
                "{} is used twice, for two results or for a result and the source; choose another name for one of them",
                path.display()
            );
            Err(OutputsError::Conflict(message))
        }
        None => Ok(()),
    }
}

/// The contents of all files but the report and the recording, and the file that they supersede.
#[derive(Debug)]
pub struct Contents {
    files: Vec<(PathBuf, Vec<u8>)>,
    /// An earlier ranking by price and its next name, if this run has none. Under its old
    /// name, it would look like one of the same run.
    superseded: Option<(PathBuf, PathBuf)>,
}

impl Contents {
    pub fn new(
        outputs: &Outputs,
        rankings: &[(Figure, Vec<Place>)],
        companies: &[Company],
        prices: &Prices,
        timeline: Option<Timeline>,
    ) -> Self {
        let rankings = rankings.iter().map(|(figure, places)| {
            let file = outputs.folder.join(figure.file_name());
            (file, report::json(places))
        });
        let table = outputs.table.iter().map(|(file, format)| {
            let table = table::write(companies, prices, *format);
            (file.clone(), table)
        });
        let trace = outputs.trace.iter().zip(timeline);
        let trace = trace.map(|(file, timeline)| (file.clone(), timeline.chrome()));
        Contents {
            files: rankings.chain(table).chain(trace).collect(),
            superseded: match prices.error {
                None => None,
                Some(_) => earlier_price(&outputs.folder),
            },
        }
    }

    /// The names of all files that the run writes, as the user named them.
    pub fn files(&self, outputs: &Outputs) -> Vec<String> {
        let report = outputs.folder.join(REPORT);
        let files = self.files.iter().map(|(file, _)| file);
        let files = files.chain([&report]).chain(&outputs.record);
        files.map(|file| file.display().to_string()).collect()
    }

    /// The next name of an earlier ranking by price, if this run renames one.
    pub fn previous_price(&self) -> Option<String> {
        let (_, previous) = self.superseded.as_ref()?;
        Some(previous.display().to_string())
    }
}

/// The ranking by price in a folder and its next name. `None` if there is no such file.
fn earlier_price(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let earlier = folder.join(Figure::Price.file_name());
    earlier.symlink_metadata().ok()?;
    Some((earlier, folder.join(PREVIOUS_PRICE)))
}

/// Writes and syncs every file under a temporary name, then renames all of them. So a failed write
/// changes no result. The rename of an earlier ranking by price is the first: nothing has changed if it
/// fails.
pub fn write_all(
    outputs: &Outputs,
    contents: Contents,
    report: &[u8],
    recording: Option<Journal>,
) -> Result<(), OutputError> {
    let report_file = outputs.folder.join(REPORT);
    let files = contents.files.iter();
    let staged: Vec<StagedFile> = files
        .map(|(file, content)| (file, &**content))
        .chain([(&report_file, report)])
        .map(|(file, content)| StagedFile::new(file, content))
        .collect::<Result<_, _>>()?;
    staged.iter().try_for_each(StagedFile::sync)?;
    let recorded = recording.zip(outputs.record.as_ref());
    let recorded = recorded
        .map(|(journal, target)| Ok((journal.finish_recording(target)?, target.clone())))
        .transpose()?;
    for (from, to) in contents.superseded.into_iter().chain(recorded) {
        output::rename(&from, &to)?;
    }
    staged.into_iter().try_for_each(StagedFile::persist)
}
