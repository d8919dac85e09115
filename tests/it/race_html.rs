//! The HTML page of the subcommand `race`, loaded in a real browser.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::Browser;
use crate::race::{race, result};
use crate::support::{command, signal};

const MEASUREMENTS: &str = include_str!("page_measurements.js");
const OPEN_ALL: &str = "document.querySelectorAll('details').forEach(one => one.open = true)";
const LONG_NAME: &str = "a-program-of-the-user-whose-name-is-much-longer-than-any-contender's-name";

/// A race with a page.
struct Raced {
    folder: TempDir,
    results: Vec<Value>,
}

impl Raced {
    fn run(arguments: &[&str], code: i32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = [arguments, &["--html", "race.html"]].concat();
        let raced = race(folder.path(), &arguments);
        assert_eq!(raced.code, Some(code), "{}{}", raced.stdout, raced.stderr);
        Raced {
            folder,
            results: raced.results,
        }
    }

    fn page(&self) -> PathBuf {
        self.folder.path().join("race.html")
    }
}

/// Two latencies, two numbers in flight, one contender that crashes, one program with a long name.
fn four_conditions() -> Raced {
    let program = format!(
        "{LONG_NAME}={} --from $INDEXRANK_SITE --out $INDEXRANK_OUT --quiet",
        env!("CARGO_BIN_EXE_indexrank")
    );
    let arguments = [
        "--latency",
        "0,5",
        "--workers",
        "2,8",
        "--only",
        "pipeline,async,sequential,inline",
        "--fault",
        "inline=crashes",
        "--also",
        &program,
    ];
    Raced::run(&arguments, 3)
}

/// Charts show the numbers of the JSON file, in proportional lengths. The page requests nothing and
/// causes no console message.
#[test]
fn the_page_shows_the_results_of_the_json_file() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let raced = four_conditions();
    let page = raced.page();
    browser.load(&page, 1400, "light");
    check_first_words(&mut browser);
    check_charts(&mut browser, &raced.results);
    check_bars(&mut browser, &raced.results);
    check_styles(&mut browser);
    check_text_alternatives(&mut browser);
    check_time_axes(&mut browser);
    assert_eq!(browser.console, Vec::<String>::new());
    assert_eq!(browser.requests, [format!("file://{}", page.display())]);
    check_violations_are_seen(&mut browser, &page);
}

/// The answer comes first, then the circumstances.
fn check_first_words(browser: &mut Browser) {
    let classes = browser.evaluate(
        "[...document.querySelectorAll('main > section')].slice(0, 2).map(one => one.firstElementChild.localName)",
    );
    assert_eq!(classes, json!(["ul", "dl"]));
    let facts = "Object.fromEntries([...document.querySelectorAll('.facts div')].map(one => [...one.children].map(part => part.textContent)))";
    let facts = browser.evaluate(facts);
    let fact = |name: &str| facts[name].as_str().unwrap().to_owned();
    let command = fact("Command");
    assert!(
        command.starts_with("indexrank race --json race.json --companies 60 --rounds 2 --latency")
            && command.contains(" --also 'a-program-of-the-user-whose-name-is-much-longer-than-any-contender'\\''s-name=/"),
        "{command}"
    );
    assert_eq!(fact("Pages"), "60 companies of the embedded market");
    assert!(fact("Started").ends_with(" UTC"), "{facts}");
    assert!(fact("Machine").contains(" core"), "{facts}");
    if cfg!(target_os = "linux") {
        let load = fact("Load");
        let (load, _) = load.split_once(',').unwrap();
        assert!(load.parse::<f64>().is_ok_and(|load| load >= 0.0), "{load}");
    }
}

/// Name and value of each drawn mark.
fn shown(browser: &mut Browser, selector: &str) -> Vec<(String, f64)> {
    let expression = format!(
        "[...document.querySelectorAll('{selector}')].map(one => [one.dataset.name, one.dataset.value])"
    );
    let marks = browser.evaluate(&expression);
    let mark = |mark: &Value| {
        let value = mark[1].as_str().unwrap().parse().unwrap();
        (mark[0].as_str().unwrap().to_owned(), value)
    };
    marks.as_array().unwrap().iter().map(mark).collect()
}

