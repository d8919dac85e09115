//! The real binary on whole markets: what must come out.

use std::fs;
use std::path::Path;

use indexrank::replica::{Market, SEED};
use serde_json::Value;

use crate::support::{
    MARKET, RANKINGS, Reply, TestServer, assert_expected_rankings, command, files, indexrank, json,
    ledger,
};

const ALL: [&str; 5] = [
    "growth.json",
    "pe.json",
    "potential_profit.json",
    "price.json",
    "run.json",
];

#[test]
fn the_embedded_market_gives_the_rankings_of_the_crawl() {
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
            "{expected} in\n{}",
            ran.stdout
        );
    }
}

#[test]
fn the_answer_does_not_depend_on_threads() {
    let mut tables = Vec::new();
    for (workers, readers) in [("1", "1"), ("2", "2"), ("7", "1"), ("64", "8")] {
        let folder = tempfile::tempdir().unwrap();
        let ran = indexrank(
            folder.path(),
            &[
                "--from",
                &MARKET.address(),
                "--workers",
                workers,
                "--readers",
                readers,
                "--table",
                "all.csv",
                "-q",
            ],
        );
        assert_eq!(
            (ran.code, &*ran.stdout, &*ran.stderr),
            (0, "", ""),
            "{workers} workers"
        );
        assert_expected_rankings(&folder.path().join("rankings"));
        tables.push(fs::read_to_string(folder.path().join("all.csv")).unwrap());
        let report = json(&folder.path().join("rankings/run.json"));
        assert_eq!(report["workers"].to_string(), workers);
        assert_eq!(report["readers"].to_string(), readers);
    }
    assert!(tables.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn the_table_has_every_company() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["all.csv", "all.ndjson"] {
        let ran = indexrank(
            folder.path(),
            &["--from", &MARKET.address(), "--table", file, "-q"],
        );
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    let csv = fs::read_to_string(folder.path().join("all.csv")).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 497);
    assert_eq!(
        lines[0],
        "code,name,path,price_usd,price_rub,pe,growth,low52,high52,potential_profit"
    );
    assert_eq!(
        lines[1],
        "A,Agilent Technologies Inc.,/stocks/a-stock,137.06,10505.66,30.82,12.31,112.47,179.57,59.66"
    );
    let ogn = lines.iter().find(|line| line.starts_with("OGN,")).unwrap();
    assert_eq!(
        *ogn,
        "OGN,Organon & Company,/stocks/ogn-stock,31.45,2410.65,,0,,,"
    );
    let codes: Vec<&str> = lines[1..]
        .iter()
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert!(codes.is_sorted());

    let ndjson = fs::read_to_string(folder.path().join("all.ndjson")).unwrap();
    let rows: Vec<Value> = ndjson
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 496);
    let ogn = rows.iter().find(|row| row["code"] == "OGN").unwrap();
    assert_eq!(
        ogn.to_string(),
        r#"{"code":"OGN","growth":0,"high52":null,"low52":null,"name":"Organon & Company","path":"/stocks/ogn-stock","pe":null,"potential_profit":null,"price_rub":2410.65,"price_usd":31.45}"#
    );
}

