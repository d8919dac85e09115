//! The settings of a run over a list, one for each option.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::job::settings::Access;
use crate::lists::addresses::{Addresses, Listed};
use crate::lists::count::Words;
use crate::pipeline::PoolSizes;
use crate::results::table::Format;
use crate::source::shard::Shard;
use crate::telemetry::log::Log;
use crate::telemetry::progress::Style;

/// The settings of a run.
#[derive(Debug)]
pub struct ListJob {
    /// Local files, which come first in the list.
    pub files: Vec<PathBuf>,
    pub addresses: Addresses,
    /// The part of the addresses that is fetched, if it is not all of them. Such a run has no local files.
    pub shard: Option<Shard>,
    pub extract: Extract,
    pub outputs: Outputs,
    /// How requests are sent. Its origin is of no use.
    pub access: Access,
    pub sizes: PoolSizes,
    /// Maximum number of requests under way at each host.
    pub workers_per_host: usize,
    /// The time limit of one attempt; `None` for bodies that may take any time.
    pub timeout: Option<Duration>,
    /// Maximum number of requests per second of all shards, to all hosts together.
    pub rps: Option<f64>,
    pub max_time: Option<Duration>,
    /// Takes the rows of an interrupted run from its journal.
    pub resume: bool,
    /// Receives the numbers of signals that cancel the run.
    pub interrupts: Receiver<i32>,
    pub progress: Style,
    pub log: Arc<Log>,
}

impl ListJob {
    /// The number of files and addresses of the whole list.
    pub fn count_all(&self) -> u64 {
        (self.files.len() as u64).saturating_add(self.addresses.len())
    }

    /// The addresses of this run in the order of the list, with their positions in all of it.
    pub fn own_addresses(&self) -> impl Iterator<Item = Listed> {
        let before = self.files.len() as u64;
        let addresses = self.addresses.iter();
        let own = addresses.filter(|listed| {
            let shard = self.shard;
            shard.is_none_or(|shard| shard.takes(&listed.address))
        });
        own.map(move |listed| Listed {
            position: listed.position + before,
            ..listed
        })
    }

    /// The number of files and addresses of this run. Goes through the whole list if it is a shard.
    pub fn count_own(&self) -> u64 {
        match self.shard {
            Some(_) => self.own_addresses().count() as u64,
            None => self.count_all(),
        }
    }
}

/// What is taken from each page.
#[derive(Debug, Default)]
pub struct Extract {
    pub headings: bool,
    /// Words to count, if any.
    pub words: Option<Words>,
    /// Whether each page is JSON whose objects become rows of a database.
    pub objects: bool,
}

/// Where results go.
#[derive(Debug, Default)]
pub struct Outputs {
    pub table: Option<Table>,
    /// A folder for the bodies.
    pub save: Option<Save>,
    pub objects: Option<ObjectTable>,
    pub record: Option<PathBuf>,
    /// A folder for the report.
    pub report: Option<PathBuf>,
    pub log: Option<PathBuf>,
}

/// Where the rows go instead of a table for the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Table {
    File(PathBuf, Format),
    Stdout(Format),
}

/// Where bodies are saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Save {
    pub folder: PathBuf,
    /// Maximum size of a body in bytes.
    pub max_size: u64,
}

/// A table of an SQLite database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectTable {
    pub database: PathBuf,
    pub table: String,
    /// The column that identifies a row.
    pub key: String,
}

impl Outputs {
    /// The file of the report.
    pub fn report_file(&self) -> Option<PathBuf> {
        self.report.as_ref().map(|folder| folder.join("run.json"))
    }

    /// The journal of the run: beside its table, or in the folder of the bodies. `None` if there is neither;
    /// such a run cannot be resumed.
    pub fn journal(&self) -> Option<PathBuf> {
        if let Some(save) = &self.save {
            return Some(save.folder.join("unfinished.ndjson"));
        }
        let Some(Table::File(file, _)) = &self.table else {
            return None;
        };
        let name = file.file_name().unwrap_or_default().display();
        Some(file.with_file_name(format!("unfinished-{name}.ndjson")))
    }

    /// How many files a run opens beside connections and part files.
    pub fn count(&self) -> usize {
        let table = matches!(self.table, Some(Table::File(..)));
        let database = 4 * usize::from(self.objects.is_some());
        let files = [
            table,
            self.save.is_some(),
            self.record.is_some(),
            self.report.is_some(),
            self.log.is_some(),
        ];
        files.into_iter().filter(|file| *file).count() + database + 2
    }
}
