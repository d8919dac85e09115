//! The time of each stage, on pages of the embedded market: `cargo bench --bench stages`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use indexrank::http::decode::Inflater;
use indexrank::replica::{Market, Pages, SEED};
use indexrank::results::prices::Prices;
use indexrank::results::ranking::{Figure, PeRange, ranking};
use indexrank::site::company;
use indexrank::site::company::Company;
use indexrank::site::currency::Currency;
use indexrank::site::index;
use indexrank::site::rates;
use indexrank::site::rates::Rates;
use rust_decimal::Decimal;

fn stages(criterion: &mut Criterion) {
    let pages = Pages::of_market(&Market::embedded(Some(500), SEED));
    let page = |path: &str| pages.get(path).expect("a page of the market");
    let [company, index, rates] = [
        "/stocks/mmm-stock",
        "/index/components/s&p_500?p=1",
        "/scripts/XML_daily.asp",
    ]
    .map(page);

    let mut inflater = Inflater::default();
    criterion.bench_function("inflate a company page", |bench| {
        bench.iter(|| {
            inflater
                .gunzip(black_box(company.gzipped_body()))
                .map(<[u8]>::len)
        });
    });
    let html = company.plain_body();
    criterion.bench_function("scan a company page", |bench| {
        bench.iter(|| company::parse(black_box(&html)).expect("a company page"));
    });
    criterion.bench_function("parse a whole company page", |bench| {
        bench.iter(|| company::parse_whole(black_box(&html)).expect("a company page"));
    });
    let html = index.plain_body();
    criterion.bench_function("scan an index page", |bench| {
        bench.iter(|| index::parse(black_box(&html)).expect("an index page"));
    });
    criterion.bench_function("parse a whole index page", |bench| {
        bench.iter(|| index::parse_whole(black_box(&html)).expect("an index page"));
    });
    let xml = String::from_utf8_lossy(&rates.plain_body()).into_owned();
    criterion.bench_function("parse the rates", |bench| {
        bench.iter(|| rates::parse(black_box(&xml)).expect("rates"));
    });

    let companies: Vec<Company> = (0..500)
        .map(|number| Company {
            page: company::parse(&company.plain_body()).expect("a company page"),
            path: format!("/stocks/{number}-stock").into(),
            currency: Currency::USD,
            growth: Some(Decimal::new(number * 7919 % 500, 2)),
            is_redirected: false,
            index_note: None,
        })
        .collect();
    let rates = Rates::by_hand([(Currency::USD, Decimal::new(766_501, 4))]);
    let prices = Prices::new(&companies, Ok(rates), Currency::RUB);
    criterion.bench_function("rank 500 companies by four figures", |bench| {
        bench.iter(|| {
            Figure::ALL
                .map(|figure| ranking(black_box(&companies), figure, &prices, PeRange::Any, 10))
        });
    });
}

criterion_group!(benches, stages);
criterion_main!(benches);
