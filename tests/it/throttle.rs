//! The retry policy, and the throttle that grants a permit to every request.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use indexrank::exit::Exit;
use indexrank::http::error::{PageError, Reason};
use indexrank::job::advice::Stop;
use indexrank::source::pauses::{Pause, retry_after};
use indexrank::source::retry::{Attempts, MAX_ATTEMPTS, Retries, max_attempts};
use indexrank::source::throttle::{Cause, PauseResponse, Throttle};
use indexrank::telemetry::counters::Counters;
use indexrank::telemetry::trace::Label;

fn failure(reason: Reason) -> PageError {
    PageError::new(reason, "")
}

#[test]
fn allows_attempts_by_failure_reason() {
    use Reason::*;
    for reason in [Unreachable, Timeout, Broken, Truncated, Busy, BadEncoding] {
        assert_eq!(max_attempts(reason), 4, "{reason:?}");
    }
    assert_eq!(max_attempts(Protocol), 2);
    for reason in [
        HeadersTooLarge,
        Tls,
        Gone,
        Blocked,
        Challenge,
        Robots,
        Status,
        ServerError,
        Offsite,
        Redirects,
        TooLarge,
        UnsupportedEncoding,
        NotArchived,
        Unrecognised,
        Panic,
        Stopped,
    ] {
        assert_eq!(max_attempts(reason), 1, "{reason:?}");
    }
}

/// Full jitter: pauses of up to 0.5 s, 1 s and 2 s. The same seed, path and attempt give the same
/// pause.
#[test]
fn retry_pauses_grow_and_are_reproducible() {
    let pauses = |seed, path: &str| {
        let retries = Retries::new(seed, Duration::from_millis(500));
        let mut attempts = Attempts::default();
        let mut next =
            || retries.next_delay(path, MAX_ATTEMPTS, &mut attempts, &failure(Reason::Busy));
        [next(), next(), next(), next()]
    };
    let mut longest_pauses = [Duration::ZERO; 3];
    for seed in 0..200 {
        let [first, second, third, none] = pauses(seed, "/stocks/a-stock");
        assert_eq!(none, None);
        for (longest, pause) in longest_pauses.iter_mut().zip([first, second, third]) {
            *longest = pause.unwrap().max(*longest);
        }
    }
    for (longest, limit) in longest_pauses.iter().zip([500, 1000, 2000]) {
        let longest = longest.as_millis();
        assert!(
            (limit * 9 / 10..=limit).contains(&longest),
            "{longest} ms of at most {limit} ms"
        );
    }
    assert_eq!(pauses(7, "/a"), pauses(7, "/a"));
    assert_ne!(pauses(7, "/a"), pauses(8, "/a"));
    assert_ne!(pauses(7, "/a"), pauses(7, "/b"));
}

#[test]
fn the_retry_budget_is_a_quarter_of_all_requests_and_at_least_20() {
    let granted_retries = |planned| {
        let retries = Retries::new(1, Duration::ZERO);
        retries.plan(planned);
        let granted = (0..1000).filter(|number| {
            let path = format!("/{number}");
            let mut attempts = Attempts::default();
            retries
                .next_delay(
                    &path,
                    MAX_ATTEMPTS,
                    &mut attempts,
                    &failure(Reason::Timeout),
                )
                .is_some()
        });
        granted.count()
    };
    for (planned, granted) in [(0, 20), (60, 20), (99, 33), (496, 165)] {
        assert_eq!(granted_retries(planned), granted);
    }
}

/// A response with `Retry-After` is no failure. From the eleventh on it counts as one, so that the
/// site cannot hold a run forever.
#[test]
fn ten_retry_after_pauses_cost_no_attempt() {
    let retries = Retries::new(1, Duration::ZERO);
    let mut attempts = Attempts::default();
    let mut is_retried = |reason| {
        retries
            .next_delay("/", MAX_ATTEMPTS, &mut attempts, &failure(reason))
            .is_some()
    };
    for _ in 0..10 {
        assert!(is_retried(Reason::Postponed));
    }
    assert_eq!(retries.spent(), 0);
    let counted = (0..10)
        .take_while(|_| is_retried(Reason::Postponed))
        .count();
    assert_eq!(counted, 3);
}

