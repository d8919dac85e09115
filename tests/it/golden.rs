//! The real binary on whole markets: rankings, tables, reports, recordings and memory.

use std::fs;
use std::path::Path;

use indexrank::replica::{Market, SEED};
use serde_json::Value;

use crate::support::{
    MARKET, RANKINGS, Ran, Reply, TestServer, assert_expected_rankings, files, indexrank, json,
    json_lines, ledger, start_serve,
};

/// The files that a run writes into its output folder.
const ALL: [&str; 5] = [
    "growth.json",
    "pe.json",
    "potential_profit.json",
    "price.json",
    "run.json",
];

/// Runs the binary on the shared market with these options; the run must succeed.
#[track_caller]
fn rank_market(folder: &Path, options: &[&str]) -> Ran {
    let address = MARKET.address();
    let ran = indexrank(folder, &[&["--from", &*address], options].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran
}

#[test]
fn ranks_the_embedded_market_like_the_crawl() {
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(folder.path(), &["--from", "replica"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let out = folder.path().join("rankings");
    assert_eq!(files(&out), ALL);
    assert_expected_rankings(&out);
    let report = json(&out.join("run.json"));
    assert_eq!(ledger(&report), [496, 496, 0, 0, 0]);
    for expected in [
        "NVR Inc.",
        "400,233.10",
        "-893.45",
        "200.87",
        "496.61",
        "1 USD = 76.6501 RUB, Bank of Russia, 2022-02-04",
        "496 companies in",
        "32 workers",
        "files in rankings",
    ] {
        assert!(
            ran.stdout.contains(expected),
            "no {expected:?} in\n{}",
            ran.stdout
        );
    }
}

#[test]
fn results_do_not_depend_on_thread_counts() {
    let mut tables = Vec::new();
    for (workers, readers) in [("1", "1"), ("2", "2"), ("7", "1"), ("64", "8")] {
        let folder = tempfile::tempdir().unwrap();
        let threads = ["--workers", workers, "--readers", readers];
        let ran = rank_market(
            folder.path(),
            &[&threads[..], &["--table", "all.csv", "-q"]].concat(),
        );
        assert_eq!((&*ran.stdout, &*ran.stderr), ("", ""), "{workers} workers");
        assert_expected_rankings(&folder.path().join("rankings"));
        tables.push(fs::read_to_string(folder.path().join("all.csv")).unwrap());
        let report = json(&folder.path().join("rankings/run.json"));
        assert_eq!(report["workers"].to_string(), workers);
        assert_eq!(report["readers"].to_string(), readers);
    }
    assert!(tables.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn writes_every_company_into_the_table() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["all.csv", "all.ndjson"] {
        rank_market(folder.path(), &["--table", file, "-q"]);
    }
    let csv = fs::read_to_string(folder.path().join("all.csv")).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 497);
    assert_eq!(
        lines[0],
        "code,name,path,currency,as_of,price,price_rub,pe,growth,low52,high52,potential_profit,schema"
    );
    assert_eq!(
        lines[1],
        "A,Agilent Technologies Inc.,/stocks/a-stock,USD,2022-01-28,137.06,10505.66,30.82,12.31,112.47,179.57,59.66,1"
    );
    let ogn = lines.iter().find(|line| line.starts_with("OGN,")).unwrap();
    assert_eq!(
        *ogn,
        "OGN,Organon & Company,/stocks/ogn-stock,USD,14:43:29,31.45,2410.65,,0,,,,1"
    );
    let codes: Vec<&str> = lines[1..]
        .iter()
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert!(codes.is_sorted());

    let ndjson = fs::read_to_string(folder.path().join("all.ndjson")).unwrap();
    let rows = json_lines(&ndjson);
    assert_eq!(rows.len(), 496);
    let ogn = rows.iter().find(|row| row["code"] == "OGN").unwrap();
    assert_eq!(
        ogn.to_string(),
        r#"{"as_of":"14:43:29","code":"OGN","currency":"USD","growth":0,"high52":null,"low52":null,"name":"Organon & Company","path":"/stocks/ogn-stock","pe":null,"potential_profit":null,"price":31.45,"price_rub":2410.65,"schema":1}"#
    );
    // The parsed row is sorted; the written one has the columns of the CSV.
    let keys: Vec<&str> = ndjson.lines().next().unwrap().split('"').collect();
    let keys = keys.windows(2).filter(|pair| pair[1].starts_with(':'));
    let keys: Vec<&str> = keys.map(|pair| pair[0]).collect();
    assert_eq!(keys.join(","), lines[0]);
}

#[test]
fn limits_rankings_to_top_and_positive_pe() {
    let folder = tempfile::tempdir().unwrap();
    rank_market(
        folder.path(),
        &["--top", "3", "--pe", "positive", "--out", "a/b"],
    );
    let pe = json(&folder.path().join("a/b/pe.json"));
    assert_eq!(
        pe.to_string(),
        r#"[{"P/E":4.43,"code":"VTRS","name":"Viatris Inc Registered Shs"},{"P/E":4.92,"code":"NUE","name":"Nucor Corp."},{"P/E":5.17,"code":"LYB","name":"Lyondellbasell Industries N.V."}]"#
    );
    assert_eq!(
        json(&folder.path().join("a/b/growth.json"))
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn json_prints_the_written_report() {
    let folder = tempfile::tempdir().unwrap();
    let ran = rank_market(folder.path(), &["--json"]);
    assert_eq!(
        ran.stdout,
        fs::read_to_string(folder.path().join("rankings/run.json")).unwrap()
    );
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(
        ran.stdout.starts_with("{\n  \"schema\": 1,\n"),
        "{}",
        ran.stdout
    );
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["source"], MARKET.address());
    assert_eq!(report["index"], "s&p_500");
    assert_eq!(
        report["rates"].to_string(),
        r#"[{"currency":"USD","date":"2022-02-04","nominal":1,"value":76.6501}]"#
    );
    assert_eq!(report["price_currency"], "RUB");
    assert_eq!(report["as_of"], "2022-01-28");
    assert_eq!(report["warnings"].to_string(), "[]");
    assert_eq!(report["missing"]["P/E"].as_array().unwrap().len(), 11);
    assert_eq!(
        report["missing"]["52 week range"].to_string(),
        r#"["BBWI","HON","OGN","STX"]"#
    );
    // 496 company pages, 11 index pages, the rates, robots.txt, and index page 1 once more.
    assert_eq!(report["requests"], 510);
    assert_eq!(report["retries"], 0);
    assert!(report["bytes_decoded"].as_u64() > report["bytes_on_the_wire"].as_u64());
    for key in ["started", "finished"] {
        assert!(report[key].as_str().unwrap().ends_with('Z'), "{key}");
    }
    let latency =
        ["p50", "p90", "p99", "max"].map(|key| report["latency_ms"][key].as_f64().unwrap());
    assert!(latency.is_sorted() && latency[0] > 0.0, "{latency:?}");
    for key in [
        "seconds",
        "pages_per_second",
        "cpu_seconds",
        "peak_memory_bytes",
    ] {
        assert!(report[key].as_f64().unwrap() > 0.0, "{key}");
    }
    let written: Vec<&str> = report["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file.as_str().unwrap())
        .collect();
    assert_eq!(
        written,
        [
            "price.json",
            "pe.json",
            "growth.json",
            "potential_profit.json",
            "run.json"
        ]
        .map(|name| format!("rankings/{name}"))
    );
}

#[test]
fn replays_a_recording_with_the_same_results() {
    let gone = "/stocks/mmm-stock";
    let cut_once = "/stocks/a-stock";
    let server = TestServer::start(
        Market::embedded(Some(60), SEED),
        move |path, before| match path {
            _ if path == gone => Some(Reply::status("404 Not Found")),
            _ if path == cut_once && before == 0 => Some(Reply::Page(b"<html>".to_vec())),
            _ => None,
        },
    );
    for name in ["run.warc", "run.warc.gz"] {
        let folder = tempfile::tempdir().unwrap();
        let first = indexrank(
            folder.path(),
            &[
                "--from",
                server.address(),
                "--record",
                name,
                "--out",
                "first",
            ],
        );
        let again = indexrank(folder.path(), &["--from", name, "--out", "again"]);
        assert_eq!(
            (first.code, again.code),
            (3, 3),
            "{}{}",
            first.stderr,
            again.stderr
        );
        for ranking in RANKINGS {
            let bytes = |run: &str| fs::read(folder.path().join(run).join(ranking)).unwrap();
            assert_eq!(bytes("first"), bytes("again"), "{ranking}");
        }
        let [first, again] =
            ["first", "again"].map(|run| json(&folder.path().join(run).join("run.json")));
        assert_eq!(ledger(&first), [60, 59, 1, 0, 0]);
        for key in ["ledger", "missing", "notes", "rates", "rate_error", "as_of"] {
            assert_eq!(first[key], again[key], "{key}");
        }
        let failure = |report: &Value| {
            (
                report["failures"][0]["path"].clone(),
                report["failures"][0]["reason"].clone(),
            )
        };
        assert_eq!(failure(&first), failure(&again));
        assert_eq!(failure(&first), (gone.into(), "gone".into()));
        assert_eq!(files(folder.path()), ["again", "first", name]);
    }
}

/// A truncated recording, as an interrupted run may leave it.
#[test]
fn ranks_a_truncated_archive_and_warns() {
    let folder = tempfile::tempdir().unwrap();
    rank_market(folder.path(), &["--record", "run.warc.gz", "-q"]);
    let bytes = fs::read(folder.path().join("run.warc.gz")).unwrap();
    fs::write(
        folder.path().join("run.warc.gz"),
        &bytes[..bytes.len() * 9 / 10],
    )
    .unwrap();
    let from = ["--from", "run.warc.gz", "--min-companies", "1"];
    let ran = indexrank(folder.path(), &from);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("warning: run.warc.gz cannot be read from byte"),
        "{}",
        ran.stderr
    );
    let report = json(&folder.path().join("rankings/run.json"));
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1);
    let [listed, ok, failed, ..] = ledger(&report);
    assert_eq!(listed, 496);
    assert!(ok > 400 && failed > 20, "{ok} ok, {failed} failed");
    assert!(
        report["failures"]
            .as_array()
            .unwrap()
            .iter()
            .all(|failure| failure["reason"] == "not_archived")
    );
}

#[test]
fn serves_an_archive_and_a_generated_market() {
    let folder = tempfile::tempdir().unwrap();
    rank_market(folder.path(), &["--record", "all.warc.gz", "-q"]);
    for (options, companies) in [
        (&["--from", "all.warc.gz"][..], 496),
        (
            &["--companies", "700", "--seed", "7", "--latency", "1"],
            700,
        ),
    ] {
        let (mut server, address) = start_serve(folder.path(), options);
        for _ in 0..2 {
            let ran = indexrank(folder.path(), &["--from", &address, "--out", "out", "-q"]);
            assert_eq!(ran.code, 0, "{}", ran.stderr);
            // No generated company reaches a top ten.
            assert_expected_rankings(&folder.path().join("out"));
        }
        let listed = json(&folder.path().join("out/run.json"))["ledger"]["listed"].clone();
        assert_eq!(listed, companies);
        server.kill().unwrap();
        let log = server.wait_with_output().unwrap().stderr;
        assert!(String::from_utf8(log).unwrap().contains("1000 requests"));
    }
}

#[test]
fn the_same_seed_generates_the_same_market() {
    for (count, pages) in [(1, 1), (46, 1), (47, 2), (496, 11), (1000, 22), (5000, 109)] {
        let [one, same, other] = [1, 1, 2].map(|seed| Market::embedded(Some(count), seed));
        assert_eq!(one.companies().len(), count);
        assert_eq!(one.index_pages(), pages, "{count} companies");
        assert_eq!(one.companies(), same.companies());
        let mut codes: Vec<&str> = one
            .companies()
            .iter()
            .map(|company| &*company.code)
            .collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count, "all codes differ");
        let first = &one.companies()[0];
        assert_eq!(one.company_page(first), same.company_page(first));
        assert_ne!(one.company_page(first), other.company_page(first));
    }
}

#[test]
fn replaces_rankings_and_keeps_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rankings");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("price.json"), "old").unwrap();
    fs::write(out.join("mine.txt"), "kept").unwrap();
    rank_market(folder.path(), &["-q"]);
    assert_expected_rankings(&out);
    assert_eq!(fs::read_to_string(out.join("mine.txt")).unwrap(), "kept");
    assert_eq!(
        files(&out).len(),
        ALL.len() + 1,
        "no temporary file is left"
    );
    #[cfg(unix)]
    assert_default_permissions(&out.join("price.json"));
}

#[cfg(unix)]
fn assert_default_permissions(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o600, 0o600);
    // A result has 0666 minus the umask, like any created file, and not the 0600 of a temporary file.
    let probe = file.with_extension("probe");
    fs::write(&probe, "").unwrap();
    assert_eq!(mode, fs::metadata(&probe).unwrap().permissions().mode());
}

