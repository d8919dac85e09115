//! The policy of retries, and the gate that all requests pass.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use indexrank::http::page::{PageError, Reason};
use indexrank::source::retry::{Attempts, Retries, asked_pause, attempts};
use indexrank::source::throttle::{Cause, Gate};
use indexrank::telemetry::counters::Meter;
use indexrank::telemetry::trace::Role;

fn failure(reason: Reason) -> PageError {
    PageError::new(reason, "")
}

#[test]
fn what_is_tried_again_and_how_often() {
    use Reason::*;
    for reason in [Unreachable, Timeout, Broken, Truncated, Busy, BadEncoding] {
        assert_eq!(attempts(reason), 4, "{reason:?}");
    }
    assert_eq!(attempts(Protocol), 2);
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
        assert_eq!(attempts(reason), 1, "{reason:?}");
    }
}

/// Full jitter: anything up to 0.5 s, 1 s, 2 s; the same for the same seed, path and attempt.
#[test]
fn pauses_grow_and_can_be_repeated() {
    let pauses = |seed, path: &str| {
        let retries = Retries::new(seed, Duration::from_millis(500));
        let mut tried = Attempts::default();
        let mut next = || retries.pause(path, &mut tried, &failure(Reason::Busy));
        [next(), next(), next(), next()]
    };
    let mut longest = [Duration::ZERO; 3];
    for seed in 0..200 {
        let [first, second, third, none] = pauses(seed, "/stocks/a-stock");
        assert_eq!(none, None);
        for (longest, pause) in longest.iter_mut().zip([first, second, third]) {
            *longest = pause.unwrap().max(*longest);
        }
    }
    for (longest, most) in longest.iter().zip([500, 1000, 2000]) {
        let longest = longest.as_millis();
        assert!(
            (most * 9 / 10..=most).contains(&longest),
            "{longest} of {most}"
        );
    }
    assert_eq!(pauses(7, "/a"), pauses(7, "/a"));
    assert_ne!(pauses(7, "/a"), pauses(8, "/a"));
    assert_ne!(pauses(7, "/a"), pauses(7, "/b"));
}

#[test]
fn the_budget_is_a_quarter_of_all_requests_and_never_under_twenty() {
    let spend = |planned| {
        let retries = Retries::new(1, Duration::ZERO);
        retries.plan(planned);
        let granted = (0..1000).filter(|number| {
            let path = format!("/{number}");
            let mut tried = Attempts::default();
            retries
                .pause(&path, &mut tried, &failure(Reason::Timeout))
                .is_some()
        });
        granted.count()
    };
    for (planned, granted) in [(0, 20), (60, 20), (99, 33), (496, 165)] {
        assert_eq!(spend(planned), granted);
    }
}

/// A site that asks for a pause has not failed, but may not ask for ever.
#[test]
fn a_page_that_is_put_off_costs_no_attempt_ten_times() {
    let retries = Retries::new(1, Duration::ZERO);
    let mut tried = Attempts::default();
    let mut again = |reason| retries.pause("/", &mut tried, &failure(reason)).is_some();
    for _ in 0..10 {
        assert!(again(Reason::Postponed));
    }
    assert_eq!(retries.spent(), 0);
    let attempts = (0..10).take_while(|_| again(Reason::Postponed)).count();
    assert_eq!(attempts, 3);
}

/// Rows 16 and 17: seconds and every date form; what is over, nonsense or endless.
#[test]
fn retry_after() {
    let asked = |text: &str, date: Option<&str>| {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", text.parse().unwrap());
        date.map(|date| headers.insert("date", date.parse().unwrap()));
        asked_pause(&headers)
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
        assert_eq!(asked(text, date), pause, "{text:?}");
    }
    // Without the answer's own date our clock counts.
    let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
    let pause = asked(&soon, None).unwrap().as_secs();
    assert!((58..=60).contains(&pause), "{pause}");
    assert_eq!(asked_pause(&HeaderMap::new()), None);
}

/// How many of these pass at the same time.
fn pass_together(gate: &Gate, meter: &Meter, fetchers: usize) -> usize {
    thread::scope(|scope| {
        let (in_out, is_in) = crossbeam_channel::unbounded();
        let (go, wait) = crossbeam_channel::bounded::<()>(0);
        for _ in 0..fetchers {
            let (in_out, wait) = (in_out.clone(), wait.clone());
            scope.spawn(move || {
                let pass = gate.enter(&mut meter.lane(Role::Fetcher));
                let _ = in_out.send(());
                let _ = wait.recv();
                drop(pass);
            });
        }
        let mut together = 0;
        while is_in.recv_timeout(Duration::from_millis(200)).is_ok() {
            together += 1;
        }
        drop(go);
        together
    })
}