#[test]
fn rankings_of_other_lengths_and_of_positive_ratios() {
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(
        folder.path(),
        &[
            "--from",
            &MARKET.address(),
            "--top",
            "3",
            "--pe",
            "positive",
            "--out",
            "a/b",
        ],
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
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
fn json_prints_the_report_that_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(folder.path(), &["--from", &MARKET.address(), "--json"]);
    assert_eq!(ran.code, 0);
    assert_eq!(
        ran.stdout,
        fs::read_to_string(folder.path().join("rankings/run.json")).unwrap()
    );
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["source"], MARKET.address());
    assert_eq!(report["index"], "s&p_500");
    assert_eq!(
        report["rate"].to_string(),
        r#"{"date":"2022-02-04","nominal":1,"usd_rub":76.6501}"#
    );
    assert_eq!(report["missing"]["P/E"].as_array().unwrap().len(), 11);
    assert_eq!(
        report["missing"]["52 week range"].to_string(),
        r#"["BBWI","HON","OGN","STX"]"#
    );
    // 496 companies, eleven pages of the index, one file of rates, the robots' rules, page 1 again.
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
fn a_recording_gives_the_same_again() {
    let gone = "/stocks/mmm-stock";
    let cut = "/stocks/a-stock";
    let server = TestServer::start(
        Market::embedded(Some(60), SEED),
        move |path, before| match path {
            _ if path == gone => Some(Reply::status("404 Not Found")),
            _ if path == cut && before == 0 => Some(Reply::Page(b"<html>".to_vec())),
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
        for key in ["ledger", "missing", "notes", "rate"] {
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

/// An interrupted recording gives what it has, and says that it is not whole.
#[test]
fn a_torn_archive_is_used_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let whole = indexrank(
        folder.path(),
        &["--from", &MARKET.address(), "--record", "run.warc.gz", "-q"],
    );
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    let bytes = fs::read(folder.path().join("run.warc.gz")).unwrap();
    fs::write(
        folder.path().join("run.warc.gz"),
        &bytes[..bytes.len() * 9 / 10],
    )
    .unwrap();
    let torn = indexrank(folder.path(), &["--from", "run.warc.gz"]);
    assert_eq!(torn.code, 3, "{}", torn.stderr);
    assert!(
        torn.stderr
            .contains("warning: run.warc.gz cannot be read from byte"),
        "{}",
        torn.stderr
    );
    let report = json(&folder.path().join("rankings/run.json"));
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1);
    let [listed, ok, failed, ..] = ledger(&report);
    assert_eq!(listed, 496);
    assert!(ok > 400 && failed > 20, "{ok} and {failed}");
    assert!(
        report["failures"]
            .as_array()
            .unwrap()
            .iter()
            .all(|failure| failure["reason"] == "not_archived")
    );
}

/// Started, served and scraped as a user would do it.
#[test]
fn serve_says_where_it_is_and_serves_an_archive() {
    use std::io::{BufRead, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let recorded = indexrank(
        folder.path(),
        &["--from", &MARKET.address(), "--record", "all.warc.gz", "-q"],
    );
    assert_eq!(recorded.code, 0, "{}", recorded.stderr);
    for source in [
        &["--from", "all.warc.gz"][..],
        &["--companies", "700", "--seed", "7", "--latency", "1"],
    ] {
        let arguments = [&["serve"], source].concat();
        let mut serve = command(folder.path(), &arguments);
        let mut child = serve
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        assert!(
            address.starts_with("http://127.0.0.1:") && address.ends_with('\n'),
            "{address:?}"
        );
        let address = address.trim_end();
        for _ in 0..2 {
            let ran = indexrank(folder.path(), &["--from", address, "--out", "out", "-q"]);
            assert_eq!(ran.code, 0, "{}", ran.stderr);
            // Companies that are made up come near no top ten.
            assert_expected_rankings(&folder.path().join("out"));
        }
        let listed = json(&folder.path().join("out/run.json"))["ledger"]["listed"].clone();
        assert_eq!(listed, if source.len() == 2 { 496 } else { 700 });
        child.kill().unwrap();
        let log = child.wait_with_output().unwrap().stderr;
        assert!(String::from_utf8(log).unwrap().contains("1000 requests"));
    }
}

#[test]
fn a_market_of_any_size_is_the_same_for_the_same_seed() {
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
        assert_eq!(codes.len(), count, "every code is another one");
        let first = &one.companies()[0];
        assert_eq!(one.company_page(first), same.company_page(first));
        assert_ne!(one.company_page(first), other.company_page(first));
    }
}

/// A folder in use by nobody is left as it was by a run that fails, made new by one that does not.
#[test]
fn files_are_replaced_whole_and_readable_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rankings");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("price.json"), "old").unwrap();
    fs::write(out.join("mine.txt"), "kept").unwrap();
    let ran = indexrank(folder.path(), &["--from", &MARKET.address(), "-q"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_expected_rankings(&out);
    assert_eq!(fs::read_to_string(out.join("mine.txt")).unwrap(), "kept");
    assert_eq!(
        files(&out).len(),
        ALL.len() + 1,
        "nothing temporary is left"
    );
    #[cfg(unix)]
    assert_readable(&out.join("price.json"));
}

#[cfg(unix)]
fn assert_readable(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o600, 0o600);
    // 0600 would come from the temporary file; what the umask leaves of 0666 is right.
    let probe = file.with_extension("probe");
    fs::write(&probe, "").unwrap();
    assert_eq!(mode, fs::metadata(&probe).unwrap().permissions().mode());
}

/// Readers that lag: pages wait in a bounded number of hands, not in memory. Sixty pages of a
/// megabyte are all fetched in the time in which one reader reads a few of them.
#[test]
fn memory_is_bounded_when_readers_lag() {
    const MEGABYTE: usize = 1 << 20;
    let server = TestServer::start(crate::run::market(), |path, _| {
        if !path.starts_with("/stocks/") {
            return None;
        }
        // Without a plain shape it is read whole, element by element.
        let page = String::from_utf8(crate::run::page_of(path)).unwrap();
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
    // One page in the hands of each fetcher, two in the channel, one with the reader, as many
    // buffers that are empty, and what every run needs.
    let bound = (8 + 2 + 1 + 8 + 24) * MEGABYTE;
    assert!(peak < bound, "{} MB", peak / MEGABYTE);
}
