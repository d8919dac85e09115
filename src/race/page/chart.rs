//! Line charts as inline SVG: numbers in, markup out. `page.css` sets the colours.

use maud::{Markup, html};

use crate::race::number_format::{grouped, short};
use crate::race::page::palette::Style;
use crate::race::page::scale::{Scale, width, without_overlaps};

/// Size of a chart in SVG units. One unit is 0.8 to 1.2 pixels, whatever the width of the page.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 240.0;
/// Right margin: half of the last label, such as `4,096`.
const RIGHT: f64 = WIDTH - 26.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = HEIGHT - 44.0;
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
        let (low, high) = if self.is_logarithmic() {
            (least / 1.15, most * 1.15)
        } else {
            // Room for the markers of the highest value.
            (0.0, (most * 1.04).max(f64::MIN_POSITIVE))
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

fn outline(points: &[(f64, f64)], x_scale: &Scale, y_scale: &Scale) -> String {
    let mut path = String::new();
    for (x, y) in points {
        let command = if path.is_empty() { 'M' } else { 'L' };
        let (x, y) = (x_scale.position(*x), y_scale.position(*y));
        path.push_str(&format!("{command}{x:.1} {y:.1}"));
    }
    path
}

/// A coordinate with up to two decimals.
pub fn px(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
