//! Words in a log of 1 GB, counted by the program's code and by ripgrep (`rg`) in turns:
//! `cargo bench --bench count`.
//! In another file: `cargo bench --bench count -- FILE [-i] WORD...`.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use indexrank::lists::count::Words;

/// Set in the process that counts once. Its time and memory are compared with those of a process of ripgrep.
const ONCE: &str = "INDEXRANK_BENCH_ONCE";

const ROUNDS: usize = 15;

const BYTES: u64 = 1_000_000_000;

/// What is compared. ripgrep counts lines, or words with `--count-matches`.
const CONTENDERS: [(&str, &[&str]); 5] = [
    ("indexrank", &[]),
    ("rg --count", &["--count"]),
    ("rg --count --no-mmap", &["--count", "--no-mmap"]),
    ("rg --count-matches", &["--count-matches"]),
    (
        "rg --count-matches --no-mmap",
        &["--count-matches", "--no-mmap"],
    ),
];

fn main() -> io::Result<()> {
    // Cargo adds `--bench`.
    let arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let arguments: Vec<String> = arguments.collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if env::var_os(ONCE).is_some() {
        return count_once(&arguments);
    }
    if !arguments.is_empty() {
        return compare(&arguments);
    }
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    write_log(&log)?;
    let log = log.to_str().expect("a path in UTF-8");
    compare(&[log, "ERROR"])?;
    compare(&[log, "-i", "error"])?;
    compare(&[log, "-i", "timeout"])?;
    compare(&[log, "страница"])?;
    compare(&[log, "-i", "страница"])
}

/// Counts in a file. Prints the number of words found, of characters, and the peak of the memory.
fn count_once(arguments: &[&str]) -> io::Result<()> {
    let (file, words) = arguments.split_first().expect("a file and words");
    let ignore_case = words.first() == Some(&"-i");
    let words = &words[usize::from(ignore_case)..];
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let words = Words::new(&words, ignore_case).expect("words");
    let count = words.count_file(Path::new(file), &|_| (), &|| false)?;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.map_or("unknown", str::trim);
    let all: u64 = count.counts.iter().sum();
    println!("{all} ({} characters, memory {peak})", count.chars);
    Ok(())
}

/// Runs the contenders in turns and prints the median of each.
fn compare(arguments: &[&str]) -> io::Result<()> {
    let (file, words) = arguments.split_first().expect("a file and words");
    let bytes = fs::metadata(file)?.len();
    println!("{} in {:.1} GB", words.join(" "), bytes as f64 / 1e9);
    let mut times = CONTENDERS.map(|_| Vec::new());
    let mut answers = CONTENDERS.map(|_| String::new());
    for _ in 0..ROUNDS {
        for (at, (_, flags)) in CONTENDERS.iter().enumerate() {
            let mut command = match flags {
                [] => once(arguments)?,
                flags => ripgrep(flags, file, words),
            };
            let start = Instant::now();
            let Ok(output) = command.output() else {
                continue;
            };
            times[at].push(start.elapsed());
            answers[at] = String::from_utf8_lossy(&output.stdout).into_owned();
        }
    }
    for (at, (name, _)) in CONTENDERS.iter().enumerate() {
        let Some(median) = median(&mut times[at]) else {
            println!("  {name:30} cannot be run");
            continue;
        };
        let speed = bytes as f64 / 1e9 / median.as_secs_f64();
        let answer = answers[at].trim();
        println!("  {name:30} {median:8.1?} {speed:5.1} GB/s  {answer}");
    }
    Ok(())
}

/// This bench in a process that counts once.
fn once(arguments: &[&str]) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(arguments).env(ONCE, "");
    Ok(command)
}

fn ripgrep(flags: &[&str], file: &str, words: &[&str]) -> Command {
    let mut command = Command::new("rg");
    command.args(flags).args(["--text", "--fixed-strings"]);
    for word in words {
        match *word {
            "-i" => command.arg("--ignore-case"),
            word => command.args(["-e", word]),
        };
    }
    command.arg(file);
    command
}

fn median(times: &mut [Duration]) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

/// Writes a log in which one line of 12 is an error, and one of 4 is in Russian.
fn write_log(path: &Path) -> io::Result<()> {
    const LEVELS: [&str; 12] = [
        "INFO", "INFO", "DEBUG", "INFO", "WARN", "INFO", "ERROR", "INFO", "DEBUG", "INFO", "DEBUG",
        "INFO",
    ];
    const EVENTS: [&str; 8] = [
        "request finished",
        "cache miss for key",
        "retrying after a timeout",
        "connection reset by peer",
        "страница получена",
        "parsed 42 rows",
        "Страница не изменилась",
        "slow query",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    let mut log = BufWriter::new(File::create(path)?);
    let mut written = 0;
    let mut line = Vec::new();
    while written < BYTES {
        line.clear();
        let at = written / 1_000_000;
        let level = random.choice(LEVELS).expect("a level");
        let event = random.choice(EVENTS).expect("an event");
        let (worker, id) = (random.u8(..64), random.u64(..));
        writeln!(
            line,
            "2026-11-26T15:{at:04}Z {level} [worker-{worker}] {event} id={id:016x}"
        )?;
        log.write_all(&line)?;
        written += line.len() as u64;
    }
    log.flush()
}
