//! Where the pages of a race are: a server, an archive made from it, or a list of addresses.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use indexrank::pipeline::walker::walk;
use indexrank::telemetry::counters::Meter;
use tempfile::TempDir;
use url::Url;

use crate::child::Serving;
use crate::cli::{RaceArgs, WorkArg};
use crate::run::Server;
use crate::task::{Task, Work};

const INDEX: &str = "s&p_500";

/// Where the pages of a heat are and what is done with them.
pub struct Ground {
    pub latency_ms: u64,
    pub server: Option<Server>,
    work: Work,
    /// Addresses, where they are a list of the user's.
    addresses: Option<usize>,
    /// Holds lists and archives as long as they are needed.
    _folder: TempDir,
}

impl Ground {
    pub fn prepare(args: &RaceArgs, latency_ms: u64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let list = folder.path().join("addresses");
        if let Some(file) = &args.urls {
            let addresses = addresses(file)?;
            fs::write(&list, addresses.join("\n"))?;
            return Ok(Ground {
                latency_ms,
                server: None,
                work: Work::Visit { list },
                addresses: Some(addresses.len()),
                _folder: folder,
            });
        }
        let server = Server::start(&Serving {
            from: args.from.to_string(),
            companies: args.companies as usize,
            latency_ms,
            jitter_ms: args.jitter,
            bandwidth: args.bandwidth,
        })?;
        let index = INDEX.to_owned();
        let job = task(
            &server.address,
            Work::Job {
                index: index.clone(),
            },
            16,
        );
        let (server, work) = match args.work {
            WorkArg::Job => (Some(server), job.work),
            WorkArg::Io => {
                fs::write(&list, job.paths()?.join("\n"))?;
                (Some(server), Work::Fetch { list })
            }
            WorkArg::Cpu => {
                let archive = folder.path().join("pages.warc");
                job.record(INDEX, &archive)?;
                (None, Work::Read { index, archive })
            }
        };
        Ok(Ground {
            latency_ms,
            server,
            work,
            addresses: None,
            _folder: folder,
        })
    }

    /// What a contender is to do here.
    pub fn task(&self, workers: usize) -> Task {
        let site = self.server.as_ref().map_or("", |server| &server.address);
        task(site, self.work.clone(), workers)
    }

    /// What a user should know before other people's servers are asked.
    pub fn politeness(&self, entrants: usize, workers: u64, rounds: u32) -> Option<String> {
        let addresses = self.addresses?;
        let (runs, times) = match rounds {
            1 => ("one run".to_owned(), "--rounds asks for more"),
            many => (format!("up to {many} runs"), "--rounds asks for fewer"),
        };
        Some(format!(
            "{entrants} contenders ask {addresses} addresses, {workers} at the same time, {runs} each; {times}, --only names fewer contenders.\n\n"
        ))
    }
}

impl Task {
    /// Paths of everything an index lists.
    fn paths(&self) -> Result<Vec<String>> {
        let source = self.source().map_err(anyhow::Error::msg)?;
        let mut paths = Vec::new();
        walk(&source, INDEX, self.workers, &Meter::default(), |link| {
            paths.push(link.path);
            true
        })?;
        Ok(paths)
    }
}

fn task(site: &str, work: Work, workers: usize) -> Task {
    Task {
        name: String::new(),
        site: site.to_owned(),
        work,
        workers,
        trace: false,
        out: PathBuf::new(),
        fault: None,
    }
}

/// The addresses of a file, each once; empty lines and those that begin with # are left out.
fn addresses(file: &PathBuf) -> Result<Vec<String>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut addresses: Vec<String> = Vec::new();
    let text = text.trim_start_matches('\u{feff}');
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let address = Url::parse(line).ok();
        let Some(address) = address.filter(|url| matches!(url.scheme(), "http" | "https")) else {
            bail!(
                "{}, line {}: {line:?} is no address; give one a line, like https://example.com/",
                file.display(),
                at + 1
            );
        };
        addresses.push(address.into());
    }
    let mut seen = HashSet::new();
    addresses.retain(|address| seen.insert(address.clone()));
    if addresses.is_empty() {
        bail!("{} holds no address; give one a line", file.display());
    }
    Ok(addresses)
}