/// Seconds and all three date forms of RFC 9110; also past dates, nonsense and endless pauses.
#[test]
fn parses_retry_after() {
    let parse = |value: &str, date: Option<&str>| {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", value.parse().unwrap());
        date.map(|date| headers.insert("date", date.parse().unwrap()));
        retry_after(&headers)
    };
    let now = Some("Sun, 06 Nov 1994 08:49:30 GMT");
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (text, date, pause) in [
        ("2", None, seconds(2)),
        (" 120 ", None, seconds(120)),
        ("1000000000", None, seconds(1_000_000_000)),
        ("99999999999999999999999999", None, seconds(u64::MAX)),
        ("0", None, None),
        ("-1", None, None),
        ("1.5", None, None),
        ("", None, None),
        ("soon", None, None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", now, seconds(7)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", now, seconds(7)),
        ("Sun Nov  6 08:49:37 1994", now, seconds(7)),
        ("Sun, 06 Nov 1994 08:49:30 GMT", now, None),
        ("Sun, 06 Nov 1994 08:00:00 GMT", now, None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None, None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", now, None),
    ] {
        assert_eq!(parse(text, date), pause, "{text:?}");
    }
    // Without a `Date` header, the date is compared with the local clock.
    let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
    let pause = parse(&soon, None).unwrap().as_secs();
    assert!((58..=60).contains(&pause), "{pause}");
    assert_eq!(retry_after(&HeaderMap::new()), None);
}

/// Lets this many fetchers acquire a permit and hold it. Returns the number of permits granted until
/// 200 ms pass without another.
fn concurrent_permits(throttle: &Throttle, fetchers: usize) -> usize {
    thread::scope(|scope| {
        let (granted_sender, granted) = crossbeam_channel::unbounded();
        let (release_sender, release) = crossbeam_channel::bounded::<()>(0);
        for _ in 0..fetchers {
            let (granted_sender, release) = (granted_sender.clone(), release.clone());
            scope.spawn(move || {
                let permit = throttle.acquire();
                // Fetchers that get their permit after the count find no receiver.
                let _ = granted_sender.send(());
                // Nothing is sent: the channel disconnects after the count.
                let _ = release.recv();
                drop(permit);
            });
        }
        let mut permits = 0;
        while granted.recv_timeout(Duration::from_millis(200)).is_ok() {
            permits += 1;
        }
        drop(release_sender);
        permits
    })
}

/// The limit halves when more than half of the last 20 requests failed. It rises by one after 10
/// successes in a row.
#[test]
fn halves_the_concurrency_limit_while_most_requests_fail() {
    let counters = Counters::default();
    let throttle = Throttle::new(8);
    let record = |failures: usize, successes: usize| {
        let failures = (0..failures).map(|_| Err(failure(Reason::Busy)));
        let successes = (0..successes).map(|_| Ok(()));
        failures
            .chain(successes)
            .for_each(|result| throttle.record_result("/", &result, &counters));
    };
    assert_eq!(concurrent_permits(&throttle, 8), 8);
    record(10, 10);
    assert_eq!(concurrent_permits(&throttle, 8), 8);
    record(11, 0);
    assert_eq!(concurrent_permits(&throttle, 8), 4);
    assert_eq!(counters.held_back.get(), 4);
    record(20, 0);
    assert_eq!(concurrent_permits(&throttle, 8), 2);
    record(20, 0);
    record(20, 0);
    record(20, 0);
    assert_eq!(concurrent_permits(&throttle, 8), 1);
    record(0, 10);
    assert_eq!(concurrent_permits(&throttle, 8), 2);
    record(0, 100);
    assert_eq!(concurrent_permits(&throttle, 8), 8);
    assert_eq!(
        (counters.held_back.get(), counters.most_held_back.get()),
        (0, 7)
    );
}

/// Only four of 32 allowed requests are in flight. Halving 32 would throttle nothing, so the limit
/// becomes two.
#[test]
fn halves_the_requests_in_flight_if_they_are_below_the_limit() {
    let (counters, throttle) = (Counters::default(), Throttle::new(32));
    assert_eq!(concurrent_permits(&throttle, 4), 4);
    for _ in 0..20 {
        throttle.record_result::<()>("/", &Err(failure(Reason::Busy)), &counters);
    }
    assert_eq!(concurrent_permits(&throttle, 32), 2);
    assert_eq!(counters.held_back.get(), 30);
}

#[test]
fn a_pause_blocks_fetchers_and_index_requests() {
    let counters = Counters::default();
    let throttle = Throttle::new(8);
    pause(&throttle, Duration::from_millis(300), &counters);
    // A pause that ends earlier adds nothing.
    pause(&throttle, Duration::from_millis(100), &counters);
    let started = Instant::now();
    for _ in 0..2 {
        throttle.acquire().unwrap();
        assert!(started.elapsed() > Duration::from_millis(290));
    }
    assert_eq!(counters.paused_ms.get(), 300);
}

/// The one that goes first may follow a redirect. The others go when it has succeeded, or one of them
/// goes when it has failed.
#[test]
fn after_a_pause_one_request_goes_first() {
    let counters = Counters::default();
    let throttle = Throttle::new(8);
    pause(&throttle, Duration::from_millis(50), &counters);
    assert_eq!(concurrent_permits(&throttle, 8), 1);
    let first = throttle.acquire().unwrap();
    first.acquire_again().unwrap();
    drop(first);
    assert_eq!(concurrent_permits(&throttle, 8), 1);
    let first = throttle.acquire().unwrap();
    first.succeed();
    assert_eq!(concurrent_permits(&throttle, 7), 7);
    drop(first);
    assert_eq!(concurrent_permits(&throttle, 8), 8);
}

/// The success of the request that goes first wakes those that wait for it.
#[test]
fn the_first_success_after_a_pause_releases_waiting_requests() {
    let counters = Counters::default();
    let throttle = Throttle::new(8);
    pause(&throttle, Duration::from_millis(10), &counters);
    let first = throttle.acquire_first().unwrap();
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..7)
            .map(|_| scope.spawn(|| throttle.acquire().map(std::mem::forget)))
            .collect();
        thread::sleep(Duration::from_millis(50));
        assert!(waiting.iter().all(|thread| !thread.is_finished()));
        first.succeed();
        waiting
            .into_iter()
            .for_each(|thread| thread.join().unwrap().unwrap());
    });
}

