//! The stages of the pipeline end, whichever of them fails.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use indexrank::http::client::{Client, Options};
use indexrank::http::error::{PageError, Reason};
use indexrank::http::proxy::ProxyChoice;
use indexrank::pipeline::harvest::Harvest;
use indexrank::pipeline::{self, PoolSizes, Walk};
use indexrank::replica::Market;
use indexrank::site::index::Link;
use indexrank::site::paths::numbered_page;
use indexrank::source::purpose::{Purpose, Request};
use indexrank::source::retry::Retries;
use indexrank::source::throttle::Cause;
use indexrank::source::{Site, Source};
use indexrank::telemetry::counters::Counters;
use indexrank::telemetry::trace::Label;

use crate::support::{MARKET, Reply, TestServer};

const PAGES: usize = 12;

fn source(workers: usize) -> Source {
    source_at(&MARKET.address(), workers)
}

pub fn source_at(address: &str, workers: usize) -> Source {
    let client = Client::new(Options {
        connections: 8,
        timeout: Some(Duration::from_secs(5)),
        max_response: indexrank::http::connections::MAX_RESPONSE,
        user_agent: "test".to_owned(),
        proxy: ProxyChoice::Direct,
        authorities: None,
    });
    let site = Site {
        client,
        pages: address.to_owned(),
        rates: address.to_owned(),
        journal: None,
    };
    let mut source = Source::site(site, workers);
    source.retries = Retries::new(1, Duration::from_millis(2));
    source
}

fn link(number: usize) -> Link {
    let slugs = [
        "mmm", "a", "abbv", "aapl", "amzn", "tsla", "goog", "ko", "pep", "xom", "f", "it",
    ];
    Link::to(format!("/stocks/{}-stock", slugs[number % slugs.len()]))
}

/// Runs a closure and returns its result, or the panic it ended with. Panics after ten seconds.
fn within_ten_seconds<T: Send + 'static>(
    what: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> thread::Result<T> {
    let (done, is_done) = channel();
    thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(run));
        let _ = done.send(result);
    });
    let result = is_done.recv_timeout(Duration::from_secs(10));
    result.unwrap_or_else(|_| panic!("{what} does not end within 10 s"))
}

fn links(count: usize) -> Walk<'static> {
    Walk::List((0..count).map(link).collect::<Vec<_>>().into_iter())
}

/// Runs the stages over [`PAGES`] pages. `parse` gets the number of the parse. Returns the harvest and
/// the number of retries.
fn run(
    sizes: PoolSizes,
    parse: impl Fn(usize) -> Result<(), PageError> + Sync + Send + 'static,
) -> thread::Result<(Harvest<()>, u64)> {
    within_ten_seconds("a run", move || {
        let source = source(sizes.fetchers);
        let counters = Counters::default();
        let parses = AtomicUsize::new(0);
        let harvest = pipeline::run(links(PAGES), &source, sizes, &counters, |_, _, _, _| {
            parse(parses.fetch_add(1, Relaxed))
        })
        .unwrap();
        assert_eq!(counters.waiting.get(), 0);
        (harvest, counters.retries.get())
    })
}

const SIZES: [PoolSizes; 3] = [
    PoolSizes {
        fetchers: 1,
        parsers: 1,
    },
    PoolSizes {
        fetchers: 3,
        parsers: 2,
    },
    PoolSizes {
        fetchers: 32,
        parsers: 4,
    },
];

fn busy() -> Result<(), PageError> {
    Err(PageError::new(Reason::Busy, ""))
}

/// Requests that the cancellation aborts, and pages that it leaves in the queue, are neither fetched nor
/// failed.
#[test]
fn a_cancelled_run_counts_no_page_that_it_did_not_fetch() {
    let is_parsed = |path: &str| path.contains("/stocks/a");
    for sizes in SIZES {
        let server = TestServer::start(crate::run::market(), move |path, _| {
            (!is_parsed(path)).then(|| Reply::Raw(Vec::new()))
        });
        let source = source_at(server.address(), sizes.fetchers);
        let counters = Counters::default();
        let harvest = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                source.cancel(Cause::Signal(2));
            });
            pipeline::run(links(PAGES), &source, sizes, &counters, |_, _, _, _| Ok(())).unwrap()
        });
        assert_eq!(harvest.failures.len(), 0);
        let parsed = harvest.companies.len() as u64;
        assert!(parsed < PAGES as u64);
        let counts = [&counters.fetched, &counters.parsed, &counters.failed];
        assert_eq!(counts.map(|count| count.get()), [parsed, parsed, 0]);
    }
}

