//! The options of `indexrank check`.

use std::time::Duration;

use clap::Args;
use crossbeam_channel::Receiver;

use crate::cli::site::{ClientArgs, SiteArgs};
use crate::cli::values::seconds;
use crate::job::advice::Stop;
use crate::job::check::Check;

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    site: SiteArgs,
    #[command(flatten)]
    client: ClientArgs,
    /// Print the verdicts as one JSON object
    #[arg(long, help_heading = "Terminal", display_order = 103)]
    pub json: bool,
    /// End the check after SECONDS
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, hide = true)]
    max_time: Duration,
}

impl CheckArgs {
    /// The settings of the check. A signal from `interrupts` ends it. An error if options contradict each
    /// other.
    pub fn into_check(self, interrupts: Receiver<i32>) -> Result<Check, Stop> {
        Ok(Check {
            access: self.client.into_access(&self.site)?,
            index: self.site.index,
            max_time: self.max_time,
            interrupts,
        })
    }
}
