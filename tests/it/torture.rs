//! Every fault at every request, and all of them at once.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use indexrank::job::exchange_rate;
use indexrank::pipeline::harvest::Company;
use indexrank::pipeline::{self, Widths};
use indexrank::replica::{Faults, Line, Market, Pages, Plan, SEED, Server, kinds};
use indexrank::results::ranking::{self, Figure, PeRange};
use indexrank::results::report;
use indexrank::source::Source;
use indexrank::telemetry::counters::Meter;
use indexrank::warc::reader::Archive;
use serde_json::Value;

use crate::support::{RANKINGS, Ran, files, indexrank, json, ledger};

const MEMORY: u64 = 128 << 20;
const QUICK: [&str; 4] = ["--retry-pause", "20", "--timeout", "1"];

fn server(companies: usize) -> Server {
    let pages = Pages::of_market(&Market::embedded(Some(companies), SEED));
    Server::start(pages, 0, Line::default(), None).unwrap()
}

fn plan(spec: &str, seed: u64) -> Plan {
    Plan::new(spec.parse::<Faults>().unwrap(), seed)
}

/// A run that has ended, and what it left.
struct Ended {
    ran: Ran,
    rankings: Vec<Option<String>>,
    report: Option<Value>,
    requests: u64,
}

/// Runs, and checks what holds for every run whatever went wrong.
fn run(server: &Server, what: &str, options: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let before = server.counts().requests;
    let started = Instant::now();
    let address = server.address();
    let ran = indexrank(folder.path(), &[&["--from", &*address], options].concat());
    assert!(started.elapsed() < Duration::from_secs(30), "{what}");
    let out = folder.path().join("rankings");
    let there = files(&out);
    let is_result = |name: &&String| name.ends_with(".json") || *name == "unfinished.warc";
    assert_eq!(
        there.iter().filter(is_result).count(),
        there.len(),
        "{what}: {there:?}"
    );
    let read = |name: &str| std::fs::read_to_string(Path::new(&out).join(name)).ok();
    let rankings: Vec<_> = RANKINGS.into_iter().map(read).collect();
    let report = matches!(ran.code, 0 | 3 | 6).then(|| json(&out.join("run.json")));
    if let Some(report) = &report {
        ledger(report);
        let peak = report["peak_memory_bytes"].as_u64().unwrap();
        assert!(peak < MEMORY, "{what}: {} MB", peak >> 20);
    } else {
        assert!(rankings.iter().all(Option::is_none), "{what}");
    }
    // Nothing of a page may reach the terminal but text.
    let is_plain = |text: &str| text.chars().all(|c| !c.is_control() || c == '\n');
    assert!(
        is_plain(&ran.stderr) && is_plain(&ran.stdout),
        "{what}: {:?}",
        ran.stderr
    );
    Ended {
        ran,
        rankings,
        report,
        requests: server.counts().requests - before,
    }
}

/// Kinds that do not pass, and those that spoil a page without anybody noticing that it is not the
/// page it should be; all others must leave no trace.
fn may_cost_a_page(kind: &str) -> bool {
    [
        "endless-head",
        "redirect-loop",
        "redirect-nowhere",
        "redirect:",
        "bomb",
        "huge",
        "challenge",
        "consent",
        "layout",
        "other-page",
        "growing",
        "404",
        "403",
        "encoding:",
    ]
    .iter()
    .any(|lasting| kind.starts_with(lasting))
}

/// Each kind of fault once, at each request in turn.
#[test]
fn every_fault_at_every_request() {
    const COMPANIES: usize = 5;
    let server = server(COMPANIES);
    let quiet = run(&server, "quiet", &QUICK);
    let mut without: HashMap<String, Vec<Option<String>>> = HashMap::new();
    for kind in kinds() {
        // Pauses of seconds, of which there is a test of their own, at two requests only.
        let step = if kind.starts_with("retry-after") {
            4
        } else {
            1
        };
        for at in (1..=quiet.requests).step_by(step) {
            let what = format!("{kind}@={at}");
            server.misbehave(plan(&what, 1));
            let ended = run(&server, &what, &QUICK);
            let (code, stderr) = (ended.ran.code, &ended.ran.stderr);
            assert!(
                ended.requests <= quiet.requests + 6,
                "{what}: {} requests",
                ended.requests
            );
            if !may_cost_a_page(&kind) {
                assert_eq!(code, 0, "{what}: {stderr}");
            }
            match code {
                // Without one figure, or with a company twice.
                0 if ["layout", "other-page", "growing"].contains(&&*kind) => {}
                0 => assert_eq!(ended.rankings, quiet.rankings, "{what}"),
                3 => {
                    let report = ended.report.unwrap();
                    assert_eq!(ledger(&report)[2], 1, "{what}");
                    let path = report["failures"][0]["path"].as_str().unwrap();
                    let expected = without.entry(path.to_owned()).or_insert_with(|| {
                        server.misbehave(plan(&format!("404@{path}"), 1));
                        run(&server, path, &QUICK).rankings
                    });
                    assert_eq!(ended.rankings, *expected, "{what}");
                }
                // The index, the rules or the rate.
                4..=6 => assert!(stderr.starts_with("indexrank: "), "{what}: {stderr}"),
                _ => panic!("{what}: {code} {stderr}"),
            }
        }
    }
}

