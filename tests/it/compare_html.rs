//! The race's page, seen by a real browser.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use scraper::{ElementRef, Html, Selector};
use serde_json::Value;

use crate::compare::compare;

/// Debian's name and the others'.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

struct Loaded {
    dom: Html,
    /// What the page made the browser complain about.
    console: Vec<String>,
}

/// Loads a page of this machine; none where there is no browser.
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
    let (dom, said) = (text(browser.stdout), text(browser.stderr));
    assert!(dom.contains("</html>"), "no page: {said}");
    let console = said.lines().filter(|line| line.contains("CONSOLE"));
    Some(Loaded {
        dom: Html::parse_document(&dom),
        console: console.map(str::to_owned).collect(),
    })
}

fn select<'a>(dom: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    dom.select(&Selector::parse(selector).unwrap()).collect()
}

fn number(element: ElementRef, name: &str) -> f64 {
    let text = element
        .attr(name)
        .unwrap_or_else(|| panic!("{name} of {}", element.html()));
    text.parse().unwrap()
}

/// Charts have the numbers of the JSON, in the right lengths; nothing is fetched and nothing
/// complained about; who cannot see a picture is told what it shows.
#[test]
fn the_page() {
    let folder = tempfile::tempdir().unwrap();
    let raced = compare(
        folder.path(),
        &[
            "--latency",
            "0,5",
            "--workers",
            "2,8",
            "--only",
            "pipeline,async,sequential,floor",
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

    let speed = |result: &Value| {
        (
            result["name"].as_str().unwrap().to_owned(),
            result["pages_per_s"].as_f64().unwrap(),
        )
    };
    let charts = select(&dom, "svg:has(rect.bar)");
    assert_eq!(charts.len(), 4);
    for (chart, results) in charts.iter().zip(raced.results.chunks(4)) {
        let bars: Vec<ElementRef> = chart
            .select(&Selector::parse("rect.bar").unwrap())
            .collect();
        let shown: Vec<(String, f64)> = bars
            .iter()
            .map(|bar| {
                (
                    bar.attr("data-name").unwrap().to_owned(),
                    number(*bar, "data-value"),
                )
            })
            .collect();
        assert_eq!(shown, results.iter().map(speed).collect::<Vec<_>>());
        let longest = number(bars[0], "width") / number(bars[0], "data-value");
        for bar in &bars {
            let expected = number(*bar, "data-value") * longest;
            assert!(
                (number(*bar, "width") - expected).abs() < 0.02,
                "{}",
                bar.html()
            );
        }
    }

    // Throughput against workers: a line for each contender and latency, a point for each width.
    let mut points: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for point in select(&dom, "circle") {
        points
            .entry(point.attr("data-name").unwrap().to_owned())
            .or_default()
            .push(number(point, "data-value"));
    }
    let mut expected: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (name, pages_per_s) in raced.results.iter().map(speed) {
        expected.entry(name).or_default().push(pages_per_s);
    }
    assert_eq!(points, expected);

    // How a run of each went on: speed and memory, and at no time more memory than at its peak.
    let courses = select(&dom, "figure.course svg");
    assert_eq!(courses.len(), 4 * 2);
    for course in courses {
        let line = Selector::parse("polyline").unwrap();
        for line in course.select(&line) {
            let points = line.attr("points").unwrap();
            assert!(!points.is_empty() && !points.contains("NaN"), "{points}");
        }
        assert_eq!(course.select(&line).count(), 4);
    }
    let memory = select(&dom, "div:has(caption)")
        .into_iter()
        .filter(|table| table.inner_html().contains("Memory in MB when"));
    let mut cells = 0;
    for (table, results) in memory.zip(raced.results.chunks(4)) {
        let row = Selector::parse("tbody tr").unwrap();
        let cell = Selector::parse("td").unwrap();
        for (row, result) in table.select(&row).zip(results) {
            let peak = result["peak_mb"].as_f64().unwrap();
            for cell in row.select(&cell) {
                let memory: f64 = cell.inner_html().parse().unwrap();
                assert!(
                    memory > 1.0 && memory < peak * 1.3 + 2.0,
                    "{memory} of {peak}"
                );
                cells += 1;
            }
        }
    }
    assert_eq!(cells, 4 * 4 * 4, "four tables of four contenders");

    let lines = select(&dom, "figure:not(.course):has(figcaption) svg");
    assert_eq!(lines.len(), 16, "a timeline for each");
    for line in lines {
        let phase = Selector::parse("path.phase").unwrap();
        assert!(line.select(&phase).count() >= 3, "{}", line.html());
    }
    for picture in select(&dom, "svg") {
        assert_eq!(picture.attr("role"), Some("img"));
        for id in picture.attr("aria-labelledby").unwrap().split(' ') {
            let label = select(&dom, &format!("[id=\"{id}\"]"));
            assert!(
                label.len() == 1 && !label[0].inner_html().is_empty(),
                "{id}"
            );
        }
    }
    assert_eq!(select(&dom, "script, link, img, iframe").len(), 0);
    assert_eq!(
        select(&dom, "table").len(),
        2 + 4 * 3,
        "each picture's figures also as a table"
    );

    // What is not complained about must be a thing that would be.
    let text = fs::read_to_string(&page).unwrap();
    fs::write(
        &page,
        text.replace("</main>", "<img src=\"http://127.0.0.1:1/spy.png\"></main>"),
    )
    .unwrap();
    let spied = load(&page).unwrap().console;
    assert!(
        spied
            .iter()
            .any(|line| line.contains("Content Security Policy")),
        "{spied:?}"
    );
}
