//! Runs that tests append to a database: `Appended` with chosen companies, failed ones with a reason.

use std::path::Path;

use indexrank::exit::Exit;
use indexrank::pipeline::harvest::Harvest;
use indexrank::results::findings::Findings;
use indexrank::results::prices::Prices;
use indexrank::results::ranking::{Figure, PeRange, ranking};
use indexrank::site::company::{Company, CompanyPage};
use indexrank::site::currency::Currency;
use indexrank::site::rates::Rates;
use indexrank::source::archives::Bases;
use indexrank::store::runs::{Results, Run};
use indexrank::store::schema::{Database, WAIT};
use rust_decimal::Decimal;

/// A run to append. The default is one of the S&P 500 with rankings of ten, in roubles, a dollar being
/// 100 roubles.
pub struct Appended<'a> {
    pub day: &'a str,
    pub index: &'a str,
    pub top: usize,
    pub pe_range: PeRange,
    pub currency: Currency,
    pub has_rates: bool,
    /// Code, price with its currency, P/E; `-` for none. The growth is the price, the 52-week range from
    /// the price to twice the price.
    pub companies: &'a [(&'a str, &'a str, &'a str)],
}

impl Default for Appended<'_> {
    fn default() -> Self {
        Appended {
            day: "2022-02-04",
            index: "s&p_500",
            top: 10,
            pe_range: PeRange::Any,
            currency: Currency::RUB,
            has_rates: true,
            companies: &[("A", "10 USD", "5"), ("B", "20 USD", "6")],
        }
    }
}

impl Appended<'_> {
    pub fn to(&self, database: &Path) {
        let decimal = |text: &str| text.parse::<Decimal>().ok();
        let companies = self.companies.iter().map(|(code, price, pe)| {
            let (price, currency) = price.split_once(' ').unwrap_or((price, "USD"));
            let (price, currency) = (decimal(price), currency.parse().unwrap());
            Company {
                page: CompanyPage {
                    code: (*code).to_owned(),
                    name: format!("Company {code}"),
                    currency: Some(currency),
                    price,
                    pe: decimal(pe),
                    low52: price,
                    high52: price.map(|price| price * Decimal::TWO),
                    ..CompanyPage::default()
                },
                path: format!("/stocks/{code}-stock").into(),
                currency,
                growth: price,
                is_redirected: false,
                index_note: None,
            }
        });
        let companies: Vec<Company> = companies.collect();
        let rates = [
            (Currency::USD, Decimal::ONE_HUNDRED),
            ("EUR".parse().unwrap(), Decimal::ONE_HUNDRED),
        ];
        let rates = match self.has_rates {
            true => Ok(Rates::by_hand(rates)),
            false => Err("no rates".to_owned()),
        };
        let prices = Prices::new(&companies, rates, self.currency);
        let rankings = Figure::ALL
            .into_iter()
            .filter(|figure| *figure != Figure::Price || self.has_rates)
            .map(|figure| {
                let places = ranking(&companies, figure, &prices, self.pe_range, self.top);
                (figure, places)
            });
        let rankings: Vec<_> = rankings.collect();
        let run = Run {
            started: format!("{}T06:00:00Z", self.day).parse().unwrap(),
            index: self.index,
            source: "live",
            exit: Exit::Complete,
        };
        let findings = Findings {
            prices,
            harvest: Harvest {
                listed: companies.len(),
                companies,
                ..Harvest::default()
            },
            bases: Bases::of_all(String::new()),
        };
        let results = Results {
            findings: &findings,
            rankings: &rankings,
            top: self.top,
            pe_range: self.pe_range,
        };
        let mut database = Database::open_for_run(database, WAIT).unwrap();
        database.append(&run, &results).unwrap();
    }
}

pub fn append_failed(database: &Path, index: &str, error: &str) {
    let run = Run {
        started: "2022-02-05T06:00:00Z".parse().unwrap(),
        index,
        source: "live",
        exit: Exit::Unreachable,
    };
    let mut database = Database::open_for_run(database, WAIT).unwrap();
    database.append_failed(&run, error).unwrap();
}