/// The values of each name, by latency and number in flight.
fn by_name(marks: impl IntoIterator<Item = (String, f64)>) -> BTreeMap<String, Vec<f64>> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (name, value) in marks {
        values.entry(name).or_default().push(value);
    }
    values
}

fn name_of(result: &Value) -> String {
    result["name"].as_str().unwrap().to_owned()
}

/// Against the number in flight: a chart of time, of CPU time and of memory for each latency, a line for
/// each contender but `sequential`, and a mark for each number in flight.
fn check_charts(browser: &mut Browser, results: &[Value]) {
    for (at, pointer) in ["/wall_s/median", "/cpu_ms_per_page", "/peak_mb"]
        .iter()
        .enumerate()
    {
        let selector = format!(".charts figure:nth-child({}) .marker", at + 1);
        let marks = shown(browser, &format!("main > section > {selector}"));
        let expected = results.iter().filter_map(|result| {
            let value = result.pointer(pointer)?.as_f64()?;
            let is_drawn = result["name"] != "sequential";
            is_drawn.then(|| (name_of(result), value))
        });
        assert_eq!(by_name(marks), by_name(expected), "{pointer}");
    }
    let notes = browser.evaluate(
        "[...document.querySelectorAll('main > section > .note')].map(one => one.textContent)",
    );
    assert_eq!(notes.as_array().unwrap().len(), 2, "one for each latency");
    for note in notes.as_array().unwrap() {
        let start =
            "sequential is not in the charts, because it always has one page in flight: it takes ";
        let note = note.as_str().unwrap();
        assert!(note.starts_with(start), "{note}");
        assert!(note.contains(" ms of CPU time for a page, and "), "{note}");
    }
}

/// The rows of the bars of each condition.
const BARS: &str = "
    [...document.querySelectorAll('.condition')].map(one => [...one.querySelectorAll('.bars li')].map(row => {
        const bar = row.querySelector('.bar');
        return {
            name: row.firstChild.textContent,
            value: bar && Number(bar.dataset.value),
            length: bar && bar.getBoundingClientRect().width,
            words: row.querySelector('.words')?.textContent ?? null,
        };
    }))";

/// Bars have lengths in proportion to the median times. `sequential` has words instead of a bar.
fn check_bars(browser: &mut Browser, results: &[Value]) {
    browser.evaluate(OPEN_ALL);
    let conditions = browser.evaluate(BARS);
    let conditions = conditions.as_array().unwrap();
    assert_eq!(conditions.len(), 4);
    for (rows, results) in conditions.iter().zip(results.chunks(5)) {
        let rows = rows.as_array().unwrap();
        let mut scales = Vec::new();
        for timed in results.iter().filter(|result| !result["wall_s"].is_null()) {
            let row = result(rows, timed["name"].as_str().unwrap());
            if row["name"] == "sequential" {
                assert_eq!(row["words"], "not drawn on this scale");
            }
            // The program of the user starts so slowly that its bar may be left out, too.
            if row["words"].is_null() {
                let value = row["value"].as_f64().unwrap();
                assert_eq!(Some(value), timed["wall_s"]["median"].as_f64());
                scales.push(row["length"].as_f64().unwrap() / value);
            }
        }
        assert!(scales.len() >= 2, "{rows:?}");
        for scale in &scales {
            assert!((scale / scales[0] - 1.0).abs() < 0.01, "{scales:?}");
        }
    }
    let problems = "[...document.querySelectorAll('p.problem')].map(one => one.textContent)";
    let problem = "inline is disqualified: failed with signal: 6 (SIGABRT): no output on stderr";
    assert_eq!(browser.evaluate(problems), json!(vec![problem; 4]));
}

