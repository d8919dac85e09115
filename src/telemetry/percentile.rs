//! Percentiles by the nearest-rank method
//! (<https://en.wikipedia.org/wiki/Percentile#The_nearest-rank_method>).

/// The smallest value that at least `per_cent` per cent of the values do not exceed. `sorted` must
/// be in ascending order, `per_cent` between 0 and 100. `None` if there are no values.
pub fn percentile<T: Copy>(sorted: &[T], per_cent: usize) -> Option<T> {
    let rank = (sorted.len() * per_cent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn picks_the_nearest_rank() {
        let five = [15, 20, 35, 40, 50];
        for (per_cent, expected) in [(0, 15), (5, 15), (30, 20), (40, 20), (50, 35), (100, 50)] {
            assert_eq!(percentile(&five, per_cent), Some(expected), "{per_cent}");
        }
        assert_eq!(percentile::<u32>(&[], 50), None);
    }
}
