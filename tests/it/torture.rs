//! Whole runs against a server with faults: each kind at each request, and many at once.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use indexrank::job::exchange_rate::{self, RateChoice};
use indexrank::pipeline::index_walk::{IndexWalk, WalkMode};
use indexrank::pipeline::{self, PoolSizes, Walk, parse_company};
use indexrank::replica::{Faults, Line, Market, Pages, Plan, SEED, Server, kinds};
use indexrank::results::prices::Prices;
use indexrank::results::ranking::{self, Figure, PeRange};
use indexrank::results::report;
use indexrank::site::company::Company;
use indexrank::site::currency::Currency;
use indexrank::source::Source;
use indexrank::telemetry::counters::Counters;
use indexrank::warc::reader::Archive;
use serde_json::Value;

use crate::support::{RANKINGS, Ran, files, indexrank, json, ledger};

/// Peak memory that the README promises for any server.
const MAX_MEMORY: u64 = 128 << 20;
const QUICK: [&str; 4] = ["--retry-pause", "20", "--timeout", "1"];

fn server(companies: usize) -> Server {
    let pages = Pages::of_market(&Market::embedded(Some(companies), SEED));
    Server::start(pages, 0, Line::default(), None).unwrap()
}

fn plan(spec: &str, seed: u64) -> Plan {
    Plan::new(spec.parse::<Faults>().unwrap(), seed)
}

/// The result of one run.
struct Outcome {
    ran: Ran,
    /// The ranking files in the order of [`RANKINGS`].
    rankings: Vec<Option<String>>,
    /// `run.json`, if the exit code is 0, 3 or 6.
    report: Option<Value>,
    /// Requests that the server received.
    requests: u64,
}

/// Runs, and checks what holds for every run with any fault.
fn run(server: &Server, what: &str, options: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let requests_before = server.counts().requests;
    let started = Instant::now();
    let address = server.address();
    let ran = indexrank(folder.path(), &[&["--from", &*address], options].concat());
    assert!(started.elapsed() < Duration::from_secs(30), "{what}");
    let out = folder.path().join("rankings");
    let names = files(&out);
    let is_result = |name: &&String| name.ends_with(".json") || *name == "unfinished.warc";
    assert_eq!(
        names.iter().filter(is_result).count(),
        names.len(),
        "{what}: {names:?}"
    );
    let read = |name: &str| std::fs::read_to_string(Path::new(&out).join(name)).ok();
    let rankings: Vec<_> = RANKINGS.into_iter().map(read).collect();
    let report = matches!(ran.code, 0 | 3 | 6).then(|| json(&out.join("run.json")));
    if let Some(report) = &report {
        ledger(report);
        let peak = report["peak_memory_bytes"].as_u64().unwrap();
        assert!(peak < MAX_MEMORY, "{what}: {} MB", peak >> 20);
    } else {
        assert!(rankings.iter().all(Option::is_none), "{what}");
    }
    // No control character of a page may reach the terminal.
    let is_plain = |text: &str| text.chars().all(|c| !c.is_control() || c == '\n');
    assert!(
        is_plain(&ran.stderr) && is_plain(&ran.stdout),
        "{what}: {:?}",
        ran.stderr
    );
    Outcome {
        ran,
        rankings,
        report,
        requests: server.counts().requests - requests_before,
    }
}

/// Whether the run may lose a page to a fault of this kind. These faults are permanent, or replace the
/// page by one that looks valid. All other kinds must not change the rankings.
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
        "other-index",
        "layout",
        "other-page",
        "growing",
        "td-header",
        "extra-column",
        "absurd-rate",
        "long-row",
        "404",
        "403",
        "encoding:",
    ]
    .iter()
    .any(|lasting| kind.starts_with(lasting))
}

/// One fault a run: each kind at each request.
#[test]
fn handles_every_fault_at_every_request() {
    const COMPANIES: usize = 5;
    let server = server(COMPANIES);
    let quiet = run(&server, "quiet", &QUICK);
    let mut rankings_without: HashMap<String, Vec<Option<String>>> = HashMap::new();
    for kind in kinds() {
        // Pauses take seconds and have tests of their own, so only every fourth request is tried.
        let step = if kind.starts_with("retry-after") {
            4
        } else {
            1
        };
        for at in (1..=quiet.requests).step_by(step) {
            let what = format!("{kind}@={at}");
            server.misbehave(plan(&what, 1));
            let outcome = run(&server, &what, &QUICK);
            let (code, stderr) = (outcome.ran.code, &outcome.ran.stderr);
            assert!(
                outcome.requests <= quiet.requests + 6,
                "{what}: {} requests",
                outcome.requests
            );
            if !may_cost_a_page(&kind) {
                assert_eq!(code, 0, "{what}: {stderr}");
            }
            match code {
                // A figure is missing, or a company is listed twice.
                0 if ["layout", "growing"].contains(&kind.as_str()) => {}
                0 => assert_eq!(outcome.rankings, quiet.rankings, "{what}"),
                // A row of the index without a readable address is no failure of the ledger.
                3 if kind == "long-row" => {
                    assert_eq!(outcome.report.unwrap()["unread_rows"], 1, "{what}");
                }
                3 => {
                    let report = outcome.report.unwrap();
                    assert_eq!(ledger(&report)[2], 1, "{what}");
                    let path = report["failures"][0]["path"].as_str().unwrap();
                    let expected = rankings_without.entry(path.to_owned()).or_insert_with(|| {
                        server.misbehave(plan(&format!("404@{path}"), 1));
                        run(&server, path, &QUICK).rankings
                    });
                    assert_eq!(outcome.rankings, *expected, "{what}");
                }
                // The fault hit the index, robots.txt or the rate. With code 8, it hit the second look at
                // the index: that lists companies without pages.
                4..=6 | 8 => assert!(stderr.starts_with("indexrank: "), "{what}: {stderr}"),
                _ => panic!("{what}: {code} {stderr}"),
            }
        }
    }
}

