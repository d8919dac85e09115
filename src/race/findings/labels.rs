//! Labels that the terminal table and the HTML page share.

use crate::race::findings::round_set::{Entry, RoundSet};
use crate::race::options::{Condition, RaceArgs, WorkArg};
use crate::race::run::child::Measurement;
use crate::race::run::participant::Participant;
use crate::race::stats::median;
use crate::words::quantity;

/// The conditions of a round set, as its title.
pub fn title(args: &RaceArgs, set: &RoundSet) -> String {
    let in_flight = in_flight(set.condition.workers);
    let interrupted = match set.interrupted {
        Some(_) => " (interrupted)",
        None => "",
    };
    if let Some(file) = &args.urls {
        return format!("Addresses of {}, {in_flight}{interrupted}", file.display());
    }
    if args.work == WorkArg::Cpu {
        let workers = quantity(set.condition.workers as usize, "worker", "workers");
        return format!("Pages in memory, {workers}{interrupted}");
    }
    let jitter = match args.jitter {
        0 => String::new(),
        max => format!(" and up to {max} ms of jitter"),
    };
    let bandwidth = args.bandwidth.map_or(String::new(), |megabits| {
        format!(", sends {megabits} Mbit/s")
    });
    let tls = if args.tls { " over TLS" } else { "" };
    let suffix = if args.work == WorkArg::Io {
        ", nothing is parsed"
    } else {
        ""
    };
    format!(
        "Server waits {} ms{jitter}{bandwidth}{tls}, {in_flight}{suffix}{interrupted}",
        set.condition.latency_ms
    )
}

fn in_flight(workers: u64) -> String {
    match workers {
        1 => "1 page in flight".to_owned(),
        many => format!("{many} pages in flight"),
    }
}

/// A condition in a sentence: `50 ms with 32 in flight`.
pub fn condition(args: &RaceArgs, condition: Condition) -> String {
    let Condition {
        latency_ms,
        workers,
    } = condition;
    if args.urls.is_some() {
        format!("{workers} in flight")
    } else if args.work == WorkArg::Cpu {
        quantity(workers as usize, "worker", "workers")
    } else {
        format!("{latency_ms} ms with {workers} in flight")
    }
}

/// Why the answers of a participant are wrong or not comparable, each as a line. Empty if they are right.
pub fn problems(entry: &Entry) -> Vec<String> {
    let name = entry.name();
    let broken = entry.broken.as_ref();
    let broken = broken.map(|reason| format!("{name} is disqualified: {reason}"));
    let differs = entry.differs.as_ref();
    let differs =
        differs.map(|difference| format!("{name} received different pages: {difference}"));
    broken.into_iter().chain(differs).collect()
}

/// Which participants were timed in another way. `None` if all are contenders.
pub fn timing(set: &RoundSet) -> Option<String> {
    let is_program = |entry: &&Entry| matches!(entry.participant, Participant::Program { .. });
    let timed = set.entries.iter().filter(|entry| !entry.runs.is_empty());
    let names: Vec<&str> = timed.filter(is_program).map(Entry::name).collect();
    let subject = match &*names {
        [] => return None,
        [name] => format!("{name} was timed as a whole process, with its start"),
        names => format!(
            "{} were timed as whole processes, with their start",
            names.join(", ")
        ),
    };
    Some(format!("{subject}; contenders from their first request."))
}

/// `0.1/2.1`: medians of the 50th and the 99th percentile in milliseconds. Empty for a program of
/// the user, which does not report them.
pub fn latencies(entry: &Entry) -> String {
    let measurements = || entry.runs.iter().filter_map(|run| run.measurement.as_ref());
    let latency = |percentile: fn(&Measurement) -> f64| median(measurements().map(percentile));
    let p50 = latency(|measurement| measurement.latency_p50_ms);
    let p99 = latency(|measurement| measurement.latency_p99_ms);
    p50.zip(p99)
        .map_or(String::new(), |(p50, p99)| format!("{p50:.1}/{p99:.1}"))
}

/// The result of the comparison of answers.
pub fn answer(entry: &Entry) -> &'static str {
    if entry.broken.is_some() {
        return "broken";
    }
    if entry.differs.is_some() {
        return "differs";
    }
    match entry.participant {
        Participant::Program { .. } if !entry.is_ranked() => "none given",
        _ => "same",
    }
}
