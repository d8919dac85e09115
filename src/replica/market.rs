//! The companies of the embedded market.
//!
//! The first 496 have the figures of a real crawl of the S&P 500 on 31 January 2022. The exchange
//! rate is the Bank of Russia's of 4 February 2022. A larger market continues with synthetic companies,
//! which depend on the seed alone. None of them comes near a top ten.

use std::collections::HashSet;

use encoding_rs::WINDOWS_1251;
use fastrand::Rng;
use jiff::civil::{Date, date};

use super::company_html::company_page;
use super::html;
use super::index_html::{IndexPage, index_page};
use super::listing::Listing;

/// The default seed.
pub const SEED: u64 = 500;

const COMPANIES: &str = include_str!("../../testdata/market.csv");
/// Rows per numbered index page; the crawl had 496 companies on eleven pages.
const ROWS: usize = 46;

/// A market with its companies in index order.
#[derive(Debug)]
pub struct Market {
    companies: Vec<Listing>,
    /// Positions in `companies` that no numbered index page lists.
    dropped: HashSet<usize>,
    seed: u64,
}

impl Market {
    /// Name of the only index, as in paths, percent-decoded.
    pub const INDEX: &str = "s&p_500";
    /// The date of the exchange rates.
    pub const DATE: Date = date(2022, 2, 4);

    /// The first `count` companies, 496 by default. Beyond 496 the companies are synthetic.
    pub fn embedded(count: Option<usize>, seed: u64) -> Self {
        let mut companies: Vec<Listing> = csv::Reader::from_reader(COMPANIES.as_bytes())
            .deserialize()
            .collect::<Result<_, _>>()
            .expect("the embedded list is well formed");
        let count = count.unwrap_or(companies.len());
        companies.truncate(count);
        let mut rng = Rng::with_seed(seed);
        companies
            .extend((companies.len()..count).map(|number| synthetic_company(number, &mut rng)));
        Market {
            companies,
            dropped: HashSet::new(),
            seed,
        }
    }

    /// Drops up to `count` companies from the numbered index pages, so that only letter pages list them.
    ///
    /// The real site does the same: it drops rows after it has divided the index into pages. The seed
    /// selects the companies. The first company of each page stays, so that no page is empty.
    pub fn dropping(mut self, count: usize) -> Self {
        let mut candidates: Vec<usize> = (0..self.companies.len())
            .filter(|position| position % ROWS != 0)
            .collect();
        Rng::with_seed(self.seed).shuffle(&mut candidates);
        self.dropped = candidates.into_iter().take(count).collect();
        self
    }

    /// The companies that no numbered index page lists.
    pub fn dropped(&self) -> impl Iterator<Item = &Listing> {
        let companies = self.companies.iter().enumerate();
        let dropped = companies.filter(|(position, _)| self.dropped.contains(position));
        dropped.map(|(_, company)| company)
    }

    pub fn companies(&self) -> &[Listing] {
        &self.companies
    }

    /// The number of numbered index pages.
    pub fn index_pages(&self) -> u32 {
        self.companies.len().div_ceil(ROWS) as u32
    }

    /// The HTML of a numbered index page; `number` counts from 1.
    ///
    /// A number above [`index_pages`](Self::index_pages) gives a page without rows; 0 panics.
    pub fn index_page(&self, number: u32) -> String {
        let first = (number as usize - 1) * ROWS;
        let companies = self.companies.iter().enumerate();
        let rows: Vec<&Listing> = companies
            .skip(first)
            .take(ROWS)
            .filter(|(position, _)| !self.dropped.contains(position))
            .map(|(_, company)| company)
            .collect();
        let kind = IndexPage::Numbered {
            number,
            pages: self.index_pages(),
        };
        let mut rng = Rng::with_seed(self.seed ^ u64::from(number));
        index_page(&rows, kind, &mut rng)
    }

