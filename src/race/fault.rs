//! Faults injected into a contender. Tests use them to check that the race detects each one and
//! continues with the other participants.

use std::{process, thread};

use crate::pipeline::harvest::Harvest;
use serde::{Deserialize, Serialize};

use crate::race::extract::Extract;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Fault {
    /// Drops a page and hides it from the count of listed pages.
    Loses,
    /// Drops a page that stays in the count of listed pages, so it is counted as not attempted.
    Admits,
    /// Changes a figure.
    Changes,
    Crashes,
    Hangs,
}

impl Fault {
    /// Damages the harvest, aborts the process, or blocks forever.
    pub fn inject(self, harvest: &mut Harvest<Extract>) {
        let companies = &mut harvest.companies;
        match self {
            Fault::Loses => {
                companies.pop();
                harvest.listed -= 1;
            }
            Fault::Admits => {
                companies.pop();
            }
            Fault::Changes => match companies.first_mut().map(|first| &mut first.page) {
                Some(Extract::Company(page)) => page.price = page.price.map(|price| -price),
                Some(Extract::Fetched { bytes } | Extract::Headings { bytes, .. }) => *bytes += 1,
                None => {}
            },
            Fault::Crashes => process::abort(),
            Fault::Hangs => loop {
                thread::park();
            },
        }
    }
}
