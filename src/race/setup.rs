//! The setup of a round set: a server, an archive made from its pages, or a list of addresses.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Error, Result, bail};
use tempfile::TempDir;
use url::Url;

use crate::lists::addresses::{Addresses, List};
use crate::race::contenders::blocking_walk;
use crate::race::contenders::task::{Task, Work};
use crate::race::options::{RaceArgs, WorkArg};
use crate::race::run::child::ServeOptions;
use crate::race::run::server::Server;
use crate::race::tls::Certificates;
use crate::telemetry::counters::Counters;

const INDEX: &str = "s&p_500";
/// Maximum number of pages in flight while the setup fetches pages, before the first run.
const SETUP_WORKERS: usize = 16;

/// The source of the pages of a round set, and the work on them.
pub struct Setup {
    /// `None` for pages in memory and for addresses of the user.
    pub server: Option<Server>,
    work: Work,
    /// The authority to trust, of a race over TLS.
    authority: Option<PathBuf>,
    /// The number of addresses in the user's list.
    addresses: Option<usize>,
    /// Lists and archives. Deleted with this value.
    _folder: TempDir,
}

impl Setup {
    pub fn prepare(
        args: &RaceArgs,
        certificates: Option<&Certificates>,
        latency_ms: u64,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let list = folder.path().join("addresses");
        if let Some(file) = &args.urls {
            let addresses = read_addresses(file)?;
            fs::write(&list, addresses.join("\n"))?;
            return Ok(Setup {
                server: None,
                work: Work::Visit { list },
                authority: None,
                addresses: Some(addresses.len()),
                _folder: folder,
            });
        }
        let server = Server::start(&ServeOptions {
            from: args.from.to_string(),
            companies: args.companies() as usize,
            latency_ms,
            jitter_ms: args.jitter,
            bandwidth: args.bandwidth,
            certificate: certificates.map(Certificates::server),
        })?;
        let index = INDEX.to_owned();
        let authority = certificates.map(Certificates::authority);
        let work = Work::Job {
            index: index.clone(),
        };
        let job = task(&server.address, work, SETUP_WORKERS, authority);
        let (server, work) = match args.work {
            WorkArg::Job => (Some(server), job.work.clone()),
            WorkArg::Io => {
                fs::write(&list, company_paths(&job)?.join("\n"))?;
                (Some(server), Work::Fetch { list })
            }
            WorkArg::Cpu => {
                let archive = folder.path().join("pages.warc");
                job.record(INDEX, &archive)?;
                (None, Work::Read { index, archive })
            }
        };
        Ok(Setup {
            server,
            work,
            authority: job.authorities,
            addresses: None,
            _folder: folder,
        })
    }

    /// The task of each contender, without its name and output folder.
    pub fn task(&self, workers: usize) -> Task {
        let site = self.server.as_ref().map_or("", |server| &server.address);
        task(site, self.work.clone(), workers, self.authority.clone())
    }

    /// Announces the requests to servers of other people. `None` if the race has its own server.
    pub fn announcement(&self, participants: usize, workers: u64, rounds: u32) -> Option<String> {
        let addresses = self.addresses?;
        let (runs, change) = match rounds {
            1 => ("in one run".to_owned(), "more"),
            many => (format!("in up to {many} runs"), "fewer"),
        };
        Some(format!(
            "{participants} contenders request {addresses} addresses each {runs}, {workers} at a time. \
             Use --rounds for {change} runs and --only for fewer contenders.\n\n"
        ))
    }
}

/// The paths of all companies in the index.
fn company_paths(task: &Task) -> Result<Vec<Arc<str>>> {
    let source = task.source().map_err(anyhow::Error::msg)?;
    let mut paths = Vec::new();
    let counters = Counters::default();
    let walked = blocking_walk::walk(&source, INDEX, task.workers, &counters, |link| {
        paths.push(link.path);
        true
    });
    walked.map_err(anyhow::Error::msg)?;
    Ok(paths)
}

fn task(site: &str, work: Work, workers: usize, authorities: Option<PathBuf>) -> Task {
    Task {
        name: String::new(),
        site: site.to_owned(),
        work,
        workers,
        trace: false,
        out: PathBuf::new(),
        fault: None,
        authorities,
    }
}

/// The distinct addresses in a file, which may have ranges and sets like those of `fetch`.
fn read_addresses(file: &Path) -> Result<Vec<String>> {
    let list = List::read(file).map_err(Error::msg)?;
    let list = Addresses::new(Vec::new(), Some(list))?;
    let mut seen = HashSet::new();
    // As the other contenders spell them.
    let addresses = list
        .iter()
        .filter_map(|listed| Url::parse(&listed.address).ok());
    let addresses = addresses.map(String::from);
    let addresses: Vec<String> = addresses.filter(|one| seen.insert(one.clone())).collect();
    if addresses.is_empty() {
        bail!(
            "{} contains no addresses; write one address per line",
            file.display()
        );
    }
    Ok(addresses)
}