    /// The HTML of a letter page, `A` to `Z` or `0-9`. Without companies its table has no rows.
    pub fn letter_page(&self, letter: &str) -> String {
        let companies = self.companies.iter();
        let rows: Vec<&Listing> = companies
            .filter(|company| letter_of(&company.name) == letter)
            .collect();
        let initial = letter.bytes().next().map_or(0, u64::from);
        let mut rng = Rng::with_seed(self.seed ^ initial << 32);
        index_page(&rows, IndexPage::Letter(letter), &mut rng)
    }

    /// The HTML of a company page. It depends on the company and the seed, not on other companies.
    pub fn company_page(&self, company: &Listing) -> String {
        // FNV-1a over the path, started with the market's seed.
        let company_seed = company.path.bytes().fold(self.seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        company_page(company, &mut Rng::with_seed(company_seed))
    }

    /// The exchange rates as the Bank of Russia sends them: XML on one line, in windows-1251.
    pub fn rates(&self) -> Vec<u8> {
        let currencies = [
            (
                "R01010",
                "036",
                "AUD",
                "1",
                "Австралийский доллар",
                "54,7435",
            ),
            (
                "R01035",
                "826",
                "GBP",
                "1",
                "Фунт стерлингов Соединенного королевства",
                "103,9605",
            ),
            ("R01235", "840", "USD", "1", "Доллар США", "76,6501"),
            ("R01239", "978", "EUR", "1", "Евро", "86,5609"),
            ("R01375", "156", "CNY", "10", "Китайских юаней", "120,5008"),
            ("R01820", "392", "JPY", "100", "Японских иен", "66,8102"),
        ];
        let list: String = currencies
            .map(|(id, number, code, nominal, name, value)| {
                format!(
                    "<Valute ID=\"{id}\"><NumCode>{number}</NumCode><CharCode>{code}</CharCode>\
                     <Nominal>{nominal}</Nominal><Name>{name}</Name><Value>{value}</Value></Valute>"
                )
            })
            .concat();
        let date = Market::DATE.strftime("%d.%m.%Y");
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"windows-1251\"?>\
             <ValCurs Date=\"{date}\" name=\"Foreign Currency Market\">{list}</ValCurs>"
        );
        WINDOWS_1251.encode(&xml).0.into_owned()
    }
}

/// The letter page that lists a company of this name.
fn letter_of(name: &str) -> String {
    match name.chars().next() {
        Some(first) if first.is_ascii_alphabetic() => first.to_ascii_uppercase().to_string(),
        _ => "0-9".to_owned(),
    }
}

/// A company with average figures. Its code has five letters, from `ZAAAA` on, and no real company has
/// such a code.
fn synthetic_company(number: usize, rng: &mut Rng) -> Listing {
    let mut letters = [b'Z', b'A', b'A', b'A', b'A'];
    let mut rest = number;
    for letter in letters.iter_mut().rev() {
        *letter = letter.wrapping_add((rest % 26) as u8).min(b'Z');
        rest /= 26;
    }
    let code = String::from_utf8_lossy(&letters).into_owned();
    let low = rng.u64(1_000..20_000);
    // Growth stays below 70 %, because the tenth company of the real ranking grew by 84 %.
    let high = low + rng.u64(0..low * 7 / 10);
    let (price, year_ago) = (rng.u64(low..=high), rng.u64(low..=high));
    let growth = 100.0 * (price as f64 / year_ago as f64 - 1.0);
    let money = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
    Listing {
        path: format!("/stocks/{}-stock", code.to_lowercase()),
        name: format!(
            "{} {}",
            html::capitalized(html::random_word(rng)),
            rng.choice(["Inc.", "Corp.", "Group PLC", "Co."])
                .unwrap_or("")
        ),
        price: money(price),
        pe: money(rng.u64(1_000..8_000)),
        low52: money(low),
        high52: money(high),
        growth: format!("{growth:.2}"),
        code,
    }
}
