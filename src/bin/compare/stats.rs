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

/// The smallest value that is not smaller than `percent` per cent of them (the nearest rank,
/// <https://en.wikipedia.org/wiki/Percentile#The_nearest-rank_method>); none of no values.
pub fn percentile_of_sorted<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// A job as far as it decides how long it must take.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    pub pages: usize,
    /// Pages in flight at the same time.
    pub in_flight: usize,
    /// Seconds from asking for a page until it comes.
    pub latency: f64,
    /// Where addresses come from an index: how many its first page has. The others are known one
    /// more latency later.
    pub listed_first: Option<usize>,
    /// Seconds that the line needs for all bytes.
    pub transfer: f64,
    /// Seconds of CPU time, divided by the cores.
    pub computing: f64,
}

impl Course {
    /// The least time of waiting (Little's law: throughput = in flight ÷ latency), in whole waves:
    /// one for the first page of the index; one for the pages it lists, and for the rest of the
    /// index beside them; as many as the rest of the pages make.
    pub fn waiting(&self) -> f64 {
        let (before, rest) = match self.listed_first {
            None => (0, self.pages),
            Some(listed) => (2, self.pages.saturating_sub(listed.min(self.in_flight))),
        };
        (before + rest.div_ceil(self.in_flight)) as f64 * self.latency
    }

    /// The least time at all: what takes longest of waiting, sending and computing, the others
    /// going on meanwhile. The last wave's pages cannot be computed on before they are here.
    pub fn least(&self) -> f64 {
        let known_first = self
            .listed_first
            .unwrap_or(0)
            .min(self.in_flight)
            .min(self.pages);
        let rest = self.pages.saturating_sub(known_first);
        let last_wave = match rest % self.in_flight {
            0 if rest == 0 => known_first,
            0 => self.in_flight,
            some => some,
        };
        let afterwards = self.computing * last_wave as f64 / self.pages.max(1) as f64;
        let waiting = if self.latency > 0.0 {
            self.waiting() + afterwards
        } else {
            0.0
        };
        waiting.max(self.transfer).max(self.computing)
    }

    /// The smallest number of pages in flight with which waiting takes no longer than the rest, or
    /// can take no less: more gain nothing.
    pub fn enough_in_flight(&self) -> usize {
        let with = |in_flight| Course { in_flight, ..*self };
        let reachable = with(self.pages.max(1))
            .waiting()
            .max(self.computing)
            .max(self.transfer);
        (1..self.pages)
            .find(|in_flight| with(*in_flight).waiting() <= reachable)
            .unwrap_or(self.pages.max(1))
    }
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
    fn percentiles() {
        for (values, percent, expected) in [
            (&[][..], 50, None),
            (&[1], 50, Some(1)),
            (&[1], 99, Some(1)),
            (&[1, 2, 3, 4], 50, Some(2)),
            (&[1, 2, 3, 4], 51, Some(3)),
            (&[1, 2, 3, 4], 99, Some(4)),
            (&[1, 2, 3, 4], 0, Some(1)),
            (&[1, 2, 3, 4], 100, Some(4)),
        ] {
            assert_eq!(
                percentile_of_sorted(values, percent),
                expected,
                "{values:?} {percent}"
            );
        }
    }

    fn course(pages: usize, in_flight: usize, latency: f64, computing: f64) -> Course {
        Course {
            pages,
            in_flight,
            latency,
            listed_first: Some(46),
            transfer: 0.0,
            computing,
        }
    }

    #[track_caller]
    fn about(value: f64, expected: f64) {
        assert!(
            (value - expected).abs() < 1e-9,
            "{value} instead of {expected}"
        );
    }

    #[test]
    fn waiting() {
        for (pages, in_flight, latency, expected) in [
            (496, 32, 0.05, 0.85),
            (496, 128, 0.05, 0.3),
            (496, 1, 0.05, 24.85),
            (496, 32, 0.0, 0.0),
            (1, 32, 0.5, 1.0),
        ] {
            about(course(pages, in_flight, latency, 0.0).waiting(), expected);
        }
        let listed = Course {
            listed_first: None,
            ..course(496, 32, 0.05, 0.0)
        };
        about(listed.waiting(), 0.8);
    }

    #[test]
    fn least_times() {
        // Page 1 of the index, 46 pages, then the other 54 in one wave or two: what is computed on
        // the last wave comes after it.
        about(course(100, 80, 0.5, 0.1).least(), 1.5 + 0.054);
        about(course(100, 40, 0.5, 0.1).least(), 2.0 + 0.02);
        about(course(100, 50, 0.5, 0.1).least(), 2.0 + 0.004);
        about(course(30, 80, 0.5, 0.1).least(), 1.0 + 0.1);
        about(course(100, 80, 0.0, 0.1).least(), 0.1);
        about(course(100, 80, 0.001, 7.0).least(), 7.0);
        let narrow = Course {
            transfer: 9.0,
            ..course(100, 80, 0.5, 0.1)
        };
        about(narrow.least(), 9.0);
    }

    #[test]
    fn in_flight() {
        for (pages, latency, computing, expected) in [
            (496, 0.05, 0.16, 450),
            (496, 0.05, 0.0, 450),
            (496, 0.0, 0.15, 1),
            (496, 0.02, 0.21, 57),
            (1, 0.05, 0.0, 1),
            (0, 0.05, 0.0, 1),
        ] {
            let enough = course(pages, 32, latency, computing).enough_in_flight();
            assert_eq!(enough, expected, "{latency} s, {computing} s");
        }
        let narrow = Course {
            transfer: 0.16,
            ..course(496, 32, 0.05, 0.0)
        };
        assert_eq!(narrow.enough_in_flight(), 450);
    }
}
