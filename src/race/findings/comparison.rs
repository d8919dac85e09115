//! The times of two participants under one condition, compared round by round. Pure functions.
//!
//! Two runs of the same round follow each other within seconds, so that a machine that is slow for a while
//! slows both. Their ratio varies less than the times do.

use crate::race::findings::round_set::Entry;
use crate::race::stats::{confidence_interval, median};

/// The result of comparing the paired runs of two participants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Comparison {
    /// Too few rounds for a 95 % confidence interval.
    TooFew { rounds: usize },
    /// The interval of the ratio of their times holds 1, or contradicts their medians.
    NoDifference { low: f64, high: f64 },
    /// One takes less time than the other.
    Less(Saving),
}

/// Time saved in per cent of the other's time, and the limits of its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Saving {
    pub percent: f64,
    pub low: f64,
    pub high: f64,
}

/// Compares a participant with a slower one.
pub fn compare(fast: &Entry, slow: &Entry) -> Comparison {
    let ratios = ratios(fast, slow);
    let rounds = ratios.len();
    let Some((low, high)) = confidence_interval(&ratios) else {
        return Comparison::TooFew { rounds };
    };
    match median(ratios) {
        Some(ratio) if high < 1.0 => {
            let saved = |ratio: f64| (1.0 - ratio) * 100.0;
            Comparison::Less(Saving {
                percent: saved(ratio),
                low: saved(high),
                high: saved(low),
            })
        }
        _ => Comparison::NoDifference { low, high },
    }
}

/// The ratio of the times in each round that both have counted. None if the runs of one are those of an
/// earlier condition.
fn ratios(fast: &Entry, slow: &Entry) -> Vec<f64> {
    if fast.is_copied || slow.is_copied {
        return Vec::new();
    }
    let of_round = |round| slow.runs.iter().find(move |run| run.round == round);
    let pairs = fast
        .runs
        .iter()
        .filter_map(|run| Some((run, of_round(run.round)?)));
    pairs
        .map(|(fast, slow)| fast.wall_s / slow.wall_s)
        .collect()
}