/// Each name has one colour, dash pattern and marker throughout the page, which no other name has.
fn check_styles(browser: &mut Browser) {
    let named = "
        [...document.querySelectorAll('.swatch.d0, .swatch.d1, .swatch.d2, .swatch.d3')]
            .map(one => [one.parentElement.textContent, one.querySelector('.line'), one.querySelector('.marker')])
            .map(([name, line, marker]) => [name, [
                getComputedStyle(line).stroke, getComputedStyle(line).strokeDasharray, marker.getAttribute('d'),
            ].join()])";
    let lines = "
        [...document.querySelectorAll('.series')]
            .map(one => [one.querySelector('.line'), one.querySelector('.marker')])
            .map(([line, marker]) => [marker.dataset.name, [
                getComputedStyle(line).stroke, getComputedStyle(line).strokeDasharray,
            ].join()])";
    let mut styles: BTreeMap<String, String> = BTreeMap::new();
    for pair in browser.evaluate(named).as_array().unwrap() {
        let (name, style) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        let known = styles.entry(name.to_owned()).or_insert(style.to_owned());
        assert_eq!(known, style, "{name}");
    }
    let distinct: BTreeSet<&String> = styles.values().collect();
    assert_eq!((styles.len(), distinct.len()), (5, 5), "{styles:?}");
    for pair in browser.evaluate(lines).as_array().unwrap() {
        let (name, style) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        assert!(styles[name].starts_with(style), "{name}: {style}");
    }
}

/// Each picture has a name for screen readers or is hidden from them; its numbers are text elsewhere.
/// Each column and each row of a table has a header.
fn check_text_alternatives(browser: &mut Browser) {
    let unnamed = "
        [...document.querySelectorAll('svg, [role=img]')].filter(one => {
            if (one.closest('[aria-hidden=true]')) return false;
            const ids = ['aria-labelledby', 'aria-describedby'].flatMap(name => one.getAttribute(name)?.split(' ') ?? []);
            const texts = ids.map(id => document.querySelectorAll(`[id=\"${id}\"]`))
                .map(found => found.length === 1 ? found[0].textContent : '');
            const isNamed = one.getAttribute('aria-label') || (texts.length === 2 && texts.every(text => text));
            return one.getAttribute('role') !== 'img' || !isNamed;
        }).map(one => one.outerHTML)";
    assert_eq!(browser.evaluate(unnamed), json!([]));
    let bare = "
        [...document.querySelectorAll('table')].filter(table => !table.caption
            || [...table.tHead.querySelectorAll('th')].some(head => !head.scope)
            || [...table.tBodies[0].rows].some(row => row.cells[0].scope !== 'row')
        ).map(one => one.outerHTML)";
    assert_eq!(browser.evaluate(bare), json!([]));
    let active = "document.querySelectorAll('script, link, img, iframe').length";
    assert_eq!(browser.evaluate(active), 0);
}

/// All timelines of a condition have one time axis, and `sequential` has none.
fn check_time_axes(browser: &mut Browser) {
    let axes = "
        [...document.querySelectorAll('.condition')].map(one => [...one.querySelectorAll('.axis')]
            .map(axis => [...axis.children].map(tick => [tick.textContent, tick.getAttribute('x')]).join()))";
    for axes in browser.evaluate(axes).as_array().unwrap() {
        let axes = axes.as_array().unwrap();
        assert_eq!(axes.len(), 2, "pipeline and async");
        assert_eq!(axes[0], axes[1]);
    }
    let phases = "
        [...document.querySelectorAll('.bands')].map(one => one.querySelectorAll('.phase').length)";
    for phases in browser.evaluate(phases).as_array().unwrap() {
        assert!(phases.as_u64() >= Some(3), "{phases}");
    }
}

/// Without this check, an empty console could mean that the browser reports nothing at all.
fn check_violations_are_seen(browser: &mut Browser, page: &Path) {
    let text = fs::read_to_string(page).unwrap();
    let image = "<img src=\"http://127.0.0.1:1/spy.png\"></main>";
    fs::write(page, text.replace("</main>", image)).unwrap();
    browser.load(page, 1400, "light");
    let console = &browser.console;
    assert!(
        console
            .iter()
            .any(|line| line.contains("Content Security Policy")),
        "{console:?}"
    );
}

