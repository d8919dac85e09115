//! Sentences about the connections of a round set: dropped ones, and TLS handshakes.

use crate::race::findings::round_set::RoundSet;
use crate::race::options::RaceArgs;
use crate::words::quantity;

pub fn sentences(args: &RaceArgs, set: &RoundSet) -> Vec<String> {
    let handshakes = args.tls.then(|| handshakes(set)).flatten();
    dropped(set).into_iter().chain(handshakes).collect()
}

/// The connections dropped during the runs of each participant. `None` if there were none. The counter of
/// the system is that of the network namespace, so other programs count too.
fn dropped(set: &RoundSet) -> Option<String> {
    let lost = set.entries.iter().filter_map(|entry| {
        let dropped = entry.dropped_connections()?;
        let (name, runs) = (entry.name(), quantity(entry.runs.len(), "run", "runs"));
        (dropped > 0).then(|| format!("{dropped} in {runs} of {name}"))
    });
    let lost: Vec<String> = lost.collect();
    (!lost.is_empty()).then(|| {
        format!(
            "The system dropped connections during these runs ({}), of the race or of another program. A \
             client tries again after a second, so these times cannot be compared.",
            lost.join(", ")
        )
    })
}

/// The median number of each participant. `None` if no run was counted.
fn handshakes(set: &RoundSet) -> Option<String> {
    let counts = set.entries.iter().filter_map(|entry| {
        let (all, resumed) = entry.handshakes()?;
        let resumed = match resumed {
            0.0 => String::new(),
            some => format!(" ({some:.0} resumed)"),
        };
        Some(format!("{} {all:.0}{resumed}", entry.name()))
    });
    let counts: Vec<String> = counts.collect();
    (!counts.is_empty()).then(|| format!("TLS handshakes in a run: {}.", counts.join(", ")))
}
