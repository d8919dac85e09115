//! The HTML page of the subcommand `race`, loaded in a real browser.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use scraper::{ElementRef, Html, Selector};
use serde_json::Value;

use crate::race::race;

/// The first is Debian's name.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

struct Loaded {
    dom: Html,
    /// The browser's console messages about the page.
    console: Vec<String>,
}

/// Loads a local page. `None` if no browser is installed.
fn load(page: &Path) -> Option<Loaded> {
    let profile = tempfile::tempdir().unwrap();
    let browser = BROWSERS.iter().find_map(|browser| {
        Command::new(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .args(["--enable-logging=stderr", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("file://{}", page.display()))
            .stdin(Stdio::null())
            .output()
            .ok()
    })?;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (dom, stderr) = (text(browser.stdout), text(browser.stderr));
    assert!(
        dom.contains("</html>"),
        "the browser printed no page: {stderr}"
    );
    let console = stderr.lines().filter(|line| line.contains("CONSOLE"));
    Some(Loaded {
        dom: Html::parse_document(&dom),
        console: console.map(str::to_owned).collect(),
    })
}

fn select<'a>(dom: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    dom.select(&Selector::parse(selector).unwrap()).collect()
}

fn number_attribute(element: ElementRef, name: &str) -> f64 {
    let text = element
        .attr(name)
        .unwrap_or_else(|| panic!("{name} of {}", element.html()));
    text.parse().unwrap()
}

/// One race with four contenders, two latencies and two numbers of workers.
///
/// Charts show the numbers of the JSON file in proportional lengths. The page fetches nothing, causes
/// no console message, and every chart has a text alternative.
#[test]
fn the_page_shows_the_results_of_the_json_file() {
    let folder = tempfile::tempdir().unwrap();
    let raced = race(
        folder.path(),
        &[
            "--latency",
            "0,5",
            "--workers",
            "2,8",
            "--only",
            "pipeline,async,sequential",
            "--html",
            "race.html",
        ],
    );
    assert_eq!(raced.code, Some(0), "{}{}", raced.stdout, raced.stderr);
    let page = folder.path().join("race.html");
    let Some(Loaded { dom, console }) = load(&page) else {
        println!("skipped: none of {} is installed", BROWSERS.join(", "));
        return;
    };
    assert_eq!(console, Vec::<String>::new());
    check_bars(&dom, &raced.results);
    check_throughput(&dom, &raced.results);
    check_samples(&dom, &raced.results);
    check_timelines(&dom);
    check_text_alternatives(&dom);
    assert_eq!(select(&dom, "script, link, img, iframe").len(), 0);
    check_console_reports_violations(&page);
}

fn speed(result: &Value) -> (String, f64) {
    (
        result["name"].as_str().unwrap().to_owned(),
        result["pages_per_s"].as_f64().unwrap(),
    )
}

fn check_bars(dom: &Html, results: &[Value]) {
    let charts = select(dom, "svg:has(rect.bar)");
    assert_eq!(charts.len(), 4);
    for (chart, results) in charts.iter().zip(results.chunks(4)) {
        let bars: Vec<ElementRef> = chart
            .select(&Selector::parse("rect.bar").unwrap())
            .collect();
        let shown: Vec<(String, f64)> = bars
            .iter()
            .map(|bar| {
                (
                    bar.attr("data-name").unwrap().to_owned(),
                    number_attribute(*bar, "data-value"),
                )
            })
            .collect();
        assert_eq!(shown, results.iter().map(speed).collect::<Vec<_>>());
        let units_per_value =
            number_attribute(bars[0], "width") / number_attribute(bars[0], "data-value");
        for bar in &bars {
            let expected = number_attribute(*bar, "data-value") * units_per_value;
            assert!(
                (number_attribute(*bar, "width") - expected).abs() < 0.02,
                "{}",
                bar.html()
            );
        }
    }
}

/// Throughput against workers: a line for each contender and latency, a point for each number of
/// workers.
fn check_throughput(dom: &Html, results: &[Value]) {
    let mut points: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for point in select(dom, "circle") {
        points
            .entry(point.attr("data-name").unwrap().to_owned())
            .or_default()
            .push(number_attribute(point, "data-value"));
    }
    let mut expected: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (name, pages_per_s) in results.iter().map(speed) {
        expected.entry(name).or_default().push(pages_per_s);
    }
    assert_eq!(points, expected);
}

/// Speed and memory over the time of a run. Memory stays near or below the peak in the JSON file.
fn check_samples(dom: &Html, results: &[Value]) {
    let charts = select(dom, "figure.samples svg");
    assert_eq!(charts.len(), 4 * 2);
    let line = Selector::parse("polyline").unwrap();
    for chart in charts {
        for line in chart.select(&line) {
            let points = line.attr("points").unwrap();
            assert!(!points.is_empty() && !points.contains("NaN"), "{points}");
        }
        assert_eq!(chart.select(&line).count(), 4);
    }
    let tables = select(dom, "div:has(caption)")
        .into_iter()
        .filter(|table| table.inner_html().contains("Memory in MB after"));
    let row = Selector::parse("tbody tr").unwrap();
    let cell = Selector::parse("td").unwrap();
    let mut cells = 0;
    for (table, results) in tables.zip(results.chunks(4)) {
        for (row, result) in table.select(&row).zip(results) {
            let peak = result["peak_mb"].as_f64().unwrap();
            for cell in row.select(&cell) {
                let memory: f64 = cell.inner_html().parse().unwrap();
                assert!(
                    memory > 0.0 && memory < peak * 1.3 + 2.0,
                    "{memory} of {peak}"
                );
                cells += 1;
            }
        }
    }
    assert_eq!(
        cells,
        4 * 4 * 4,
        "four tables of four contenders at four times"
    );
}

fn check_timelines(dom: &Html) {
    let timelines = select(dom, "figure:not(.samples):has(figcaption) svg");
    assert_eq!(timelines.len(), 16, "one for each contender in each set");
    let phase = Selector::parse("path.phase").unwrap();
    for timeline in timelines {
        assert!(timeline.select(&phase).count() >= 3, "{}", timeline.html());
    }
}

fn check_text_alternatives(dom: &Html) {
    for chart in select(dom, "svg") {
        assert_eq!(chart.attr("role"), Some("img"));
        for id in chart.attr("aria-labelledby").unwrap().split(' ') {
            let label = select(dom, &format!("[id=\"{id}\"]"));
            assert!(
                label.len() == 1 && !label[0].inner_html().is_empty(),
                "{id}"
            );
        }
    }
    assert_eq!(
        select(dom, "table").len(),
        2 + 4 * 3,
        "the numbers of each chart also as a table"
    );
}

/// Without this check, an empty console could mean that the browser reports nothing at all.
fn check_console_reports_violations(page: &Path) {
    let text = fs::read_to_string(page).unwrap();
    let image = "<img src=\"http://127.0.0.1:1/spy.png\"></main>";
    fs::write(page, text.replace("</main>", image)).unwrap();
    let console = load(page).unwrap().console;
    assert!(
        console
            .iter()
            .any(|line| line.contains("Content Security Policy")),
        "{console:?}"
    );
}
