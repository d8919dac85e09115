//! The options of `indexrank diff` and `indexrank history`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::values::{index_name, since};
use crate::store::choose::Since;

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Read the runs in FILE, a database that `indexrank --db FILE` has written
    #[arg(long, value_name = "FILE")]
    pub db: PathBuf,
    /// Compare with the last run up to this day, or with the run of this number [default: the one before]
    ///
    /// A day like 2022-02-04 is one in UTC. Only complete runs are compared.
    #[arg(long, value_name = "DATE|RUN", value_parser = since)]
    pub since: Option<Since>,
    /// Compare runs of the index NAME; needed if the file has complete runs of several
    #[arg(long, value_name = "NAME", value_parser = index_name)]
    pub index: Option<String>,
    /// Print the changes as one JSON object
    #[arg(long)]
    pub json: bool,
    /// End with exit code 10 if something has changed
    #[arg(long)]
    pub exit_code: bool,
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Code of the company, such as MMM or BRK.B
    pub code: String,
    /// Read the runs in FILE, a database that `indexrank --db FILE` has written
    #[arg(long, value_name = "FILE")]
    pub db: PathBuf,
    /// Show only runs of the index NAME
    #[arg(long, value_name = "NAME", value_parser = index_name)]
    pub index: Option<String>,
    /// Print the figures as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Print the figures as CSV
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}
