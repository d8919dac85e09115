//! The database of `--db` with 500 runs of 500 companies, about two years of trading days:
//! `cargo bench --bench store`.

use std::path::Path;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use indexrank::exit::Exit;
use indexrank::pipeline::harvest::Harvest;
use indexrank::results::findings::Findings;
use indexrank::results::prices::Prices;
use indexrank::results::ranking::{Figure, PeRange, Place, ranking};
use indexrank::site::company::{Company, CompanyPage};
use indexrank::site::currency::Currency;
use indexrank::site::rates::Rates;
use indexrank::source::archives::Bases;
use indexrank::store::choose::Since;
use indexrank::store::runs::{Results, Run};
use indexrank::store::schema::{Database, WAIT};
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;

const RUNS: u64 = 500;
const COMPANIES: u64 = 500;

/// The companies of a run. Each figure differs from that of every other run.
fn findings(run: u64) -> Findings {
    let figure = |company: u64, salt: u64| {
        let cents = (company * 7919 + run * 104_729 + salt) % 1_000_000 + 1;
        Decimal::new(cents as i64, 2)
    };
    let companies = (0..COMPANIES).map(|company| Company {
        page: CompanyPage {
            code: format!("C{company:03}"),
            name: format!("Company {company} Incorporated"),
            currency: Some(Currency::USD),
            price: Some(figure(company, 1)),
            pe: Some(figure(company, 2) - Decimal::ONE_HUNDRED),
            low52: Some(figure(company, 1)),
            high52: Some(figure(company, 1) * Decimal::TWO),
            ..CompanyPage::default()
        },
        path: format!("/stocks/c{company:03}-stock").into(),
        currency: Currency::USD,
        growth: Some(figure(company, 3)),
        is_redirected: false,
        index_note: None,
    });
    let companies: Vec<Company> = companies.collect();
    let rates = Rates::by_hand([(Currency::USD, Decimal::new(766_501, 4))]);
    Findings {
        prices: Prices::new(&companies, Ok(rates), Currency::RUB),
        harvest: Harvest {
            listed: companies.len(),
            companies,
            ..Harvest::default()
        },
        bases: Bases::of_all(String::new()),
    }
}

fn rankings(findings: &Findings) -> Vec<(Figure, Vec<Place>)> {
    let rank = |figure| {
        let companies = &findings.harvest.companies;
        let places = ranking(companies, figure, &findings.prices, PeRange::Any, 10);
        (figure, places)
    };
    Figure::ALL.map(rank).into()
}

/// What a run does at its end: opens the file, checks it, appends, closes it.
fn append(database: &Path, run: u64, findings: &Findings, rankings: &[(Figure, Vec<Place>)]) {
    let day = SignedDuration::from_hours(24 * run as i64);
    let run = Run {
        started: Timestamp::UNIX_EPOCH + day,
        index: "s&p_500",
        source: "live",
        exit: Exit::Complete,
    };
    let results = Results {
        findings,
        rankings,
        top: 10,
        pe_range: PeRange::Any,
    };
    let mut database = Database::open_for_run(database, WAIT).expect("a database");
    database.append(&run, &results).expect("a run");
}

fn store(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("market.sqlite");
    for run in 1..=RUNS {
        let findings = findings(run);
        append(&database, run, &findings, &rankings(&findings));
    }
    let megabytes = database.metadata().expect("a file").len() as f64 / 1e6;
    println!("{RUNS} runs of {COMPANIES} companies: {megabytes:.1} MB");

    let read = || Database::open_for_reading(&database).expect("a database");
    let mut group = criterion.benchmark_group("store");
    group.sample_size(30);
    group.bench_function("diff with the run before", |bench| {
        bench.iter(|| read().changes(None, None).expect("two runs").prices.len());
    });
    group.bench_function("diff with the first run", |bench| {
        bench.iter(|| {
            let changes = read().changes(None, Some(Since::Run(1)));
            changes.expect("two runs").prices.len()
        });
    });
    group.bench_function("history of a company", |bench| {
        bench.iter(|| read().history("C250", None).expect("a company").len());
    });
    let findings = findings(RUNS + 1);
    let rankings = rankings(&findings);
    // The file keeps its 500 runs.
    let remove = || {
        let database = rusqlite::Connection::open(&database).expect("a database");
        let delete = format!("PRAGMA foreign_keys = ON; DELETE FROM runs WHERE run > {RUNS}");
        database.execute_batch(&delete).expect("a table of runs");
    };
    group.bench_function("append a run", |bench| {
        bench.iter_batched(
            remove,
            |()| append(&database, RUNS + 1, &findings, &rankings),
            BatchSize::PerIteration,
        );
    });
}

criterion_group!(benches, store);
criterion_main!(benches);
