//! Programs in the race (`--also`): their answers, what they leave in their folder and on stderr, and the
//! end of their processes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::race::{Raced, names, race, result};
use crate::support::{command, signal};

/// A program that does the job.
fn good() -> String {
    let program = env!("CARGO_BIN_EXE_indexrank");
    format!("{program} --from $INDEXRANK_SITE --out $INDEXRANK_OUT --quiet")
}

fn race_with(also: &str, options: &[&str]) -> Raced {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [&["--only", "pipeline,inline", "--also", also], options].concat();
    race(folder.path(), &arguments)
}

#[test]
fn disqualifies_faulty_programs_and_continues_with_the_others() {
    let good = good();
    for (command, reason) in [
        (
            "echo no such page >&2; exit 3".to_owned(),
            "failed with exit status: 3: no such page",
        ),
        (
            "yes | head -c 50000000 >&2; echo at last >&2; exit 3".to_owned(),
            "failed with exit status: 3: at last",
        ),
        ("kill -9 $$".to_owned(), "failed with signal: 9"),
        ("sleep 600".to_owned(), "timed out: killed after 12 s"),
        ("echo hi".to_owned(), "gave no answer: none of its rankings"),
        (
            format!("{good} --usd-rub 1"),
            "different answer: price.json, place 1: got ",
        ),
        (
            format!("{good} --top 9"),
            "different answer: price.json, place 10: got nothing, expected ",
        ),
        (
            format!("{good} --top 11"),
            "different answer: price.json has more than 10 places",
        ),
        (
            format!("{good} && rm $INDEXRANK_OUT/pe.json"),
            "different answer: pe.json is missing",
        ),
        (
            format!("{good} && echo oops > $INDEXRANK_OUT/pe.json"),
            "different answer: pe.json, place 1: got ",
        ),
        (
            format!("{good} && head -c 70000 /dev/zero > $INDEXRANK_OUT/pe.json"),
            "pe.json is over 64 KiB",
        ),
        (
            format!(
                "cp saved/*.json $INDEXRANK_OUT || {{ {good} && cp -r $INDEXRANK_OUT saved; }}"
            ),
            "sent 0 requests for 60 companies",
        ),
        (
            "cd $INDEXRANK_OUT; mkfifo price.json".to_owned(),
            "price.json in INDEXRANK_OUT is not a regular file",
        ),
        (
            format!("{good} && mkfifo $INDEXRANK_OUT/other"),
            "other in INDEXRANK_OUT is not a regular file",
        ),
        (
            format!("{good} && ln -sf /dev/zero $INDEXRANK_OUT/growth.json"),
            "growth.json in INDEXRANK_OUT is not a regular file",
        ),
    ] {
        let raced = race_with(&format!("mine={command}"), &["--run-timeout", "12"]);
        let output = format!("{command}: {}{}", raced.stdout, raced.stderr);
        assert_eq!(raced.code, Some(3), "{output}");
        let message = format!("mine is disqualified: {reason}");
        assert!(raced.stdout.contains(&message), "{message} in\n{output}");
        assert_eq!(names(&raced.results), ["inline", "mine", "pipeline"]);
        for result in &raced.results {
            let is_mine = result["name"] == "mine";
            assert_eq!(result["broken"].is_string(), is_mine, "{result}");
            assert_eq!(result["rounds"], if is_mine { 0 } else { 2 }, "{result}");
        }
    }
}

#[test]
fn runs_programs_with_their_number_in_flight() {
    let program = format!("{} --workers $INDEXRANK_IN_FLIGHT", good());
    let options = ["--workers", "3"];
    let raced = race_with(&format!("good={program}"), &options);
    assert_eq!(raced.code, Some(0), "{}", raced.stdout);
    let good = result(&raced.results, "good");
    // Two requests more than a contender: robots.txt, and index page 1 again.
    assert_eq!(good["requests"], 65.0);
    // And one for robots.txt.
    assert!(good["connections"].as_f64() <= Some(4.0), "{good}");
}

/// With a list of addresses, a program gives no answer that could be checked: it comes last.
#[test]
fn a_program_with_a_list_of_addresses_has_no_place() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("{}/stocks/mmm-stock\n", crate::support::MARKET.address());
    fs::write(folder.path().join("list"), address).unwrap();
    let arguments = [
        "--urls",
        "list",
        "--only",
        "sequential",
        "--also",
        "mine=true",
    ];
    let raced = race(folder.path(), &arguments);
    assert_eq!(raced.code, Some(0), "{}{}", raced.stdout, raced.stderr);
    let order: Vec<_> = raced.results.iter().map(|result| &result["name"]).collect();
    assert_eq!(order, ["sequential", "mine"]);
    let sentence = "mine has no place: nothing checks its answer\n";
    assert!(raced.stdout.contains(sentence), "{}", raced.stdout);
}

