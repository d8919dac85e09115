//! Faults injected into a contender. Tests use them to check that the race detects each one and
//! continues with the other participants.

use std::{process, thread};

use serde::{Deserialize, Serialize};

use crate::pipeline::harvest::Harvest;
use crate::race::contenders::extract::Extract;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Fault {
    /// Drops a page and hides it from the count of listed pages.
    #[value(name = "loses")]
    DropsPage,
    /// Drops a page that stays in the count of listed pages, so it is counted as not attempted.
    #[value(name = "admits")]
    DropsCountedPage,
    /// Changes a figure.
    #[value(name = "changes")]
    ChangesFigure,
    Crashes,
    Hangs,
}

impl Fault {
    /// Damages the harvest, aborts the process, or blocks forever.
    pub fn inject(self, harvest: &mut Harvest<Extract>) {
        let companies = &mut harvest.companies;
        match self {
            Fault::DropsPage => {
                companies.pop();
                harvest.listed -= 1;
            }
            Fault::DropsCountedPage => {
                companies.pop();
            }
            Fault::ChangesFigure => match companies.first_mut().map(|first| &mut first.page) {
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
