//! Statistics of a few runs. Pure functions; formulas with their source.

/// Smallest, middle and largest of some values.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// None of no values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        Some(Spread {
            median: median_of_sorted(&sorted),
            min,
            max,
        })
    }
}

/// The middle value, or the mean of the two in the middle.
fn median_of_sorted(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    }
}

/// The ratio of two medians, with the smallest and the largest ratio that any two of the runs give:
/// bounds that hold whatever the distribution is, for samples too small to speak of any.
pub fn ratio(over: Spread, under: Spread) -> Spread {
    Spread {
        median: over.median / under.median,
        min: over.min / under.max,
        max: over.max / under.min,
    }
}

/// The least time in which so many pages can be had when so many are in flight at the same time and
/// each takes `latency` (Little's law: throughput = in flight ÷ latency), in whole waves, after one
/// wave for the first page of the index, which names the others.
pub fn least_waiting(pages: usize, in_flight: usize, latency: f64) -> f64 {
    (1 + pages.div_ceil(in_flight)) as f64 * latency
}

/// The smallest number of pages in flight with which waiting takes no longer than computing, or can
/// take no less: more gain nothing.
pub fn enough_in_flight(pages: usize, latency: f64, computing: f64) -> usize {
    let reachable = computing.max(least_waiting(pages, pages, latency));
    (1..pages)
        .find(|in_flight| least_waiting(pages, *in_flight, latency) <= reachable)
        .unwrap_or(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(values: &[f64]) -> Option<(f64, f64, f64)> {
        Spread::of(values).map(|Spread { median, min, max }| (median, min, max))
    }

    #[test]
    fn spreads() {
        for (values, expected) in [
            (&[][..], None),
            (&[2.0], Some((2.0, 2.0, 2.0))),
            (&[3.0, 1.0], Some((2.0, 1.0, 3.0))),
            (&[3.0, 1.0, 9.0], Some((3.0, 1.0, 9.0))),
            (&[4.0, 1.0, 9.0, 2.0], Some((3.0, 1.0, 9.0))),
        ] {
            assert_eq!(spread(values), expected, "{values:?}");
        }
    }

    #[test]
    fn ratios() {
        let over = Spread {
            median: 10.0,
            min: 8.0,
            max: 12.0,
        };
        let under = Spread {
            median: 2.0,
            min: 1.0,
            max: 4.0,
        };
        assert_eq!(
            ratio(over, under),
            Spread {
                median: 5.0,
                min: 2.0,
                max: 12.0
            }
        );
    }

    #[test]
    fn waiting() {
        for (pages, in_flight, latency, expected) in [
            (496, 32, 0.05, 0.85),
            (496, 128, 0.05, 0.25),
            (496, 1, 0.05, 24.85),
            (496, 32, 0.0, 0.0),
            (1, 32, 0.5, 1.0),
        ] {
            let least = least_waiting(pages, in_flight, latency);
            assert!(
                (least - expected).abs() < 1e-9,
                "{least} instead of {expected}"
            );
        }
    }

    #[test]
    fn in_flight() {
        for (pages, latency, computing, expected) in [
            (496, 0.05, 0.16, 248),
            (496, 0.05, 0.0, 496),
            (496, 0.0, 0.15, 1),
            (496, 0.02, 0.21, 56),
            (1, 0.05, 0.0, 1),
        ] {
            assert_eq!(
                enough_in_flight(pages, latency, computing),
                expected,
                "{latency} s, {computing} s"
            );
        }
    }
}
