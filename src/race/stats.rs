//! Statistics of a few runs. Pure functions.

use fastrand::Rng;

/// Resamples of a bootstrap. Percentiles of its distribution need 1,000 or more: B. Efron, R. Tibshirani,
/// An Introduction to the Bootstrap (1993), section 13.3.
const RESAMPLES: usize = 2_000;
/// Fewer values have no interval. Five of five lie on the same side of the true median by chance once in
/// 16 times, six of six once in 32: only the latter is rarer than 5 %.
pub const MIN_SAMPLE: usize = 6;

/// Median, minimum and maximum of some values.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// `None` if there are no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        Some(Spread {
            median: median_of_sorted(&sorted),
            min,
            max,
        })
    }
}

/// `None` if there are no values.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    Spread::of(values).map(|spread| spread.median)
}

/// The middle value, or the mean of the two middle values.
fn median_of_sorted(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    }
}

/// The limits of a 95 % confidence interval of the median, by the percentile bootstrap
/// (<https://en.wikipedia.org/wiki/Bootstrapping_(statistics)>, "Methods for bootstrap confidence
/// intervals"): the 2.5th and the 97.5th percentile of the medians of resamples, drawn with replacement.
/// Equal values give equal limits. `None` for fewer than [`MIN_SAMPLE`] values.
pub fn confidence_interval(values: &[f64]) -> Option<(f64, f64)> {
    if values.len() < MIN_SAMPLE {
        return None;
    }
    let mut random = Rng::with_seed(0);
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| median(values.iter().map(|_| values[random.usize(..values.len())])))
        .collect();
    medians.sort_by(f64::total_cmp);
    let tail = RESAMPLES * 25 / 1_000;
    Some((medians[tail - 1], medians[RESAMPLES - tail]))
}

/// The ratio of two medians, with the smallest and the largest ratio of any two runs.
///
/// These bounds hold for every distribution. The samples are too small to assume one.
pub fn ratio(over: Spread, under: Spread) -> Spread {
    Spread {
        median: over.median / under.median,
        min: over.min / under.max,
        max: over.max / under.min,
    }
}

/// The percentile by the nearest-rank method
/// (<https://en.wikipedia.org/wiki/Percentile#The_nearest-rank_method>): the smallest value that at
/// least `percent` per cent of the values do not exceed. `None` if there are no values.
pub fn percentile_of_sorted<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(values: &[f64]) -> Option<(f64, f64, f64)> {
        Spread::of(values.iter().copied()).map(|Spread { median, min, max }| (median, min, max))
    }

    #[test]
    fn takes_median_minimum_and_maximum() {
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
    fn interval_of_the_median_needs_six_values() {
        assert_eq!(confidence_interval(&[1.0; 5]), None);
        assert_eq!(confidence_interval(&[0.9; 6]), Some((0.9, 0.9)));
        let values = [0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 5.0];
        let (low, high) = confidence_interval(&values).unwrap();
        // Of ten values, the 2nd to the 9th cover the median in 98 % of all samples (binomial).
        assert!((0.90..=0.93).contains(&low), "{low}");
        assert!((0.96..=0.98).contains(&high), "{high}");
        assert_eq!(confidence_interval(&values), Some((low, high)));
    }

    #[test]
    fn divides_extremes_by_opposite_extremes() {
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
    fn takes_the_nearest_rank() {
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
}