/// Everything that a server can send to fill the memory, from half of the pages at once, to many
/// workers.
#[test]
fn a_hostile_server_does_not_fill_the_memory() {
    let server = server(300);
    let mixed = "huge@15%@/stocks/*,bomb@15%@/stocks/*,endless-head@10%@/stocks/*,charset:utf-16@10%@/stocks/*";
    for spec in [mixed, "huge@85%@/stocks/*"] {
        server.misbehave(plan(spec, 5));
        for workers in ["32", "128"] {
            let options = ["--workers", workers, "--retry-pause", "20"];
            let ended = run(&server, &format!("{spec}, {workers}"), &options);
            assert_eq!(ended.ran.code, 3, "{}", ended.ran.stderr);
            let report = ended.report.unwrap();
            assert!(ledger(&report)[2] > 60, "{report}");
        }
    }
}

/// Sixteen kinds of fault that pass, on a fifth of all first and second requests.
const CHAOS: [&str; 16] = [
    "503",
    "500",
    "429",
    "520",
    "reset",
    "reset-head",
    "reset-body",
    "close",
    "short",
    "cut",
    "bad-chunk",
    "no-last-chunk",
    "truncated-gzip",
    "plain-as-gzip",
    "fragment",
    "stall:0.05",
];

#[test]
fn chaos_costs_nothing_but_time() {
    let server = server(500);
    let quiet = run(&server, "quiet", &QUICK);
    let spec = CHAOS.map(|kind| format!("{kind}@1.25%#1-2")).join(",");
    for seed in 0..20 {
        server.misbehave(plan(&spec, seed));
        let ended = run(&server, &format!("seed {seed}"), &QUICK);
        assert_eq!(ended.ran.code, 0, "seed {seed}: {}", ended.ran.stderr);
        let report = ended.report.unwrap();
        assert_eq!(ledger(&report), [500, 500, 0, 0, 0], "seed {seed}");
        assert_eq!(ended.rankings, quiet.rankings, "seed {seed}");
        let retries = report["retries"].as_u64().unwrap();
        assert!(
            (60..=200).contains(&retries),
            "seed {seed}: {retries} retries"
        );
        assert_eq!(ended.requests, quiet.requests + retries, "seed {seed}");
    }
}

/// What is broken for good is missing, named with its reason, and the rest is exact.
#[test]
fn what_is_broken_for_good_is_missing_and_nothing_else() {
    let server = server(500);
    let spec = "404@1%@/stocks/*,encoding:br@1%@/stocks/*,bomb@1%@/stocks/*,redirect-nowhere@1%@/stocks/*,\
                redirect:http://localhost:1/@1%@/stocks/*";
    server.misbehave(plan(spec, 3));
    let folder = tempfile::tempdir().unwrap();
    let address = server.address();
    let kept = folder.path().join("kept.warc");
    let ran = indexrank(
        folder.path(),
        &["--from", &address, "--record", "kept.warc", "-v"],
    );
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let report = json(&folder.path().join("rankings/run.json"));
    let [listed, ok, failed, 0, 0] = ledger(&report) else {
        panic!("{report}")
    };
    assert!((10..=45).contains(&failed), "{failed}");
    assert_eq!((listed, ok), (500, 500 - failed));
    let failures = report["failures"].as_array().unwrap();
    let mut reasons: Vec<&str> = failures
        .iter()
        .map(|one| one["reason"].as_str().unwrap())
        .collect();
    for failure in failures {
        assert!(ran.stderr.contains(failure["address"].as_str().unwrap()));
    }
    reasons.sort();
    reasons.dedup();
    assert_eq!(
        reasons,
        [
            "gone",
            "offsite",
            "redirects",
            "too_large",
            "unsupported_encoding"
        ]
    );

    // The same from the market itself, without what is missing.
    let quiet = server_of_its_own();
    let widths = Widths {
        workers: 8,
        readers: 1,
    };
    let archive = Archive::open(&quiet.1).unwrap();
    let source = Source::archive(archive, widths.workers);
    let meter = Meter::default();
    let harvest = pipeline::run(&source, "s&p_500", widths, &meter).unwrap();
    let usd = exchange_rate::find(exchange_rate::RateChoice::OfDay(None), &source, &meter).unwrap();
    for figure in Figure::ALL {
        let there = |company: &Company| !failures.iter().any(|one| one["path"] == *company.path);
        let companies = harvest.companies.iter().filter(there);
        let places = ranking::ranking(companies, figure, Some(&usd), PeRange::Any, 10);
        let file = folder
            .path()
            .join("rankings")
            .join(report::file_name(figure));
        assert_eq!(
            std::fs::read(file).unwrap(),
            report::json(&places),
            "{figure:?}"
        );
    }
    assert!(kept.exists());
}

/// A recording of the market of 500.
fn server_of_its_own() -> (tempfile::TempDir, std::path::PathBuf) {
    let server = server(500);
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(
        folder.path(),
        &["--from", &server.address(), "-q", "--record", "quiet.warc"],
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let file = folder.path().join("quiet.warc");
    (folder, file)
}