#[test]
fn a_panic_in_a_parser_fails_only_its_page() {
    for sizes in SIZES {
        for at in 0..PAGES {
            let parse = move |number| {
                if number == at {
                    panic!("page {at}")
                } else {
                    Ok(())
                }
            };
            let (harvest, _) = run(sizes, parse).unwrap();
            assert_eq!(
                (harvest.companies.len(), harvest.failures.len()),
                (PAGES - 1, 1)
            );
            assert_eq!(harvest.failures[0].error.reason, Reason::Panic);
        }
    }
}

#[test]
fn retries_a_page_after_a_parse_failure() {
    for sizes in SIZES {
        for at in 0..PAGES {
            let parse = move |number| if number == at { busy() } else { Ok(()) };
            let (harvest, retries) = run(sizes, parse).unwrap();
            assert_eq!(
                (harvest.companies.len(), harvest.failures.len()),
                (PAGES, 0)
            );
            assert_eq!(retries, 1);
        }
        // Every attempt fails: up to three retries a page, until the budget of 20 retries is spent.
        let (harvest, retries) = run(sizes, |_| busy()).unwrap();
        assert_eq!(
            (harvest.companies.len(), harvest.failures.len()),
            (0, PAGES)
        );
        assert_eq!(retries, 20);
    }
}

/// Pages in the retry queue are dropped when the run is cancelled.
#[test]
fn cancellation_at_any_page_ends_the_run() {
    for sizes in SIZES {
        for at in 0..PAGES {
            let harvest = within_ten_seconds("a cancelled run", move || {
                let mut source = source(sizes.fetchers);
                source.retries = Retries::new(1, Duration::from_secs(1000));
                let counters = Counters::default();
                let parses = AtomicUsize::new(0);
                let harvest =
                    pipeline::run(links(PAGES), &source, sizes, &counters, |_, _, _, _| {
                        if parses.fetch_add(1, Relaxed) == at {
                            source.cancel(Cause::Signal(2));
                        }
                        busy()
                    });
                assert_eq!(counters.waiting.get(), 0);
                harvest.unwrap()
            });
            // Only pages whose response had arrived before the cancellation fail. The others are not
            // requested.
            let failures = harvest.unwrap().failures;
            assert!(
                failures.len() <= at + 1 + sizes.fetchers + 3 * sizes.parsers,
                "{}",
                failures.len()
            );
            assert!(
                failures
                    .iter()
                    .all(|failure| failure.error.reason == Reason::Busy)
            );
        }
    }
}

/// Starts a server that responds only once `count` requests are pending; returns its address.
fn server_of_simultaneous_responses(count: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let barrier = Arc::new(Barrier::new(count));
    thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || {
                let mut request = BufReader::new(&mut stream).lines();
                while request.next().unwrap().unwrap() != "" {}
                barrier.wait();
                let response = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                stream.write_all(response.as_bytes()).unwrap();
            });
        }
    });
    address
}

#[test]
fn starts_every_fetcher_while_responses_are_pending() {
    for (fetchers, parsers) in [(24, 1), (24, 4), (3, 4)] {
        let parsed = within_ten_seconds("a run", move || {
            let source = source_at(&server_of_simultaneous_responses(fetchers), fetchers);
            let counters = Counters::default();
            let sizes = PoolSizes { fetchers, parsers };
            let harvest =
                pipeline::run(links(fetchers), &source, sizes, &counters, |_, _, _, _| {
                    Ok(())
                });
            harvest.unwrap().companies.len()
        });
        assert_eq!(parsed.unwrap(), fetchers);
    }
}

/// Otherwise every waiting fetcher would hold a buffer.
#[test]
fn takes_no_buffer_before_the_response_arrives() {
    let requested = Arc::new(AtomicBool::new(false));
    let requested_at_server = Arc::clone(&requested);
    let server = TestServer::start(Market::embedded(Some(1), 0), move |_, _| {
        requested_at_server.store(true, SeqCst);
        None
    });
    let source = source_at(server.address(), 1);
    let counters = Counters::default();
    let mut buffers = 0;
    let buffer = || {
        buffers += 1;
        assert!(
            requested.load(SeqCst),
            "the buffer is taken before the response arrives"
        );
        b"of another page".to_vec()
    };
    let path = numbered_page(Market::INDEX, 1);
    let page = source.get(
        Request::new(Purpose::Company, &path),
        buffer,
        &mut counters.lane(Label::Fetcher),
    );
    assert!(!page.unwrap().body.starts_with(b"of another page"));
    assert_eq!(buffers, 1);
}