/// Half of the pages or more are large in some way: huge bodies, gzip bombs, endless heads, UTF-16.
#[test]
fn limits_memory_against_a_hostile_server() {
    let server = server(300);
    let mixed = "huge@15%@/stocks/*,bomb@15%@/stocks/*,endless-head@10%@/stocks/*,charset:utf-16@10%@/stocks/*";
    for spec in [mixed, "huge@85%@/stocks/*"] {
        server.misbehave(plan(spec, 5));
        for workers in ["32", "128"] {
            let options = [
                "--workers",
                workers,
                "--retry-pause",
                "20",
                "--min-companies",
                "1",
            ];
            let outcome = run(&server, &format!("{spec}, {workers}"), &options);
            assert_eq!(outcome.ran.code, 3, "{}", outcome.ran.stderr);
            let report = outcome.report.unwrap();
            assert!(ledger(&report)[2] > 60, "{report}");
        }
    }
}

/// Faults that disappear when the request is retried. The test below spreads them over a fifth of all
/// first and second requests: 16 × 1.25 %.
const TRANSIENT: [&str; 16] = [
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
fn recovers_from_random_transient_faults() {
    let server = server(500);
    let quiet = run(&server, "quiet", &QUICK);
    let spec = TRANSIENT.map(|kind| format!("{kind}@1.25%#1-2")).join(",");
    for seed in 0..20 {
        server.misbehave(plan(&spec, seed));
        let outcome = run(&server, &format!("seed {seed}"), &QUICK);
        assert_eq!(outcome.ran.code, 0, "seed {seed}: {}", outcome.ran.stderr);
        let report = outcome.report.unwrap();
        assert_eq!(ledger(&report), [500, 500, 0, 0, 0], "seed {seed}");
        assert_eq!(outcome.rankings, quiet.rankings, "seed {seed}");
        let retries = report["retries"].as_u64().unwrap();
        assert!(
            (60..=200).contains(&retries),
            "seed {seed}: {retries} retries"
        );
        // Each of the eleven index pages that was retried gets a second look.
        let second_looks = outcome.requests - quiet.requests - retries;
        assert!(second_looks <= 11, "seed {seed}: {second_looks}");
    }
}

/// The report names each lost company with the reason, and the rankings of the others are exact.
#[test]
fn permanent_faults_cost_only_their_companies() {
    let server = server(500);
    let spec = "404@1%@/stocks/*,encoding:br@1%@/stocks/*,bomb@1%@/stocks/*,redirect-nowhere@1%@/stocks/*,\
                redirect:http://localhost:1/@1%@/stocks/*";
    server.misbehave(plan(spec, 3));
    let folder = tempfile::tempdir().unwrap();
    let address = server.address();
    let recording = folder.path().join("kept.warc");
    let from = ["--from", &*address, "--min-companies", "1"];
    let ran = indexrank(
        folder.path(),
        &[&from[..], &["--record", "kept.warc", "-v"]].concat(),
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
        .map(|failure| failure["reason"].as_str().unwrap())
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

    // Compute the expected rankings from a recording of the whole market, without the lost companies.
    let (_folder, quiet) = record_market();
    let sizes = PoolSizes {
        fetchers: 8,
        parsers: 1,
    };
    let archive = Archive::open(&quiet).unwrap();
    let source = Source::archive(archive.into(), sizes.fetchers);
    let counters = Counters::default();
    let walk = IndexWalk::new(&source, "s&p_500", WalkMode::Pages, &counters);
    let walk = Walk::Index(walk);
    let mut harvest = pipeline::run(
        walk,
        &source,
        sizes,
        &counters,
        |_, page, inflater, lane| parse_company(page, inflater, lane),
    )
    .unwrap();
    harvest.settle();
    let rates = exchange_rate::find(&RateChoice::OfDay(None), &source, &counters);
    let prices = Prices::new(
        &harvest.companies,
        rates.map_err(|error| error.to_string()),
        Currency::RUB,
    );
    for figure in Figure::ALL {
        let is_present = |company: &Company| {
            !failures
                .iter()
                .any(|failure| failure["path"] == *company.path)
        };
        let companies = harvest.companies.iter().filter(|one| is_present(one));
        let companies: Vec<Company> = companies.cloned().collect();
        let places = ranking::ranking(&companies, figure, &prices, PeRange::Any, 10);
        let file = folder.path().join("rankings").join(figure.file_name());
        assert_eq!(
            std::fs::read(file).unwrap(),
            report::json(&places),
            "{figure:?}"
        );
    }
    assert!(recording.exists());
}

/// Records the market of 500 companies; returns the folder and the file in it.
fn record_market() -> (tempfile::TempDir, std::path::PathBuf) {
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
