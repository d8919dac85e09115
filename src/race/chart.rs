//! Line charts as inline SVG: numbers in, markup out. `page.css` sets the colours.

use maud::{Markup, html};

use crate::race::number_format::grouped;
use crate::race::palette::Style;

/// Size of a chart in SVG units. One unit is 0.8 to 1.2 pixels, whatever the width of the page.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 240.0;
/// Right margin: half of the last label, such as `4,096`.
const RIGHT: f64 = WIDTH - 26.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = HEIGHT - 44.0;
/// Upper bound of the width of a character of a label, at 12 units a line. Digits of DejaVu Sans, a
/// wide font, have 7.6.
const CHARACTER: f64 = 7.8;
/// Lines whose highest value is more than this times the lowest get a logarithmic scale.
const LINEAR_RANGE: f64 = 10.0;

/// One line.
pub struct Series<'a> {
    pub name: &'a str,
    pub style: Style,
    /// The product's own line, drawn thicker.
    pub is_product: bool,
    pub points: Vec<(f64, f64)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum XAxis {
    /// Numbers in flight, base-2 logarithmic, with a marker at each measured one.
    InFlight,
    /// Seconds since the start of a run.
    Seconds,
}

pub struct LineChart<'a> {
    /// Unique on the page.
    pub id: String,
    /// The name of the chart for screen readers.
    pub title: String,
    pub x_axis: XAxis,
    /// The unit of the values.
    pub unit: &'static str,
    pub series: &'a [Series<'a>],
    /// Lower bounds of the values, drawn as the edge of an area that no line can enter.
    pub least: &'a [(f64, f64)],
}

impl LineChart<'_> {
    /// Whether the values have a logarithmic scale. Their axis begins at zero otherwise.
    pub fn is_logarithmic(&self) -> bool {
        let (least, most) = self.range_of_values();
        self.x_axis == XAxis::InFlight && least > 0.0 && most > LINEAR_RANGE * least
    }

    fn points(&self) -> impl Iterator<Item = &(f64, f64)> {
        self.series
            .iter()
            .flat_map(|line| &line.points)
            .chain(self.least)
    }

    fn range_of_values(&self) -> (f64, f64) {
        let values = || self.points().map(|(_, y)| *y);
        (
            values().fold(f64::INFINITY, f64::min),
            values().fold(0.0, f64::max),
        )
    }

    fn y_scale(&self) -> Scale {
        let (least, most) = self.range_of_values();
        let (low, high) = match self.is_logarithmic() {
            true => (least / 1.15, most * 1.15),
            // Room for the markers of the highest value.
            false => (0.0, (most * 1.04).max(f64::MIN_POSITIVE)),
        };
        Scale {
            is_logarithmic: self.is_logarithmic(),
            low,
            high,
            from: BOTTOM,
            to: TOP,
        }
    }

    fn x_scale(&self, left: f64) -> Scale {
        let values = || self.points().map(|(x, _)| *x);
        let is_logarithmic = self.x_axis == XAxis::InFlight;
        let first = values().fold(f64::INFINITY, f64::min);
        Scale {
            is_logarithmic,
            low: if is_logarithmic { first } else { 0.0 },
            high: values().fold(f64::MIN_POSITIVE, f64::max),
            from: left,
            to: RIGHT,
        }
    }

    /// The labels of the x axis with their positions, without those that would overlap.
    fn x_labels(&self, scale: &Scale) -> Vec<(f64, String)> {
        let labels = match self.x_axis {
            XAxis::Seconds => scale.labels(),
            XAxis::InFlight => {
                let mut counts: Vec<f64> = self.points().map(|(x, _)| *x).collect();
                counts.sort_by(f64::total_cmp);
                counts.dedup();
                let label = |count: f64| (scale.position(count), grouped(count));
                counts.into_iter().map(label).collect()
            }
        };
        without_overlaps(labels)
    }

    /// The chart below its name, unit and scale.
    pub fn figure(&self, name: &str) -> Markup {
        html! {
            figure {
                figcaption {
                    (name) span.unit { ", " (self.unit) @if self.is_logarithmic() { ", logarithmic scale" } }
                }
                (self.draw())
            }
        }
    }

    fn draw(&self) -> Markup {
        let y_scale = self.y_scale();
        let y_labels = y_scale.labels();
        let widest = y_labels.iter().map(|(_, label)| width(label));
        let left = widest.fold(0.0, f64::max) + 12.0;
        let x_scale = self.x_scale(left);
        let x_unit = match self.x_axis {
            XAxis::InFlight => "pages in flight",
            XAxis::Seconds => "seconds",
        };
        let (title_id, text_id) = (format!("{}-t", self.id), format!("{}-d", self.id));
        html! {
            svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-labelledby=(title_id) aria-describedby=(text_id) {
                title id=(title_id) { (self.title) }
                desc id=(text_id) { (self.description()) }
                (self.least_area(&x_scale, &y_scale))
                @for (y, label) in &y_labels {
                    path.grid d=(format!("M{left:.1} {y:.1}H{RIGHT}")) {}
                    text x=(px(left - 8.0)) y=(px(y + 4.0)) text-anchor="end" { (label) }
                }
                @for (x, label) in self.x_labels(&x_scale) {
                    text x=(px(x)) y=(px(BOTTOM + 18.0)) text-anchor="middle" { (label) }
                }
                text x=(px((left + RIGHT) / 2.0)) y=(px(BOTTOM + 36.0)) text-anchor="middle" { (x_unit) }
                @for line in self.series { (self.line(line, &x_scale, &y_scale)) }
            }
        }
    }

    fn line(&self, line: &Series, x_scale: &Scale, y_scale: &Scale) -> Markup {
        let product = if line.is_product { " product" } else { "" };
        let class = format!("series {}{product}", line.style.class());
        let marked: &[(f64, f64)] = match self.x_axis {
            XAxis::InFlight => &line.points,
            XAxis::Seconds => line.points.last().map_or(&[], std::slice::from_ref),
        };
        html! {
            g class=(class) {
                path.line d=(outline(&line.points, x_scale, y_scale)) {}
                @for (x, y) in marked {
                    path.marker d=(line.style.marker(x_scale.position(*x), y_scale.position(*y))) data-name=(line.name) data-value=(y) {
                        title { (line.name) ", " (self.point(*x, *y)) }
                    }
                }
            }
        }
    }

    fn least_area(&self, x_scale: &Scale, y_scale: &Scale) -> Markup {
        let [(first, _), .., (last, _)] = self.least else {
            return html! {};
        };
        let edge = outline(self.least, x_scale, y_scale);
        let (first, last) = (x_scale.position(*first), x_scale.position(*last));
        html! {
            path.least.area d=(format!("{edge}L{last:.1} {BOTTOM}H{first:.1}Z")) {}
            path.least d=(edge) {}
        }
    }

    /// `32 in flight: 0.34 s`, `0.34 s: 12 MB`
    fn point(&self, x: f64, y: f64) -> String {
        let unit = self.unit;
        match self.x_axis {
            XAxis::InFlight => format!("{} in flight: {} {unit}", grouped(x), short(y)),
            XAxis::Seconds => format!("{} s: {} {unit}", short(x), short(y)),
        }
    }

    /// All values in flight, or the last ones over time, in words.
    fn description(&self) -> String {
        let line = |name: &str, points: &[(f64, f64)]| {
            let shown = match self.x_axis {
                XAxis::InFlight => points,
                XAxis::Seconds => &points[points.len().saturating_sub(1)..],
            };
            let points = shown.iter().map(|(x, y)| self.point(*x, *y));
            format!("{name}, {}", points.collect::<Vec<_>>().join(", "))
        };
        let mut lines: Vec<String> = self
            .series
            .iter()
            .map(|one| line(one.name, &one.points))
            .collect();
        if !self.least.is_empty() {
            lines.push(line("least possible", self.least));
        }
        lines.join("; ")
    }
}

