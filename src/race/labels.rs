//! Labels that the terminal table and the HTML page share.

use crate::race::options::{RaceArgs, WorkArg};
use crate::race::participant::Participant;
use crate::race::round_set::{Entry, RoundSet};

/// The conditions of a round set, as its title.
pub fn title(args: &RaceArgs, set: &RoundSet) -> String {
    let in_flight = match set.workers {
        1 => "1 page in flight".to_owned(),
        many => format!("{many} pages in flight"),
    };
    if let Some(file) = &args.urls {
        return format!("Addresses of {}, {in_flight}", file.display());
    }
    if args.work == WorkArg::Cpu {
        return format!("Pages in memory, {in_flight}");
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
        "Server waits {} ms{jitter}{bandwidth}{tls}, {in_flight}{suffix}",
        set.latency_ms
    )
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