/// One parser is slower than eight fetchers, which must block instead of queueing pages in memory.
/// The server could send all sixty pages of 1 MiB while the parser parses a few.
#[test]
fn bounds_memory_while_parsers_lag() {
    const MEGABYTE: usize = 1 << 20;
    let server = TestServer::start(crate::run::market(), |path, _| {
        if !path.starts_with("/stocks/") {
            return None;
        }
        // The unquoted attribute defeats the scan, so the parser builds the dom of the whole page.
        let page = String::from_utf8(crate::run::company_html(path)).unwrap();
        let heavy = page
            .replace(
                "price-section__label\"",
                "price-section__label\" hidden=it's",
            )
            .replace("</body>", &format!("{}</body>", "<p>x</p>".repeat(10_000)));
        let padding = MEGABYTE.saturating_sub(heavy.len());
        Some(Reply::Page((heavy + &" ".repeat(padding)).into_bytes()))
    });
    let run = crate::run::Run::new(&server, &["--workers", "8", "--readers", "1"]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    let report = json(&run.folder.path().join("rankings/run.json"));
    let peak = report["peak_memory_bytes"].as_u64().unwrap() as usize;
    // A page for each of 8 fetchers, 2 in the channel, 1 in the parser, 8 empty buffers, and 24 MiB
    // that every run needs.
    let bound = (8 + 2 + 1 + 8 + 24) * MEGABYTE;
    assert!(peak < bound, "{} MiB", peak / MEGABYTE);
}