/// Row 18: more than half of the last twenty failing rests half of the fetchers, and ten good ones
/// wake one.
#[test]
fn fetchers_rest_while_most_requests_fail() {
    let meter = Meter::default();
    let gate = Gate::new(8);
    let judge = |bad: usize, good: usize| {
        let bad = (0..bad).map(|_| Err(failure(Reason::Busy)));
        let good = (0..good).map(|_| Ok(()));
        bad.chain(good)
            .for_each(|result| gate.judge("/", &result, &meter));
    };
    assert_eq!(pass_together(&gate, &meter, 8), 8);
    judge(10, 10);
    assert_eq!(pass_together(&gate, &meter, 8), 8);
    judge(11, 0);
    assert_eq!(pass_together(&gate, &meter, 8), 4);
    assert_eq!(meter.resting.get(), 4);
    judge(20, 0);
    assert_eq!(pass_together(&gate, &meter, 8), 2);
    judge(20, 0);
    judge(20, 0);
    judge(20, 0);
    assert_eq!(pass_together(&gate, &meter, 8), 1);
    judge(0, 10);
    assert_eq!(pass_together(&gate, &meter, 8), 2);
    judge(0, 100);
    assert_eq!(pass_together(&gate, &meter, 8), 8);
    assert_eq!((meter.resting.get(), meter.most_resting.get()), (0, 7));
}

/// Of 32 fetchers four have been started: two of these rest, not none.
#[test]
fn those_rest_that_are_at_work() {
    let (meter, gate) = (Meter::default(), Gate::new(32));
    assert_eq!(pass_together(&gate, &meter, 4), 4);
    for _ in 0..20 {
        gate.judge::<()>("/", &Err(failure(Reason::Busy)), &meter);
    }
    assert_eq!(pass_together(&gate, &meter, 32), 2);
    assert_eq!(meter.resting.get(), 30);
}

/// Row 16: the pause is everybody's.
#[test]
fn a_pause_holds_everybody_back() {
    let meter = Meter::default();
    let gate = Gate::new(8);
    let mut lane = meter.lane(Role::Fetcher);
    gate.pause(Duration::from_millis(300), &mut lane);
    // One that is over before adds nothing.
    gate.pause(Duration::from_millis(100), &mut lane);
    let started = Instant::now();
    for role in [Role::Fetcher, Role::Index] {
        gate.enter(&mut meter.lane(role)).unwrap();
        assert!(started.elapsed() > Duration::from_millis(290));
    }
    assert_eq!(meter.paused.get(), 300);
}

/// Whoever waits at it, whatever for, is sent away when it closes.
#[test]
fn nobody_waits_at_a_closed_gate() {
    let meter = Meter::default();
    let long = Duration::from_secs(100);
    let blocks: [fn(&Gate, &Meter, Duration); 3] = [
        |gate, meter, long| gate.pause(long, &mut meter.lane(Role::Fetcher)),
        |gate, _, long| gate.keep_apart(long),
        |gate, meter, _| {
            (0..20).for_each(|_| gate.judge::<()>("/", &Err(failure(Reason::Busy)), meter));
            std::mem::forget(gate.enter(&mut meter.lane(Role::Fetcher)));
        },
    ];
    for block in blocks {
        let gate = Gate::new(2);
        block(&gate, &meter, long);
        let reason = thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.enter(&mut meter.lane(Role::Fetcher)).map(drop));
            let sleeping = scope.spawn(|| gate.sleep(long));
            thread::sleep(Duration::from_millis(50));
            gate.close(Cause::Signal(2));
            sleeping.join().unwrap();
            waiting.join().unwrap().unwrap_err().reason
        });
        assert_eq!(reason, Reason::Stopped);
        assert!(gate.closing().recv().is_err());
        gate.close(Cause::MaxTime(Duration::ZERO));
        assert_eq!(
            gate.cause(),
            Some(Cause::Signal(2)),
            "the first cause stays"
        );
    }
}

/// Row 17: nobody waits for that.
#[test]
fn a_pause_that_is_too_long_closes_the_gate() {
    let meter = Meter::default();
    let gate = Gate::new(1);
    gate.pause(Duration::from_secs(120), &mut meter.lane(Role::Fetcher));
    assert_eq!(gate.cause(), None);
    gate.pause(Duration::from_secs(121), &mut meter.lane(Role::Fetcher));
    assert_eq!(
        gate.cause(),
        Some(Cause::LongPause(Duration::from_secs(121)))
    );
}