#[test]
fn names_the_site_that_pauses_a_run_too_long() {
    let cause = Cause::ManyPauses {
        site: "https://site.example".to_owned(),
        status: 429,
    };
    let stop = Stop::of_cancellation(&cause);
    assert_eq!((stop.exit, stop.resumable), (Exit::Unreachable, true));
    for words in [
        "https://site.example demands pauses of more than 10 minutes in all",
        "HTTP status 429 with Retry-After",
    ] {
        assert!(stop.message.contains(words), "{}", stop.message);
    }
}

/// Pauses the host of a throttle as a response with `Retry-After` does.
fn pause(throttle: &Throttle, pause: Duration, counters: &Counters) {
    let response = PauseResponse {
        site: "https://site.example",
        status: 429,
        pause: Pause::Stated(pause),
    };
    throttle.pause(response, &mut counters.lane(Label::Fetcher));
}

/// Threads may wait for a pause, an interval between requests, or a permit.
#[test]
fn cancellation_wakes_every_waiting_thread() {
    let counters = Counters::default();
    let long = Duration::from_secs(100);
    let blocks: [fn(&Throttle, &Counters, Duration); 3] = [
        |throttle, counters, long| pause(throttle, long, counters),
        |throttle, _, long| throttle.space_requests(long),
        |throttle, counters, _| {
            (0..20).for_each(|_| {
                throttle.record_result::<()>("/", &Err(failure(Reason::Busy)), counters)
            });
            std::mem::forget(throttle.acquire());
        },
    ];
    for block in blocks {
        let throttle = Throttle::new(2);
        block(&throttle, &counters, long);
        let reason = thread::scope(|scope| {
            let waiting = scope.spawn(|| throttle.acquire().map(drop));
            let sleeping = scope.spawn(|| throttle.sleep(long));
            thread::sleep(Duration::from_millis(50));
            throttle.cancel(Cause::Signal(2));
            sleeping.join().unwrap();
            waiting.join().unwrap().unwrap_err().reason
        });
        assert_eq!(reason, Reason::Stopped);
        assert!(throttle.cancellation().recv().is_err());
        throttle.cancel(Cause::MaxTime(Duration::ZERO));
        assert_eq!(
            throttle.cause(),
            Some(Cause::Signal(2)),
            "the first cause stays"
        );
    }
}

#[test]
fn a_pause_over_120_s_cancels_the_run() {
    let counters = Counters::default();
    let throttle = Throttle::new(1);
    pause(&throttle, Duration::from_secs(120), &counters);
    assert_eq!(throttle.cause(), None);
    pause(&throttle, Duration::from_secs(121), &counters);
    assert_eq!(
        throttle.cause(),
        Some(Cause::LongPause(Duration::from_secs(121)))
    );
}
