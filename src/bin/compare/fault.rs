//! What a contender can be made to do wrong, to see that the race finds out and goes on.

use std::{process, thread};

use indexrank::pipeline::harvest::Harvest;
use serde::{Deserialize, Serialize};

use crate::task::Seen;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Fault {
    /// Loses a page and says nothing.
    Loses,
    /// Loses a page and says so.
    Admits,
    /// Changes a figure.
    Changes,
    Crashes,
    Hangs,
}

impl Fault {
    /// Spoils what a contender brought home, or does not come back.
    pub fn commit(self, harvest: &mut Harvest<Seen>) {
        let mut companies: Vec<_> = harvest.companies.iter().collect();
        match self {
            Fault::Loses => {
                companies.pop();
                harvest.listed -= 1;
            }
            Fault::Admits => drop(companies.pop()),
            Fault::Changes => match companies.first_mut().map(|first| &mut first.page) {
                Some(Seen::Company(page)) => page.price = page.price.map(|price| -price),
                Some(Seen::Fetched { bytes } | Seen::Visited { bytes, .. }) => *bytes += 1,
                Some(Seen::Nothing) | None => {}
            },
            Fault::Crashes => process::abort(),
            Fault::Hangs => loop {
                thread::park();
            },
        }
        harvest.companies = companies.into_iter().collect();
    }
}
