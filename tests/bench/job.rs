//! The whole job over loopback, on pages of the embedded market: `cargo bench --bench job`. The server
//! runs in this process and shares its cores; `indexrank race` starts it in a process of its own.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use indexrank::http::client::{Client, Options};
use indexrank::http::proxy::ProxyChoice;
use indexrank::pipeline::index_walk::{IndexWalk, WalkMode};
use indexrank::pipeline::{self, PoolSizes, Walk, parse_company};
use indexrank::replica::{Line, Market, Pages, SEED, Server};
use indexrank::source::{Site, Source};
use indexrank::telemetry::counters::Counters;

const COMPANIES: usize = 496;

fn job(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("job");
    group
        .throughput(Throughput::Elements(COMPANIES as u64))
        .sample_size(20);
    for latency in [0, 20] {
        let line = Line {
            latency: Duration::from_millis(latency),
            ..Line::default()
        };
        let pages = Pages::of_market(&Market::embedded(Some(COMPANIES), SEED));
        let server = Server::start(pages, 0, line, None).expect("a port of 127.0.0.1");
        group.bench_function(format!("{latency} ms, 32 workers"), |bench| {
            bench.iter(|| {
                let sizes = PoolSizes {
                    fetchers: 32,
                    parsers: 2,
                };
                let site = Site {
                    client: Client::new(Options {
                        connections: sizes.fetchers,
                        timeout: Some(Duration::from_secs(45)),
                        max_response: indexrank::http::connections::MAX_RESPONSE,
                        user_agent: "indexrank-bench".to_owned(),
                        proxy: ProxyChoice::Direct,
                        authorities: None,
                    }),
                    pages: server.address(),
                    rates: server.address(),
                    journal: None,
                };
                let source = Source::site(site, sizes.fetchers);
                let counters = Counters::default();
                let walk = IndexWalk::new(&source, "s&p_500", WalkMode::Pages, &counters);
                let walk = Walk::Index(walk);
                let harvest = pipeline::run(
                    walk,
                    &source,
                    sizes,
                    &counters,
                    |_, page, inflater, lane| parse_company(page, inflater, lane),
                );
                assert_eq!(harvest.expect("an index").companies.len(), COMPANIES);
            });
        });
    }
}

criterion_group!(benches, job);
criterion_main!(benches);
