//! The sentences about made-up results.

use clap::Parser;

use super::*;
use crate::race::options::Condition;
use crate::race::run::answer::Answer;
use crate::race::run::child::Measurement;
use crate::race::run::{Run, Traffic};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    race: RaceArgs,
}

fn args(options: &[&str]) -> RaceArgs {
    let options = ["race"].iter().chain(options);
    Command::try_parse_from(options).unwrap().race
}

/// Wall time in seconds, CPU time in milliseconds per page, and peak memory in MB of a contender.
type Row = (&'static str, f64, f64, f64);

fn run(round: u32, (_, wall_s, cpu_ms, peak_mb): Row) -> Run {
    // All participants are slow in the same rounds.
    let slowness = 1.0 + f64::from(round % 3) / 10.0;
    Run {
        round,
        wall_s: wall_s * slowness,
        cpu_s: cpu_ms / 10.0,
        server_cpu_s: 0.0,
        peak_mb,
        measurement: Some(Measurement {
            wall_s,
            cpu_s: None,
            pages: 96,
            failures: 0,
            requests: 100,
            bytes: 100,
            peak_memory: None,
            latency_p50_ms: 1.0,
            latency_p99_ms: 1.0,
        }),
        traffic: Traffic {
            requests: 100,
            bytes: 100,
            connections: Some(1),
            handshakes: None,
        },
        dropped_connections: None,
        answer: Answer::default(),
        timeline: None,
        samples: Vec::new(),
    }
}

/// A condition with this many rounds.
fn set(latency_ms: u64, workers: u64, rounds: u32, rows: &[Row]) -> RoundSet {
    let entries = rows.iter().map(|row| {
        let participant = Participant::Contender { name: row.0 };
        let runs = (1..=rounds).map(|round| run(round, *row)).collect();
        Entry {
            runs,
            ..Entry::new(&participant, rounds)
        }
    });
    let condition = Condition {
        latency_ms,
        workers,
    };
    RoundSet::new(condition, entries.collect(), None)
}

#[track_caller]
fn check(sets: &[RoundSet], expected: &[&str]) {
    assert_eq!(sentences(&args(&[]), sets), expected);
}

#[test]
fn says_nothing_without_results() {
    check(&[], &[]);
    check(&[set(0, 8, 0, &[("pipeline", 1.0, 1.0, 1.0)])], &[]);
}

#[test]
fn percentages_have_one_decimal_below_10() {
    for (percent, expected) in [
        (0.04, "under 0.1"),
        (0.05, "0.1"),
        (9.94, "9.9"),
        (9.96, "10"),
        (42.4, "42"),
    ] {
        assert_eq!(rounded(percent), expected);
    }
}

#[test]
fn names_the_first_and_its_lead() {
    let first = |rounds, rows: &[Row]| {
        let sets = [set(50, 32, rounds, rows)];
        sentences(&args(&[]), &sets)[0].clone()
    };
    assert_eq!(
        first(9, &[("pipeline", 0.30, 0.2, 10.0)]),
        "At 50 ms with 32 in flight, pipeline takes 0.330 s."
    );
    let behind: [Row; 2] = [("pipeline", 0.30, 0.2, 10.0), ("async", 0.27, 0.2, 10.0)];
    assert_eq!(
        first(9, &behind),
        "At 50 ms with 32 in flight, async is first with 0.297 s, 10 % less time than pipeline (95 % \
         confidence interval: 10 to 10 %)."
    );
    assert_eq!(
        first(5, &behind),
        "At 50 ms with 32 in flight, async (0.297 s) has the shortest time, pipeline (0.330 s) the next, \
         but 5 rounds are too few to say which is faster."
    );
    let equal: [Row; 4] = [
        ("pipeline", 0.30, 0.2, 10.0),
        ("async", 0.30, 0.2, 10.0),
        ("inline", 0.30, 0.2, 10.0),
        ("rayon-only", 0.40, 0.2, 10.0),
    ];
    assert_eq!(
        first(9, &equal),
        "At 50 ms with 32 in flight, no difference can be seen between pipeline (0.330 s), async (0.330 s) \
         and inline (0.330 s) (the time of pipeline is 1.00 to 1.00 times that of async)."
    );
}

/// The interval is that of the ratios of the same round: each time varies by 20 %, the ratio by none.
#[test]
fn pairs_runs_of_the_same_round() {
    let mut sets = [set(
        50,
        32,
        9,
        &[("pipeline", 0.3, 0.2, 10.0), ("async", 0.31, 0.2, 10.0)],
    )];
    let text = |sets: &[RoundSet]| sentences(&args(&[]), sets)[0].clone();
    assert!(
        text(&sets).contains("3.2 % less time than async"),
        "{}",
        text(&sets)
    );
    // Paired with other rounds, the ratios spread from 0.8 to 1.2.
    for run in &mut sets[0].entries[0].runs {
        run.round = run.round % 9 + 1;
    }
    assert!(
        text(&sets).contains("no difference can be seen"),
        "{}",
        text(&sets)
    );
}

/// Runs of the baseline that were copied from another condition have no round in common with others.
#[test]
fn does_not_pair_copied_runs() {
    let mut sets = [set(
        0,
        8,
        9,
        &[("pipeline", 0.3, 0.2, 10.0), ("sequential", 0.4, 0.2, 10.0)],
    )];
    sets[0].entries[1].is_copied = true;
    assert_eq!(
        sentences(&args(&[]), &sets)[0],
        "At 0 ms with 8 in flight, pipeline (0.330 s) has the shortest time, sequential (0.440 s) the next; \
         they ran under different conditions."
    );
}

#[test]
fn answers_for_the_lowest_and_the_highest_latency() {
    let sets = [
        set(
            0,
            8,
            9,
            &[
                ("sockets", 0.010, 0.1, 10.0),
                ("pipeline", 0.012, 0.2, 12.0),
                ("async", 0.011, 0.2, 11.0),
            ],
        ),
        set(
            0,
            32,
            9,
            &[
                ("sockets", 0.010, 0.1, 10.0),
                ("pipeline", 0.012, 0.2, 12.0),
                ("async", 0.011, 0.2, 11.0),
            ],
        ),
        set(
            20,
            8,
            9,
            &[("async", 0.100, 0.1, 10.0), ("pipeline", 0.120, 0.2, 12.0)],
        ),
        set(
            50,
            8,
            9,
            &[
                ("async", 0.700, 0.1, 10.0),
                ("pipeline", 0.710, 0.2, 12.0),
                ("sockets", 0.72, 0.1, 10.0),
            ],
        ),
        set(
            50,
            32,
            9,
            &[
                ("async", 0.254, 0.1, 12.4),
                ("pipeline", 0.260, 0.2, 14.4),
                ("sockets", 0.26, 0.1, 9.0),
            ],
        ),
    ];
    check(
        &sets,
        &[
            "At 0 ms with 8 in flight, sockets is first with 0.011 s, 9.1 % less time than async (95 % \
             confidence interval: 9.1 to 9.1 %); at 50 ms with 32 in flight, async is first with 0.279 s, \
             2.3 % less time than pipeline (95 % confidence interval: 2.3 to 2.3 %).",
            "Threads or async: threads at 0 ms, where sockets takes 9.1 % less time than async; async at \
             50 ms, where async takes 2.3 % less time than pipeline.",
            "Smallest number in flight within 5 % of the best time: 8 at 0 ms; 32 at 50 ms, the most that \
             was measured.",
            "CPU time per page and peak memory at 0 ms with 8 in flight: pipeline 0.20 ms, 12 MB; sockets \
             0.10 ms, 10 MB; async 0.20 ms, 11 MB; memory of each further request in flight at \
             50 ms: pipeline 100 kB, sockets under 1 kB and async 100 kB.",
            "The order changes: sockets takes 9.1 % less time than async at 0 ms with 32 in flight, async \
             takes 2.8 % less than sockets at 50 ms with 8 in flight.",
            &bounds_of(&sets),
        ],
    );
}

/// The last sentence: it depends on the cores of the machine.
fn bounds_of(sets: &[RoundSet]) -> String {
    sentences(&args(&[]), sets).pop().unwrap()
}

#[test]
fn says_what_bounds_the_run() {
    let check = |options: &[&str], set: RoundSet, expected: &str| {
        let last = sentences(&args(options), &[set]).pop().unwrap();
        assert!(last.starts_with(expected), "{last}");
    };
    // 96 companies on 3 index pages: 3 waves with 128 in flight.
    check(
        &[],
        set(50, 128, 9, &[("pipeline", 0.15, 0.0, 10.0)]),
        "What bounds the run: waiting for the server at 50 ms with 128 in flight (pipeline takes 1.10 times \
         the least possible 0.150 s)",
    );
    check(
        &[],
        set(50, 128, 9, &[("pipeline", 0.30, 0.0, 10.0)]),
        "What bounds the run: no limit that was measured at 50 ms with 128 in flight (pipeline takes 2.20 \
         times",
    );
    let cores = crate::race::machine::cores() as f64;
    check(
        &[],
        set(
            0,
            8,
            9,
            &[
                ("pipeline", 1.0, 10.0, 10.0),
                ("async", 2.0, 9.9 * cores, 10.0),
            ],
        ),
        match cores {
            1.0 => {
                "What bounds the run: the CPU at 0 ms with 8 in flight (pipeline takes 1.11 times"
            }
            _ => "What bounds the run: no limit that was measured",
        },
    );
    let mut shared = set(0, 8, 9, &[("pipeline", 1.0, 0.0, 10.0)]);
    for run in &mut shared.entries[0].runs {
        run.cpu_s = 0.3 * run.wall_s * cores;
        run.server_cpu_s = 0.6 * run.wall_s * cores;
    }
    check(
        &[],
        shared,
        "What bounds the run: the CPU, with the server's share, at 0 ms with 8 in flight (pipeline takes",
    );
    // 100 bytes at 0.001 Mbit/s.
    check(
        &["--bandwidth", "0.001"],
        set(0, 8, 9, &[("pipeline", 0.8, 0.0, 10.0)]),
        "What bounds the run: the bandwidth at 0 ms with 8 in flight (pipeline takes 1.10 times the least \
         possible 0.800 s)",
    );
}

/// A program that gives no answer has no place, however fast it is.
#[test]
fn leaves_out_programs_without_an_answer() {
    let mut set = set(
        0,
        8,
        9,
        &[("pipeline", 0.3, 0.2, 10.0), ("async", 0.1, 0.2, 10.0)],
    );
    set.entries[0].participant = Participant::Program {
        name: "mute".to_owned(),
        command: String::new(),
    };
    let first = &sentences(&args(&[]), &[set])[0];
    assert_eq!(first, "At 0 ms with 8 in flight, pipeline takes 0.330 s.");
}

#[test]
fn work_without_a_server_has_no_latency() {
    let sets = [set(
        0,
        32,
        9,
        &[("pipeline", 0.3, 0.2, 10.0), ("async", 0.1, 0.2, 10.0)],
    )];
    let sentences = sentences(&args(&["--work", "cpu"]), &sets);
    assert!(
        sentences[0].starts_with("With 32 workers, async is first"),
        "{sentences:?}"
    );
    assert!(
        sentences[1].starts_with("Threads or async: async, where async"),
        "{sentences:?}"
    );
}
