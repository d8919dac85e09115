//! Labels that the terminal table and the HTML page share.

use crate::race::options::{Condition, RaceArgs, WorkArg};
use crate::race::participant::Participant;
use crate::race::round_set::{Entry, RoundSet};
use crate::words::quantity;

/// The conditions of a round set, as its title.
pub fn title(args: &RaceArgs, set: &RoundSet) -> String {
    let in_flight = in_flight(set.workers);
    let interrupted = match set.interrupted {
        Some(_) => " (interrupted)",
        None => "",
    };
    if let Some(file) = &args.urls {
        return format!("Addresses of {}, {in_flight}{interrupted}", file.display());
    }
    if args.work == WorkArg::Cpu {
        let workers = quantity(set.workers as usize, "worker", "workers");
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
        set.latency_ms
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

/// The result of the comparison of answers.
pub fn answer(entry: &Entry) -> &'static str {
    if entry.broken.is_some() {
        return "broken";
    }
    if entry.differs.is_some() {
        return "differs";
    }
    match entry.participant {
        Participant::Program { .. }
            if entry.runs.iter().all(|run| run.answer.rankings.is_empty()) =>
        {
            "none given"
        }
        _ => "same",
    }
}