/// Whether a process with this text in its command line runs.
fn runs(text: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut command_lines =
        processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    command_lines.any(|line| memchr::memmem::find(&line, text.as_bytes()).is_some())
}

/// Waits until a process with this text in its command line runs.
fn wait_for(text: &str) {
    let started = Instant::now();
    while !runs(text) {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{text} never ran"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// Also one that has left its group and session, and whose parent has ended.
#[test]
fn ends_all_processes_of_a_program() {
    let leaves = |seconds: &str| {
        format!("setsid sh -c 'sleep {seconds} & sleep {seconds} &' && sleep {seconds} &")
    };
    for (seconds, rest, options) in [
        ("600.25", good(), &[][..]),
        ("600.5", "exit 1".to_owned(), &[][..]),
        (
            "600.75",
            "sleep 600.75".to_owned(),
            &["--run-timeout", "3"][..],
        ),
    ] {
        let raced = race_with(&format!("mine={} {rest}", leaves(seconds)), options);
        assert!(matches!(raced.code, Some(0 | 3)), "{}", raced.stderr);
        assert!(!runs(seconds), "sleep {seconds} runs after the race");
    }
}

#[test]
fn a_signal_to_the_race_ends_the_processes_of_a_program() {
    for (number, code, seconds) in [
        (Signal::SIGINT, 130, "601.25"),
        (Signal::SIGTERM, 143, "601.5"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let also = format!("mine=setsid sleep {seconds} & sleep {seconds}");
        let arguments = [
            "race",
            "--companies",
            "5",
            "--latency",
            "0",
            "--only",
            "inline",
            "--also",
            &also,
        ];
        let race = command(folder.path(), &arguments).spawn().unwrap();
        wait_for(&format!("sleep\0{seconds}"));
        signal(&race, number);
        let ended = race.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(code));
        assert!(!runs(seconds), "sleep {seconds} runs after {number}");
    }
}

/// On a machine without Python and Go.
#[test]
fn names_the_command_that_installs_a_missing_rival() {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    symlink("/bin/sh", bin.join("sh")).unwrap();
    for (name, install) in [
        ("python", "pip install aiohttp uvloop selectolax"),
        (
            "go",
            "apt-get install golang-go golang-github-puerkitobio-goquery-dev",
        ),
    ] {
        let race = race_without_tools(folder.path(), &bin, name);
        assert_eq!(race.status.code(), Some(2));
        let stderr = String::from_utf8_lossy(&race.stderr);
        let start = format!("indexrank: {name} cannot race on this machine: ");
        assert!(stderr.starts_with(&start), "{stderr}");
        let end = format!("not found; to install what it needs: {install}\n");
        assert!(stderr.ends_with(&end), "{stderr}");
    }
}

fn race_without_tools(folder: &Path, bin: &Path, name: &str) -> std::process::Output {
    let mut race: Command = command(folder, &["race", "--also", name]);
    race.env("PATH", bin).output().unwrap()
}

/// As after `sleep 600 & exec indexrank race`: its parent is the process that becomes the race.
#[test]
fn spares_processes_from_before_the_race() {
    let folder = tempfile::tempdir().unwrap();
    let race = format!(
        "sleep 603.25 >/dev/null 2>&1 & exec {} race --companies 5 --latency 0 --workers 2 --only inline --also left='sleep 603.5 & false'",
        env!("CARGO_BIN_EXE_indexrank")
    );
    let mut shell = Command::new("sh");
    let ended = shell
        .args(["-c", &race])
        .current_dir(folder.path())
        .output();
    assert_eq!(ended.unwrap().status.code(), Some(3));
    assert!(runs("sleep\x00603.25"));
    assert!(!runs("sleep\x00603.5"));
    let _ = Command::new("pkill").args(["-f", "sleep 603.25"]).status();
}

#[test]
fn a_signal_ends_the_preparation_of_a_rival() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    fs::write(&go, "#!/bin/sh\nsleep 604.25\n").unwrap();
    fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        folder.path().display(),
        std::env::var("PATH").unwrap()
    );
    let mut race = command(folder.path(), &["race", "--also", "go"]);
    let race = race.env("PATH", path).spawn().unwrap();
    wait_for("sleep\x00604.25");
    signal(&race, Signal::SIGTERM);
    assert_eq!(race.wait_with_output().unwrap().status.code(), Some(143));
    assert!(!runs("sleep\x00604.25"));
}
