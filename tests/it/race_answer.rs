//! The answer of the subcommand `race`: its sentences, its bounds, its files after every condition, and its
//! board.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::interrupted::ended;
use crate::race::{race, result};
use crate::support::{files, json, signal};
use crate::terminal::Terminal;

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_indexrank"));
    command
        .args(["race", "--companies", "60"])
        .args(arguments)
        .current_dir(folder);
    command
}

fn answer(folder: &Path) -> Vec<String> {
    let sentences = json(&folder.join("race.json"))["answer"].clone();
    serde_json::from_value(sentences).unwrap()
}

#[test]
fn the_sentences_follow_the_tables_and_are_in_the_json_file() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--only", "pipeline,async,sequential", "--latency", "0,10"];
    let more = ["--workers", "4,16", "--rounds", "7", "--json", "race.json"];
    let output = command(folder.path(), &[&arguments[..], &more].concat())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    let sentences = answer(folder.path());
    assert!((5..=6).contains(&sentences.len()), "{sentences:?}");
    let end = sentences.join("\n") + "\n";
    assert!(stdout.ends_with(&end), "{}", stdout);
    for start in [
        "At 0 ms with ",
        "Threads or async: ",
        "Smallest number in flight",
        "CPU time per page",
    ] {
        assert!(
            sentences.iter().any(|one| one.starts_with(start)),
            "{sentences:?}"
        );
    }
    // Piped, stderr gets a line for each condition.
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 4, "{}", stderr);
    assert!(
        lines[3].starts_with("indexrank: 10 ms with 16 in flight: "),
        "{}",
        lines[3]
    );
    assert!(lines[3].ends_with("4 of 4 done"), "{}", lines[3]);
    // The baseline runs once for each latency.
    let report = json(&folder.path().join("race.json"));
    let results = report["results"].as_array().unwrap();
    let copied: Vec<&Value> = results
        .iter()
        .filter(|result| result["copied"] == true)
        .collect();
    assert_eq!(copied.len(), 2);
    for one in copied {
        assert_eq!(
            (&one["name"], &one["workers"]),
            (&"sequential".into(), &16.into())
        );
    }
}

/// No run of any contender takes less than the least possible time under its condition.
#[test]
fn nothing_is_faster_than_the_least_possible_time() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["--all", "--workers", "1,3,8,64", "--latency", "0,5"][..],
        &["--all", "--workers", "4", "--latency", "2", "--jitter", "8"],
        &["--only", "pipeline,async", "--bandwidth", "20"],
        &[
            "--all",
            "--work",
            "io",
            "--workers",
            "5",
            "--latency",
            "0,5",
        ],
        &["--all", "--work", "cpu"],
    ] {
        let raced = race(folder.path(), arguments);
        assert_eq!(raced.code, Some(0), "{}{}", raced.stdout, raced.stderr);
        for one in &raced.results {
            let least = one["least_possible_s"].as_f64().unwrap();
            let fastest = one["wall_s"]["min"].as_f64().unwrap();
            assert!(least > 0.0 && least <= fastest, "{arguments:?}: {one}");
        }
    }
}

#[test]
fn a_sweep_shows_each_contender_at_its_best() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--only",
        "pipeline,sequential",
        "--latency",
        "5",
        "--workers",
        "2,4,8,16",
    ];
    let raced = race(folder.path(), &arguments);
    let (_, best) = raced.stdout.split_once("each at its best: ").unwrap();
    assert!(best.contains("in flight"), "{best}");
    let of = |name: &str| best.lines().find(|line| line.contains(name)).unwrap();
    let in_flight = |name| {
        of(name)
            .split_whitespace()
            .find_map(|word| word.parse::<u64>().ok())
    };
    assert!(in_flight("pipeline") >= Some(8), "{best}");
    assert_eq!(in_flight("sequential"), Some(1), "{best}");
}

#[test]
fn all_tells_beforehand_how_long_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--all",
        "--only",
        "pipeline,async",
        "--latency",
        "0",
        "--rounds",
        "1",
    ];
    let output = command(folder.path(), &arguments).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("indexrank: the race of 2 contenders under 11 conditions takes about "),
        "{stderr}"
    );
    assert_eq!(
        String::from_utf8(output.stdout)
            .unwrap()
            .matches("Server waits")
            .count(),
        12
    );
}

#[test]
fn tables_fit_into_80_columns_unless_all_columns_are_requested() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--only", "pipeline,sequential"];
    let width = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
    let table = |raced: &str| raced.split_once("\n\n").unwrap().0.to_owned();
    let fits = table(&race(folder.path(), &arguments).stdout);
    assert!(width(&fits) <= 80 && fits.contains("CPU ms/page"), "{fits}");
    assert!(!fits.contains("MB/s"), "{fits}");
    let wide = table(&race(folder.path(), &[&arguments[..], &["--wide"]].concat()).stdout);
    assert!(width(&wide) > 80 && wide.contains("MB/s"), "{wide}");
}

/// Two conditions; the second takes over a second.
const SLOW: [&str; 10] = [
    "--only",
    "pipeline,async",
    "--workers",
    "4",
    "--latency",
    "0,100",
    "--rounds",
    "3",
    "--json",
    "race.json",
];

