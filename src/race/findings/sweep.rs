//! The round sets at one latency, which differ in the number of requests in flight. Pure functions.

use crate::race::findings::round_set::{Entry, RoundSet};

/// A time counts as the best if it is at most this much longer. Two medians of 15 runs on a quiet machine
/// differ by 1 to 3 %.
pub const TOLERANCE: f64 = 0.05;

/// The latencies with results, in rising order.
pub fn latencies(sets: &[RoundSet]) -> Vec<u64> {
    let with_results = sets.iter().filter(|set| set.ranked().next().is_some());
    let mut latencies: Vec<u64> = with_results.map(|set| set.condition.latency_ms).collect();
    latencies.sort_unstable();
    latencies.dedup();
    latencies
}

/// The round sets at a latency, by rising numbers in flight.
pub fn at_latency(sets: &[RoundSet], latency_ms: u64) -> Vec<&RoundSet> {
    let mut sets: Vec<&RoundSet> = sets
        .iter()
        .filter(|set| set.condition.latency_ms == latency_ms)
        .collect();
    sets.sort_by_key(|set| set.condition.workers);
    sets
}

/// The round set with the smallest number in flight with which the first is within [`TOLERANCE`] of the
/// best time of all, and its first.
pub fn best<'a>(sets: &[&'a RoundSet]) -> Option<(&'a RoundSet, &'a Entry)> {
    smallest_near_best(sets, |set| set.ranked().next())
}

/// A participant at its own best: the round set with the smallest number in flight with which it is within
/// [`TOLERANCE`] of its best time.
pub fn own_best<'a>(sets: &[&'a RoundSet], name: &str) -> Option<(&'a RoundSet, &'a Entry)> {
    smallest_near_best(sets, |set| set.ranked().find(|entry| entry.name() == name))
}

fn smallest_near_best<'a>(
    sets: &[&'a RoundSet],
    entry: impl Fn(&'a RoundSet) -> Option<&'a Entry>,
) -> Option<(&'a RoundSet, &'a Entry)> {
    let with_times = || {
        sets.iter().filter_map(|set| {
            let entry = entry(set)?;
            Some((*set, entry, entry.wall()?.median))
        })
    };
    let best = with_times()
        .map(|(_, _, time)| time)
        .min_by(f64::total_cmp)?;
    with_times()
        .find(|(_, _, time)| *time <= best * (1.0 + TOLERANCE))
        .map(|(set, entry, _)| (set, entry))
}