/// An axis: values from `low` to `high` at positions `from` to `to`.
struct Scale {
    is_logarithmic: bool,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn position(&self, value: f64) -> f64 {
        let share = match self.is_logarithmic {
            true if self.low == self.high => 0.5,
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        self.from + (self.to - self.from) * share
    }

    /// Round values with their positions.
    fn labels(&self) -> Vec<(f64, String)> {
        let labels: Vec<(f64, String)> = match self.is_logarithmic {
            true => logarithmic_ticks(self.low, self.high)
                .into_iter()
                .map(|tick| (tick, tick_label(tick, tick)))
                .collect(),
            false => {
                let step = tick_step(self.high);
                let label = |tick| (tick, tick_label(tick, step));
                ticks(self.high).into_iter().map(label).collect()
            }
        };
        let place = |(tick, label)| (self.position(tick), label);
        labels.into_iter().map(place).collect()
    }
}

fn outline(points: &[(f64, f64)], x_scale: &Scale, y_scale: &Scale) -> String {
    let mut path = String::new();
    for (x, y) in points {
        let command = if path.is_empty() { 'M' } else { 'L' };
        let (x, y) = (x_scale.position(*x), y_scale.position(*y));
        path.push_str(&format!("{command}{x:.1} {y:.1}"));
    }
    path
}

/// An upper bound of the width of a label.
fn width(label: &str) -> f64 {
    label.chars().count() as f64 * CHARACTER
}

/// Leaves out each label that would come closer than a character to the one before it.
fn without_overlaps(labels: Vec<(f64, String)>) -> Vec<(f64, String)> {
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

/// Three significant digits, without an exponent.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => grouped(value.round()),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.4}"),
    }
}

/// A coordinate with up to two decimals.
pub fn px(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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

    #[test]
    fn short_numbers_have_three_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (0.05512, "0.0551"),
            (0.3381, "0.338"),
            (3.714, "3.71"),
            (25.12, "25.1"),
            (4981.2, "4,981"),
        ] {
            assert_eq!(short(value), expected);
        }
    }
}
