//! A stock index of the embedded market and its pages.

use std::collections::HashSet;

use fastrand::Rng;

use super::html::page_rng;
use super::index_html::{IndexPage, Kind};
use super::listing::Listing;
use crate::site::paths;

/// Rows per numbered index page; the crawl had 496 companies on eleven pages.
const ROWS: usize = 46;

/// A stock index with its companies in the order of its pages.
#[derive(Debug)]
pub struct Index {
    /// As in paths, percent-decoded, like `s&p_500`.
    pub name: &'static str,
    /// As in headings, like `S&P 500`.
    pub title: &'static str,
    pub companies: Vec<Listing>,
    /// Positions in `companies` that no numbered page lists.
    dropped: HashSet<usize>,
    seed: u64,
}

impl Index {
    pub(super) fn new(
        name: &'static str,
        title: &'static str,
        companies: Vec<Listing>,
        seed: u64,
    ) -> Self {
        Index {
            name,
            title,
            companies,
            dropped: HashSet::new(),
            seed,
        }
    }

    /// Drops up to `count` companies from the numbered pages, never the first of a page. The seed
    /// selects them.
    pub(super) fn drop_rows(&mut self, count: usize) {
        let mut candidates: Vec<usize> = (0..self.companies.len())
            .filter(|position| position % ROWS != 0)
            .collect();
        Rng::with_seed(self.seed).shuffle(&mut candidates);
        self.dropped = candidates.into_iter().take(count).collect();
    }

    /// The companies that no numbered page lists.
    pub fn dropped(&self) -> impl Iterator<Item = &Listing> {
        let companies = self.companies.iter().enumerate();
        let dropped = companies.filter(|(position, _)| self.dropped.contains(position));
        dropped.map(|(_, company)| company)
    }

    /// The number of numbered pages.
    pub fn pages(&self) -> u32 {
        self.companies.len().div_ceil(ROWS) as u32
    }

    /// The HTML of a numbered page; `number` counts from 1.
    ///
    /// A number above [`pages`](Self::pages) gives a page without rows; 0 panics.
    pub fn page(&self, number: u32) -> String {
        let first = (number as usize - 1) * ROWS;
        let companies = self.companies.iter().enumerate();
        let rows: Vec<&Listing> = companies
            .skip(first)
            .take(ROWS)
            .filter(|(position, _)| !self.dropped.contains(position))
            .map(|(_, company)| company)
            .collect();
        let kind = Kind::Numbered {
            number,
            pages: self.pages(),
        };
        self.html(&rows, kind)
    }

    /// The HTML of a letter page, `A` to `Z` or `0-9`. Without companies its table has no rows.
    pub fn letter_page(&self, letter: &str) -> String {
        let companies = self.companies.iter();
        let rows: Vec<&Listing> = companies
            .filter(|company| letter_of(&company.name) == letter)
            .collect();
        self.html(&rows, Kind::Letter(letter))
    }

    fn html(&self, rows: &[&Listing], kind: Kind) -> String {
        let path = match kind {
            Kind::Numbered { number, .. } => paths::numbered_page(self.name, number),
            Kind::Letter(letter) => paths::letter_page(self.name, letter),
        };
        let mut rng = page_rng(self.seed, &path);
        let page = IndexPage {
            index: self.name,
            title: self.title,
            kind,
        };
        page.html(rows, &mut rng)
    }
}

/// The letter page that lists a company of this name.
fn letter_of(name: &str) -> String {
    match name.chars().next() {
        Some(first) if first.is_ascii_alphabetic() => first.to_ascii_uppercase().to_string(),
        _ => "0-9".to_owned(),
    }
}
