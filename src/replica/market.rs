//! The embedded market: three stock indices, their companies, and the exchange rates.
//!
//! | Index | Companies |
//! |---|---|
//! | `s&p_500` | The first 496 have the figures of a real crawl on 31 January 2022. A larger index continues with synthetic companies, which depend on the seed alone. None of them comes near a top ten. |
//! | `dax` | 40, quoted in euros. Three addresses contain percent-encoded umlauts. The figures are invented, of a realistic size. |
//! | `mixed` | 50 on two pages: 15 of the S&P 500, 13 of the DAX, 18 British ones quoted in pence (`GBX`), and one each in `GBP`, `JPY` and `XXQ`, which no bank lists. The page of one states no currency. |

use std::collections::{HashMap, HashSet};

use fastrand::Rng;
use jiff::civil::Date;

use super::company_html::company_page;
use super::html::page_rng;
use super::index::Index;
use super::listing::Listing;
use super::rates;
use super::synthetic::synthetic_company;

/// The default seed.
pub const SEED: u64 = 500;

const SP_500: &str = include_str!("../../testdata/market.csv");
const DAX: &str = include_str!("../../testdata/dax.csv");
/// A row with a path alone stands for a company of the other two indices.
const MIXED: &str = include_str!("../../testdata/mixed.csv");

/// Three stock indices and the companies in them.
///
/// Methods that do not name an index belong to `s&p_500`.
#[derive(Debug)]
pub struct Market {
    indices: [Index; 3],
    seed: u64,
}

impl Market {
    /// Name of the first index, as in paths, percent-decoded.
    pub const INDEX: &str = Market::INDICES[0];
    /// Names of all indices.
    pub const INDICES: [&str; 3] = ["s&p_500", "dax", "mixed"];
    /// The date of the exchange rates.
    pub const DATE: Date = rates::DATE;

    /// A market with `count` companies in the S&P 500, 496 by default. Beyond 496 the companies are
    /// synthetic. The other indices are always complete.
    pub fn embedded(count: Option<usize>, seed: u64) -> Self {
        let mut sp_500 = parse(SP_500);
        let dax = parse(DAX);
        let known: HashMap<&str, &Listing> = sp_500
            .iter()
            .chain(&dax)
            .map(|company| (&*company.path, company))
            .collect();
        let resolve = |company: Listing| match known.get(&*company.path) {
            Some(known) => (*known).clone(),
            None => company,
        };
        let mixed = parse(MIXED).into_iter().map(resolve).collect();
        let count = count.unwrap_or(sp_500.len());
        sp_500.truncate(count);
        let mut rng = Rng::with_seed(seed);
        sp_500.extend((sp_500.len()..count).map(|number| synthetic_company(number, &mut rng)));
        Market {
            indices: [
                Index::new(Market::INDEX, "S&P 500", sp_500, seed),
                Index::new(Market::INDICES[1], "DAX", dax, seed),
                Index::new(Market::INDICES[2], "Mixed Currencies", mixed, seed),
            ],
            seed,
        }
    }

    /// Drops up to `count` companies from the numbered index pages, so that only letter pages list them.
    ///
    /// The real site does the same: it drops rows after it has divided the index into pages. The seed
    /// selects the companies. The first company of each page stays, so that no page is empty.
    pub fn dropping(mut self, count: usize) -> Self {
        self.indices[0].drop_rows(count);
        self
    }

    /// The companies that no numbered index page lists.
    pub fn dropped(&self) -> impl Iterator<Item = &Listing> {
        self.indices[0].dropped()
    }

    pub fn indices(&self) -> &[Index] {
        &self.indices
    }

    /// The index of this name, as in paths, percent-decoded.
    pub fn index(&self, name: &str) -> Option<&Index> {
        self.indices.iter().find(|index| index.name == name)
    }

    pub fn companies(&self) -> &[Listing] {
        &self.indices[0].companies
    }

    /// The companies of all indices, each once.
    pub fn all_companies(&self) -> Vec<&Listing> {
        let mut paths = HashSet::new();
        let companies = self.indices.iter().flat_map(|index| &index.companies);
        companies
            .filter(|company| paths.insert(&*company.path))
            .collect()
    }

    /// The number of numbered index pages.
    pub fn index_pages(&self) -> u32 {
        self.indices[0].pages()
    }

    /// The HTML of a numbered index page, as by [`Index::page`].
    pub fn index_page(&self, number: u32) -> String {
        self.indices[0].page(number)
    }

    /// The HTML of a letter page, as by [`Index::letter_page`].
    pub fn letter_page(&self, letter: &str) -> String {
        self.indices[0].letter_page(letter)
    }

    /// The HTML of a company page. It depends on the company and the seed, not on other companies.
    pub fn company_page(&self, company: &Listing) -> String {
        company_page(company, &mut page_rng(self.seed, &company.path))
    }

    /// The exchange rates as the Bank of Russia sends them: XML on one line, in windows-1251.
    pub fn rates(&self) -> Vec<u8> {
        rates::rates()
    }
}

/// Parses an embedded list of companies.
fn parse(list: &str) -> Vec<Listing> {
    let companies = csv::Reader::from_reader(list.as_bytes()).into_deserialize();
    companies
        .collect::<Result<_, _>>()
        .expect("the embedded list is well formed")
}
