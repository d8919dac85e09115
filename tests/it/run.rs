//! A run of the real binary on a small market whose server fails, and what it must have left.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use indexrank::replica::{Market, SEED};

use crate::support::{RANKINGS, Ran, Reply, TestServer, files, indexrank, json, ledger};

pub type Fault = Box<dyn Fn() -> Reply + Send + Sync>;

pub const SIZE: usize = 60;
pub const COMPANY: &str = "/stocks/mmm-stock";
pub const RATES: &str = "/scripts/XML_daily.asp";
pub const INDEX_2: &str = "/index/components/s&p_500?p=2";

pub fn market() -> Market {
    Market::embedded(Some(SIZE), SEED)
}

pub fn page_of(path: &str) -> Vec<u8> {
    let market = market();
    let company = market
        .companies()
        .iter()
        .find(|company| company.path == path)
        .unwrap();
    market.company_page(company).into_bytes()
}

pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A run against a server with a fault, beside old rankings.
pub struct Run {
    pub folder: tempfile::TempDir,
    pub ran: Ran,
}

impl Run {
    pub fn new(server: &TestServer, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("rankings")).unwrap();
        for name in RANKINGS.into_iter().chain(["run.json"]) {
            fs::write(folder.path().join("rankings").join(name), "old").unwrap();
        }
        let ran = indexrank(
            folder.path(),
            &[&["--from", server.address()], more].concat(),
        );
        Run { folder, ran }
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join("rankings").join(name)).unwrap()
    }

    /// The run ended early with this code and these words, and changed nothing.
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
        let sentences = self
            .ran
            .stderr
            .lines()
            .filter(|line| line.starts_with("indexrank: "))
            .filter(|line| !line.contains("to go on from there: "));
        assert_eq!(sentences.count(), 1, "{}", self.ran.stderr);
        for name in RANKINGS.into_iter().chain(["run.json"]) {
            assert_eq!(self.read(name), "old", "{name}");
        }
        let mut there = files(&self.folder.path().join("rankings"));
        there.retain(|name| name != "unfinished.warc");
        assert_eq!(there.len(), 5, "{there:?}");
    }

    /// The run wrote its rankings, without the one company, for this reason.
    #[track_caller]
    pub fn assert_without_the_company(&self, reason: &str) {
        assert_eq!(self.ran.code, 3, "{}", self.ran.stderr);
        let report = json(&self.folder.path().join("rankings/run.json"));
        assert_eq!(ledger(&report), [SIZE as u64, SIZE as u64 - 1, 1, 0, 0]);
        assert_eq!(report["failures"][0]["path"], COMPANY);
        assert_eq!(report["failures"][0]["reason"], reason, "{report}");
        assert!(
            report["failures"][0]["address"]
                .as_str()
                .unwrap()
                .ends_with(COMPANY)
        );
        assert!(
            self.ran.stderr.contains("1 of 60 companies are missing"),
            "{}",
            self.ran.stderr
        );
        assert!(self.ran.stderr.contains(COMPANY));
        assert!(!self.read("price.json").contains("\"MMM\""));
    }

    /// The run has everything, as if nothing had happened.
    #[track_caller]
    pub fn assert_complete(&self, retries: u64) {
        assert_eq!(self.ran.code, 0, "{}", self.ran.stderr);
        let report = json(&self.folder.path().join("rankings/run.json"));
        assert_eq!(ledger(&report), [SIZE as u64, SIZE as u64, 0, 0, 0]);
        assert_eq!(report["retries"], retries);
        let quiet = Run::new(&TestServer::start(market(), |_, _| None), &[]);
        for name in RANKINGS {
            assert_eq!(self.read(name), quiet.read(name), "{name}");
        }
    }
}

/// A server that answers one path in its own way, always.
pub fn always(path: &'static str, reply: impl Fn() -> Reply + Send + Sync + 'static) -> TestServer {
    TestServer::start(market(), move |asked, _| (asked == path).then(&reply))
}

/// A server that answers one path in its own way the first time.
pub fn once(path: &'static str, reply: impl Fn() -> Reply + Send + Sync + 'static) -> TestServer {
    TestServer::start(market(), move |asked, before| {
        (asked == path && before == 0).then(&reply)
    })
}

pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html";
