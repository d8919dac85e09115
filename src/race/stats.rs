//! Statistics of a few runs. Pure functions.

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