fn assert_looks_right(browser: &mut Browser, page: &Path) {
    for width in [400, 800, 1400] {
        for scheme in ["light", "dark"] {
            browser.load(page, width, scheme);
            for state in ["folded", "open"] {
                let problems = browser.evaluate(MEASUREMENTS);
                assert_eq!(problems, json!([]), "{width} px, {scheme}, {state}");
                browser.evaluate(OPEN_ALL);
            }
        }
    }
}

/// At three widths, light and dark, folded and open: the page is no wider than the window, no text
/// overlaps another or leaves its picture, and everything has contrast.
#[test]
fn the_page_fits_every_window() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    assert_looks_right(&mut browser, &four_conditions().page());
    let one = ["--latency", "0", "--only", "inline,sequential"];
    assert_looks_right(&mut browser, &Raced::run(&one, 0).page());
    let alone = ["--work", "cpu", "--workers", "1,2", "--only", "sequential"];
    assert_looks_right(&mut browser, &Raced::run(&alone, 0).page());
    check_faults_are_seen(&mut browser);
}

/// Without this check, an empty list of problems could mean that nothing is measured.
fn check_faults_are_seen(browser: &mut Browser) {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("faulty.html");
    let faulty = "
        <style>* { margin: 0 } .line { stroke: #eee }</style>
        <p style='width: 3000px'>wide</p>
        <p style='position: absolute; top: 4px'>covers</p>
        <p style='color: #999'>pale</p>
        <svg width='99'><text x='60' y='20'>far too long</text><path class='line' d='M0 0H9'/></svg>";
    fs::write(&page, faulty).unwrap();
    browser.load(&page, 400, "light");
    let problems = browser.evaluate(MEASUREMENTS).to_string();
    for problem in [
        "the page is 3000 px wide",
        "only 4 pieces of text found",
        "overlaps",
        "leaves its picture",
        "pale\\\" has a contrast of 2.8",
        "has a contrast of 1.1",
    ] {
        assert!(problems.contains(problem), "{problem} in {problems}");
    }
}

/// Six conditions fit on three screens while folded. A click opens and closes a section. Without
/// charts over several numbers in flight, the first condition is open.
#[test]
fn sections_fold() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let six = [
        "--latency",
        "0,5",
        "--workers",
        "2,4,8",
        "--only",
        "pipeline,async,sequential,inline",
    ];
    let six = Raced::run(&six, 0);
    browser.load(&six.page(), 1400, "light");
    let height = "document.documentElement.scrollHeight";
    let folded = browser.evaluate(height).as_u64().unwrap();
    assert!((900..=3 * 900).contains(&folded), "{folded} px");
    let click = "document.querySelector('.condition > summary').click()";
    for is_open in [false, true, false] {
        let shown = browser.evaluate(height).as_u64().unwrap();
        assert_eq!(shown > folded, is_open, "{shown} px");
        browser.evaluate(click);
    }
    browser.load(&six.page(), 1400, "light");
    browser.evaluate(OPEN_ALL);
    assert!(browser.evaluate(height).as_u64().unwrap() > 2 * folded);

    let one = Raced::run(&["--latency", "0,5", "--only", "pipeline,inline"], 0);
    browser.load(&one.page(), 1400, "light");
    let open = "[...document.querySelectorAll('.condition')].map(one => one.open)";
    assert_eq!(browser.evaluate(open), json!([true, false]));
}

/// The page after the first condition has no section for latencies without results.
#[test]
fn an_early_page_shows_the_latencies_with_results() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = "race --companies 60 --rounds 2 --only pipeline --latency 0,300 --workers 2,4 --html race.html";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let mut race = command(folder.path(), &arguments);
    let race = race.stdout(Stdio::null()).stderr(Stdio::null());
    let mut race = race.spawn().unwrap();
    let file = folder.path().join("race.html");
    let started = Instant::now();
    let page = loop {
        if let Ok(page) = fs::read_to_string(&file) {
            break page;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "no page");
        thread::sleep(Duration::from_millis(5));
    };
    assert!(page.contains("<h2>Server waits 0 ms</h2>"), "{page}");
    assert!(!page.contains("300 ms</h2>"), "{page}");
    signal(&race, Signal::SIGTERM);
    race.wait().unwrap();
}
