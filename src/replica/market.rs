//! The companies of the embedded market.
//!
//! The figures of the first 496 are those of a real crawl of the S&P 500 on 31 January 2022, with
//! the Bank of Russia's rate of 4 February 2022. A larger market goes on with companies that are
//! made up, the same ones for the same seed; none of them comes near a top ten.

use std::collections::HashSet;

use encoding_rs::WINDOWS_1251;
use fastrand::Rng;
use jiff::civil::{Date, date};

use super::company_html::company_page;
use super::html;
use super::index_html::{Slice, index_page};
use super::listing::Listing;

/// The seed of the market as it comes.
pub const SEED: u64 = 500;

const COMPANIES: &str = include_str!("../../testdata/market.csv");
/// Rows of an index page; the crawl had 496 companies on eleven pages.
const ROWS: usize = 46;

/// A market: companies in the order of its index.
#[derive(Debug)]
pub struct Market {
    companies: Vec<Listing>,
    /// Places of the companies that are on no numbered index page.
    dropped: HashSet<usize>,
    seed: u64,
}

impl Market {
    /// The one index that this market has.
    pub const INDEX: &str = "s&p_500";
    /// The day its rates are for.
    pub const DATE: Date = date(2022, 2, 4);

    /// The first `count` companies of the embedded market, all of the crawl by default.
    pub fn embedded(count: Option<usize>, seed: u64) -> Self {
        let mut companies: Vec<Listing> = csv::Reader::from_reader(COMPANIES.as_bytes())
            .deserialize()
            .collect::<Result<_, _>>()
            .expect("the embedded list is well formed");
        let count = count.unwrap_or(companies.len());
        companies.truncate(count);
        let mut rng = Rng::with_seed(seed);
        companies.extend((companies.len()..count).map(|number| made_up(number, &mut rng)));
        Market {
            companies,
            dropped: HashSet::new(),
            seed,
        }
    }

    /// The same with so many companies that only the letter pages list, as on the real site, which
    /// drops rows after it has cut the index into pages. Which ones is up to the seed. The first of
    /// each page stays, so that no page is empty.
    pub fn dropping(mut self, count: usize) -> Self {
        let mut places: Vec<usize> = (0..self.companies.len())
            .filter(|place| place % ROWS != 0)
            .collect();
        Rng::with_seed(self.seed).shuffle(&mut places);
        self.dropped = places.into_iter().take(count).collect();
        self
    }

    /// The companies that no numbered index page lists.
    pub fn dropped(&self) -> impl Iterator<Item = &Listing> {
        let places = self.companies.iter().enumerate();
        let dropped = places.filter(|(place, _)| self.dropped.contains(place));
        dropped.map(|(_, company)| company)
    }

    pub fn companies(&self) -> &[Listing] {
        &self.companies
    }

    pub fn index_pages(&self) -> u32 {
        self.companies.len().div_ceil(ROWS) as u32
    }

    /// One page of the index, from 1.
    pub fn index_page(&self, number: u32) -> String {
        let first = (number as usize - 1) * ROWS;
        let places = self.companies.iter().enumerate();
        let rows: Vec<&Listing> = places
            .skip(first)
            .take(ROWS)
            .filter(|(place, _)| !self.dropped.contains(place))
            .map(|(_, company)| company)
            .collect();
        let slice = Slice::Page {
            number,
            pages: self.index_pages(),
        };
        let mut rng = Rng::with_seed(self.seed ^ u64::from(number));
        index_page(&rows, slice, &mut rng)
    }

    /// The page with the companies of a letter, `A` to `Z` or `0-9`. It may have none; then the
    /// table has no rows.
    pub fn letter_page(&self, letter: &str) -> String {
        let companies = self.companies.iter();
        let rows: Vec<&Listing> = companies
            .filter(|company| letter_of(&company.name) == letter)
            .collect();
        let own = letter.bytes().next().map_or(0, u64::from);
        let mut rng = Rng::with_seed(self.seed ^ own << 32);
        index_page(&rows, Slice::Letter(letter), &mut rng)
    }

    pub fn company_page(&self, company: &Listing) -> String {
        // A seed for each company, so that its page does not depend on the others.
        let own = company.path.bytes().fold(self.seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        company_page(company, &mut Rng::with_seed(own))
    }

    /// The day's rates as the Bank of Russia writes them: one line in windows-1251.
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

/// The letter page on which a company of this name stands.
fn letter_of(name: &str) -> String {
    match name.chars().next() {
        Some(first) if first.is_ascii_alphabetic() => first.to_ascii_uppercase().to_string(),
        _ => "0-9".to_owned(),
    }
}

/// A company of middling figures with a code that no real one has: five letters from `ZAAAA` on.
fn made_up(number: usize, rng: &mut Rng) -> Listing {
    let mut letters = [b'Z', b'A', b'A', b'A', b'A'];
    let mut rest = number;
    for letter in letters.iter_mut().rev() {
        *letter = letter.wrapping_add((rest % 26) as u8).min(b'Z');
        rest /= 26;
    }
    let code = String::from_utf8_lossy(&letters).into_owned();
    let low = rng.u64(1_000..20_000);
    // So that none grew by more than 70 %: the tenth of the real crawl grew by 84 %.
    let high = low + rng.u64(0..low * 7 / 10);
    let (price, year_ago) = (rng.u64(low..=high), rng.u64(low..=high));
    let growth = 100.0 * (price as f64 / year_ago as f64 - 1.0);
    let money = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
    Listing {
        path: format!("/stocks/{}-stock", code.to_lowercase()),
        name: format!(
            "{} {}",
            html::capitalised(html::word(rng)),
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
