//! The stages end, whatever fails where.

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

use indexrank::http::client::{Client, Options, ProxyChoice};
use indexrank::http::page::{PageError, Reason};
use indexrank::pipeline::harvest::Harvest;
use indexrank::pipeline::{Feed, Stages, Widths};
use indexrank::replica::Market;
use indexrank::site::index::Link;
use indexrank::source::retry::Retries;
use indexrank::source::throttle::Cause;
use indexrank::source::{Site, Source, index_path};
use indexrank::telemetry::counters::Meter;
use indexrank::telemetry::trace::Role;

use crate::support::{MARKET, TestServer};

const PAGES: usize = 12;

fn source(workers: usize) -> Source {
    source_at(&MARKET.address(), workers)
}

pub fn source_at(address: &str, workers: usize) -> Source {
    let client = Client::new(Options {
        connections: 8,
        timeout: Duration::from_secs(5),
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

/// What became of a run, within ten seconds.
fn within_its_time<T: Send + 'static>(
    what: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> thread::Result<T> {
    let (done, is_done) = channel();
    thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(run));
        let _ = done.send(result);
    });
    let result = is_done.recv_timeout(Duration::from_secs(10));
    result.unwrap_or_else(|_| panic!("{what} does not end"))
}

/// A run in which the reader and the producer do as they are told.
fn run(
    widths: Widths,
    read: impl Fn(usize) -> Result<(), PageError> + Sync + Send + 'static,
    produce: impl Fn(usize) + Send + Sync + 'static,
) -> thread::Result<(Harvest<()>, u64)> {
    within_its_time("a run", move || {
        let source = source(widths.workers);
        let meter = Meter::default();
        let reads = AtomicUsize::new(0);
        let stages = Stages::new(&source, widths, &meter);
        let (harvest, ()) = stages.run(
            |_, _, _| read(reads.fetch_add(1, Relaxed)),
            |feed| {
                for number in 0..PAGES {
                    produce(number);
                    if !feed.send(link(number)) {
                        return;
                    }
                }
            },
        );
        assert_eq!(meter.waiting.get(), 0);
        (harvest, meter.retries.get())
    })
}

const WIDTHS: [Widths; 3] = [
    Widths {
        workers: 1,
        readers: 1,
    },
    Widths {
        workers: 3,
        readers: 2,
    },
    Widths {
        workers: 32,
        readers: 4,
    },
];

fn busy() -> Result<(), PageError> {
    Err(PageError::new(Reason::Busy, ""))
}

#[test]
fn a_reader_that_panics_at_any_page_loses_that_page() {
    for widths in WIDTHS {
        for at in 0..PAGES {
            let read = move |number| {
                if number == at {
                    panic!("page {at}")
                } else {
                    Ok(())
                }
            };
            let (harvest, _) = run(widths, read, |_| ()).unwrap();
            assert_eq!(
                (harvest.companies.len(), harvest.failures.len()),
                (PAGES - 1, 1)
            );
            assert_eq!(harvest.failures[0].error.reason, Reason::Panic);
        }
    }
}

#[test]
fn a_reader_that_fails_at_any_page_gets_it_again() {
    for widths in WIDTHS {
        for at in 0..PAGES {
            let read = move |number| if number == at { busy() } else { Ok(()) };
            let (harvest, retries) = run(widths, read, |_| ()).unwrap();
            assert_eq!(
                (harvest.companies.len(), harvest.failures.len()),
                (PAGES, 0)
            );
            assert_eq!(retries, 1);
        }
        // All of them, always: four attempts each, as far as the budget of twenty goes.
        let (harvest, retries) = run(widths, |_| busy(), |_| ()).unwrap();
        assert_eq!(
            (harvest.companies.len(), harvest.failures.len()),
            (0, PAGES)
        );
        assert_eq!(retries, 20);
    }
}

#[test]
fn a_producer_that_panics_anywhere_ends_the_run() {
    for widths in WIDTHS {
        for at in 0..PAGES {
            let produce = move |number| {
                if number == at {
                    panic!("at {at}")
                }
            };
            assert!(run(widths, |_| Ok(()), produce).is_err());
            // With pages in the waiting room meanwhile.
            let produce = move |number| {
                if number == at {
                    panic!("at {at}")
                }
            };
            assert!(
                run(
                    widths,
                    |number| if number < 3 { busy() } else { Ok(()) },
                    produce
                )
                .is_err()
            );
        }
    }
}

/// Whoever waits in the room when the run is to end is sent on at once, and not asked for.
#[test]
fn a_gate_that_closes_at_any_page_ends_the_run() {
    for widths in WIDTHS {
        for at in 0..PAGES {
            let harvest = within_its_time("a closed gate", move || {
                let mut source = source(widths.workers);
                source.retries = Retries::new(1, Duration::from_secs(1000));
                let meter = Meter::default();
                let reads = AtomicUsize::new(0);
                let stages = Stages::new(&source, widths, &meter);
                let (harvest, ()) = stages.run::<(), _>(
                    |_, _, _| {
                        if reads.fetch_add(1, Relaxed) == at {
                            source.halt(Cause::Signal(2));
                        }
                        busy()
                    },
                    |feed| {
                        for number in 0..PAGES {
                            feed.send(link(number));
                        }
                    },
                );
                harvest
            });
            // What had its answer when the gate closed has failed; nobody has asked for the others.
            let failures = harvest.unwrap().failures;
            assert!(
                failures.len() <= at + 1 + widths.workers + 3 * widths.readers,
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

/// Answers nobody before it has been asked by so many.
fn answers_all_at_once(so_many: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let all_here = Arc::new(Barrier::new(so_many));
    thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            let all_here = Arc::clone(&all_here);
            thread::spawn(move || {
                let mut request = BufReader::new(&mut stream).lines();
                while request.next().unwrap().unwrap() != "" {}
                all_here.wait();
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                stream.write_all(answer.as_bytes()).unwrap();
            });
        }
    });
    address
}

#[test]
fn every_worker_is_started_where_answers_take_long() {
    for (workers, readers) in [(24, 1), (24, 4), (3, 4)] {
        let brought = within_its_time("a run", move || {
            let source = source_at(&answers_all_at_once(workers), workers);
            let meter = Meter::default();
            let stages = Stages::new(&source, Widths { workers, readers }, &meter);
            let produce = |feed: Feed| (0..workers).all(|number| feed.send(link(number)));
            let (harvest, _) = stages.run(|_, _, _| Ok(()), produce);
            harvest.companies.len()
        });
        assert_eq!(brought.unwrap(), workers);
    }
}

/// Else as many buffers wait with the fetchers as there are of these.
#[test]
fn who_waits_for_an_answer_holds_no_buffer() {
    let answered = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&answered);
    let server = TestServer::start(Market::embedded(Some(1), 0), move |_, _| {
        answers.store(true, SeqCst);
        None
    });
    let source = source_at(server.address(), 1);
    let meter = Meter::default();
    let mut taken = 0;
    let buffer = || {
        taken += 1;
        assert!(answered.load(SeqCst), "asked for before there is an answer");
        b"of another page".to_vec()
    };
    let page = source.get(
        &index_path(Market::INDEX, 1),
        buffer,
        &mut meter.lane(Role::Fetcher),
    );
    assert!(!page.unwrap().body.starts_with(b"of another page"));
    assert_eq!(taken, 1);
}
