//! The scales of charts: positions of values, round ticks, and labels that do not overlap. Pure functions.

use crate::race::number_format::grouped;

/// Upper bound of the width of a character of a label, at 12 units a line. Digits of DejaVu Sans, a
/// wide font, have 7.6.
const CHARACTER: f64 = 7.8;

/// An axis: values from `low` to `high` at positions `from` to `to`.
pub struct Scale {
    pub is_logarithmic: bool,
    pub low: f64,
    pub high: f64,
    pub from: f64,
    pub to: f64,
}

impl Scale {
    pub fn position(&self, value: f64) -> f64 {
        let share = if !self.is_logarithmic {
            (value - self.low) / (self.high - self.low)
        } else if self.low == self.high {
            0.5
        } else {
            (value / self.low).ln() / (self.high / self.low).ln()
        };
        self.from + (self.to - self.from) * share
    }

    /// Round values with their positions.
    pub fn labels(&self) -> Vec<(f64, String)> {
        let labels: Vec<(f64, String)> = if self.is_logarithmic {
            let ticks = logarithmic_ticks(self.low, self.high).into_iter();
            ticks.map(|tick| (tick, tick_label(tick, tick))).collect()
        } else {
            let step = tick_step(self.high);
            let label = |tick| (tick, tick_label(tick, step));
            ticks(self.high).into_iter().map(label).collect()
        };
        let place = |(tick, label)| (self.position(tick), label);
        labels.into_iter().map(place).collect()
    }
}

/// An upper bound of the width of a label.
pub fn width(label: &str) -> f64 {
    label.chars().count() as f64 * CHARACTER
}

/// Leaves out each label that would come closer than a character to the one before it.
pub fn without_overlaps(labels: Vec<(f64, String)>) -> Vec<(f64, String)> {
    let mut kept: Vec<(f64, String)> = Vec::new();
    for (center, label) in labels {
        let is_clear = kept.last().is_none_or(|(other, text)| {
            center - other >= (width(&label) + width(text)) / 2.0 + CHARACTER / 2.0
        });
        if is_clear {
            kept.push((center, label));
        }
    }
    kept
}

/// The distance between ticks: the smallest of 1, 2 or 5 × 10ⁿ that is at least `max` ÷ 5.
fn tick_step(max: f64) -> f64 {
    let rough = (max / 5.0).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= rough);
    // Rounding errors may make even 10 times the power smaller than `rough`.
    factor.unwrap_or(10.0) * power
}

/// Three to six ticks, from zero to at most `max`.
pub fn ticks(max: f64) -> Vec<f64> {
    let step = tick_step(max);
    (0..=(max / step) as usize)
        .map(|index| index as f64 * step)
        .collect()
}

/// The values 1, 2 and 5 × 10ⁿ between two values; only the powers of ten if there are more than 8.
fn logarithmic_ticks(low: f64, high: f64) -> Vec<f64> {
    let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let between = |factors: &[f64]| -> Vec<f64> {
        let ticks = powers.clone().flat_map(|power| {
            let scaled = |factor: &f64| factor * 10f64.powi(power);
            factors.iter().map(scaled).collect::<Vec<_>>()
        });
        ticks.filter(|tick| (low..=high).contains(tick)).collect()
    };
    let fine = between(&[1.0, 2.0, 5.0]);
    if fine.len() > 8 {
        between(&[1.0])
    } else {
        fine
    }
}

/// A tick with as many decimals as its step needs.
pub fn tick_label(tick: f64, step: f64) -> String {
    if step >= 1.0 {
        return grouped(tick.round());
    }
    // 1e-9: the logarithm of 0.001 may be a little less than -3.
    let decimals = (-(step.log10() + 1e-9).floor()).clamp(1.0, 12.0) as usize;
    match tick {
        0.0 => "0".to_owned(),
        _ => format!("{tick:.decimals$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_1_2_or_5_times_a_power_of_ten() {
        for (max, expected) in [
            (1.0, 0.2),
            (5.0, 1.0),
            (9.0, 2.0),
            (11.0, 5.0),
            (2600.0, 1000.0),
            (0.26, 0.1),
        ] {
            assert!(
                (tick_step(max) - expected).abs() < 1e-9,
                "{max}: {}",
                tick_step(max)
            );
        }
    }

    #[test]
    fn logarithmic_ticks_are_few() {
        assert_eq!(logarithmic_ticks(0.3, 4.0), [0.5, 1.0, 2.0]);
        assert_eq!(logarithmic_ticks(0.9, 1200.0), [1.0, 10.0, 100.0, 1000.0]);
    }

    #[test]
    fn labels_have_the_decimals_of_their_step() {
        for (tick, step, expected) in [
            (0.0, 0.2, "0"),
            (0.4, 0.2, "0.4"),
            (0.004, 0.002, "0.004"),
            (0.001, 0.001, "0.001"),
            (1000.0, 500.0, "1,000"),
            (2.0, 2.0, "2"),
        ] {
            assert_eq!(tick_label(tick, step), expected, "{tick}");
        }
    }

    #[test]
    fn leaves_out_labels_that_would_overlap() {
        let labels = |places: &[(f64, &str)]| -> Vec<(f64, String)> {
            let owned = places.iter().map(|(at, text)| (*at, (*text).to_owned()));
            owned.collect()
        };
        assert_eq!(
            without_overlaps(labels(&[(0.0, "30"), (12.0, "31"), (24.0, "32")])),
            labels(&[(0.0, "30"), (24.0, "32")])
        );
    }
}
