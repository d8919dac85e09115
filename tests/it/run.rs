//! Test fixture: runs the binary against a test server with faults, and asserts on the outcome.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use indexrank::replica::{Market, SEED};

use crate::support::{RANKINGS, Ran, Reply, TestServer, files, indexrank, json, ledger};

pub type Fault = Box<dyn Fn() -> Reply + Send + Sync>;

/// Number of companies in the market of the test server.
pub const COMPANIES: usize = 60;
pub const COMPANY: &str = "/stocks/mmm-stock";
pub const RATES: &str = "/scripts/XML_daily.asp";
pub const INDEX_2: &str = "/index/components/s&p_500?p=2";

pub fn market() -> Market {
    Market::embedded(Some(COMPANIES), SEED)
}

/// The HTML of a company page of [`market`].
pub fn company_html(path: &str) -> Vec<u8> {
    let market = market();
    let company = market
        .companies()
        .iter()
        .find(|company| company.path == path)
        .unwrap();
    market.company_page(company).into_bytes()
}

/// The page without the addresses that it names, so that it may be the page of any company.
pub fn unnamed(html: &[u8]) -> Vec<u8> {
    let html = std::str::from_utf8(html).unwrap();
    html.replace("\"StockUrl\"", "\"Url\"")
        .replace("mymarkets?r=", "mymarkets?q=")
        .into_bytes()
}

pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A finished run. Its output folder started with files that contain `old`, so tests see which were
/// replaced.
pub struct Run {
    pub folder: tempfile::TempDir,
    pub ran: Ran,
}

impl Run {
    pub fn new(server: &TestServer, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("rankings")).unwrap();
        for name in RANKINGS.into_iter().chain(["run.json"]) {
            fs::write(folder.path().join("rankings").join(name), "old").unwrap();
        }
        let ran = indexrank(
            folder.path(),
            &[&["--from", server.address()], options].concat(),
        );
        Run { folder, ran }
    }

    /// The content of a file of the output folder.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join("rankings").join(name)).unwrap()
    }

    /// Asserts that the run failed with `code`, printed exactly one error that contains all of `words`,
    /// and left the results unchanged.
    #[track_caller]
    pub fn assert_failed(&self, code: i32, words: &[&str]) {
        assert_eq!(self.ran.code, code, "{}", self.ran.stderr);
        assert_eq!(self.ran.stdout, "");
        for word in words {
            assert!(
                self.ran.stderr.contains(word),
                "{word:?} in {}",
                self.ran.stderr
            );
        }
        let errors = self
            .ran
            .stderr
            .lines()
            .filter(|line| line.starts_with("indexrank: "))
            .filter(|line| !line.contains("to resume: "));
        assert_eq!(errors.count(), 1, "{}", self.ran.stderr);
        for name in RANKINGS.into_iter().chain(["run.json"]) {
            assert_eq!(self.read(name), "old", "{name}");
        }
        let mut names = files(&self.folder.path().join("rankings"));
        names.retain(|name| name != "unfinished.warc");
        let is_reported = [4, 5, 7, 8].contains(&code);
        assert_eq!(names.len(), 5 + usize::from(is_reported), "{names:?}");
        if is_reported {
            let failed = json(&self.folder.path().join("rankings/failed-run.json"));
            assert_eq!(failed["exit"], code);
        }
    }

    /// Asserts that only [`COMPANY`] is missing, with this reason.
    #[track_caller]
    pub fn assert_without_the_company(&self, reason: &str) {
        assert_eq!(self.ran.code, 3, "{}", self.ran.stderr);
        let report = json(&self.folder.path().join("rankings/run.json"));
        assert_eq!(
            ledger(&report),
            [COMPANIES as u64, COMPANIES as u64 - 1, 1, 0, 0]
        );
        assert_eq!(report["failures"][0]["path"], COMPANY);
        assert_eq!(report["failures"][0]["reason"], reason, "{report}");
        assert!(
            report["failures"][0]["address"]
                .as_str()
                .unwrap()
                .ends_with(COMPANY)
        );
        let warning = format!("1 of {COMPANIES} companies is missing");
        assert!(self.ran.stderr.contains(&warning), "{}", self.ran.stderr);
        assert!(self.ran.stderr.contains(COMPANY));
        assert!(!self.read("price.json").contains("\"MMM\""));
    }

    /// Asserts that the run ranked every company after this many retries. Its rankings must equal those
    /// of a run against a server without faults.
    #[track_caller]
    pub fn assert_complete(&self, retries: u64) {
        assert_eq!(self.ran.code, 0, "{}", self.ran.stderr);
        let report = json(&self.folder.path().join("rankings/run.json"));
        assert_eq!(
            ledger(&report),
            [COMPANIES as u64, COMPANIES as u64, 0, 0, 0]
        );
        assert_eq!(report["retries"], retries);
        let quiet = Run::new(&TestServer::start(market(), |_, _| None), &[]);
        for name in RANKINGS {
            assert_eq!(self.read(name), quiet.read(name), "{name}");
        }
    }
}

/// A server that always sends `reply` for one path.
pub fn always(path: &'static str, reply: impl Fn() -> Reply + Send + Sync + 'static) -> TestServer {
    TestServer::start(market(), move |requested, _| {
        (requested == path).then(&reply)
    })
}

/// A server that sends `reply` for the first request of one path.
pub fn once(path: &'static str, reply: impl Fn() -> Reply + Send + Sync + 'static) -> TestServer {
    TestServer::start(market(), move |requested, earlier| {
        (requested == path && earlier == 0).then(&reply)
    })
}

pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html";