fn start(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = command(folder, arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn wait_for(file: &Path) {
    let started = Instant::now();
    while !file.exists() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "no {}",
            file.display()
        );
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn writes_all_files_when_stdout_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = command(folder.path(), &[&SLOW[..], &["--csv", "race.csv"]].concat())
        .stdout(full)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{stderr}");
    assert_eq!(
        stderr
            .matches("cannot write to stdout: No space left on device")
            .count(),
        1,
        "{stderr}"
    );
    assert_eq!(
        json(&folder.path().join("race.json"))["results"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    assert_eq!(files(folder.path()), ["race.csv", "race.json"]);
}

#[test]
fn writes_all_files_when_stdout_closes() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(folder.path(), &SLOW);
    drop(child.stdout.take());
    let (code, ran) = ended(child);
    assert_eq!(code, Some(0), "{}", ran.stderr);
    assert_eq!(
        json(&folder.path().join("race.json"))["results"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
}

/// Without stdout or files, the race ends after the first condition.
#[test]
fn a_race_without_a_reader_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(folder.path(), &SLOW[..8]);
    drop(child.stdout.take());
    let (code, ran) = ended(child);
    assert_eq!(code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains("2 of 2 done"), "{}", ran.stderr);
}

#[test]
fn an_unwritable_file_does_not_affect_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let child = start(
        folder.path(),
        &[&SLOW[..], &["--csv", "gone/race.csv"]].concat(),
    );
    wait_for(&folder.path().join("race.json"));
    wait_for(&folder.path().join("gone/race.csv"));
    fs::rename(folder.path().join("gone"), folder.path().join("kept")).unwrap();
    let (code, ran) = ended(child);
    assert_eq!(code, Some(7), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr.contains("cannot write gone/race.csv: "),
        "{}",
        ran.stderr
    );
    assert_eq!(
        ran.stdout.matches("Server waits").count(),
        2,
        "{}",
        ran.stdout
    );
    assert_eq!(
        json(&folder.path().join("race.json"))["results"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    // Those of the first condition.
    let rows = fs::read_to_string(folder.path().join("kept/race.csv")).unwrap();
    assert_eq!(rows.lines().count(), 1 + 2 * 3, "{rows}");
}

#[test]
fn a_signal_prints_and_writes_the_results_so_far() {
    for (number, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let folder = tempfile::tempdir().unwrap();
        let child = start(folder.path(), &SLOW);
        wait_for(&folder.path().join("race.json"));
        thread::sleep(Duration::from_millis(200));
        signal(&child, number);
        let signalled = Instant::now();
        let (_, ran) = ended(child);
        assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
        assert!(signalled.elapsed() < Duration::from_secs(30));
        let message = "interrupted at 100 ms with 4 in flight: 1 of 2 conditions complete";
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
        let sentences = answer(folder.path());
        assert!(
            !sentences.is_empty() && ran.stdout.ends_with(&(sentences.join("\n") + "\n")),
            "{}",
            ran.stdout
        );
        let results = json(&folder.path().join("race.json"))["results"]
            .as_array()
            .unwrap()
            .clone();
        assert_eq!(result(&results, "pipeline")["rounds"], 3);
        assert_eq!(files(folder.path()), ["race.json"]);
    }
}

/// The board has a line for each contender, fits into the terminal, and leaves nothing behind.
#[test]
fn the_board_shows_the_standings() {
    for columns in [130, 80, 40] {
        let folder = tempfile::tempdir().unwrap();
        let arguments = [
            "--only",
            "pipeline,async,sequential",
            "--latency",
            "20",
            "--workers",
            "8",
        ];
        let command = command(
            folder.path(),
            &[&arguments[..], &["--rounds", "3"]].concat(),
        );
        let mut terminal = Terminal::start(columns, command, true);
        let has_standing = |line: &str, name: &str| line.starts_with(name) && line.contains("1.");
        terminal.wait_until(|terminal| {
            let lines = terminal.own_lines();
            let row = |name: &str| lines.iter().any(|line| line.starts_with(name));
            let has_first = lines
                .iter()
                .any(|line| has_standing(line, "pipeline") || has_standing(line, "async"));
            row("sequential") && has_first
        });
        let board = terminal.own_lines();
        assert!(
            board[0].starts_with("20 ms with 8 in flight: condition 1 of"),
            "{board:#?}"
        );
        assert!(board.join(" ").contains(" left"), "{board:#?}");
        assert!(
            board.iter().any(|line| line.ends_with('…')),
            "no run is under way: {board:#?}"
        );
        assert!(
            board.iter().all(|line| line.chars().count() <= columns),
            "{board:#?}"
        );
        assert_eq!(
            board.iter().any(|line| line.contains("best")),
            columns > 40,
            "{board:#?}"
        );
        assert_eq!(terminal.finish(), 0);
        let left = terminal.own_lines();
        assert!(left[0].starts_with("Server waits 20 ms"), "{left:#?}");
        assert!(
            !left.iter().any(|line| line.contains("condition 1 of")),
            "{left:#?}"
        );
    }
}

#[test]
fn a_dumb_terminal_gets_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(
        folder.path(),
        &["--only", "pipeline", "--latency", "0", "--workers", "8"],
    );
    command.env("TERM", "dumb");
    let mut terminal = Terminal::start(100, command, false);
    assert_eq!(terminal.finish(), 0);
    let lines = terminal.own_lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].ends_with("1 of 1 done"), "{lines:#?}");
    assert!(!terminal.text().contains('\x1b'));
}

#[test]
fn a_narrow_terminal_gets_lines() {
    let folder = tempfile::tempdir().unwrap();
    let command = command(
        folder.path(),
        &["--only", "pipeline", "--latency", "0", "--workers", "8"],
    );
    let mut terminal = Terminal::start(30, command, false);
    assert_eq!(terminal.finish(), 0);
    let lines = terminal.own_lines();
    assert!(lines.join(" ").ends_with("1 of 1 done"), "{lines:#?}");
}

#[test]
fn help_lists_the_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_indexrank"))
        .args(["race", "--help"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    let codes: Vec<u8> = codes
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    assert_eq!(codes, [0, 2, 3, 7, 130, 143]);
}
