//! Where a run gets its pages from, opened: a site with its client and journal, or an archive.

use std::mem;
use std::time::Duration;

use crate::exit::{Exit, Stop};
use crate::http::client::{Client, Options, ProxyChoice};
use crate::job::{Job, RetryTiming};
use crate::pipeline::walker;
use crate::replica::{self, Market};
use crate::source::retry::Retries;
use crate::source::robots::Robots;
use crate::source::{LIVE_PAGES, LIVE_RATES, Origin, Site, Source, is_loopback};
use crate::telemetry::usage;
use crate::warc::journal::{self, Identity, Journal};
use crate::warc::reader::Archive;
use crate::warc::writer::Checksum;

/// Files that are open beside the connections of workers and index pages: outputs, the journal, the
/// connection for the rates.
const OTHER_FILES: usize = 32;

/// The job with no more workers than there may be open connections, and a sentence if that is fewer
/// than were asked for.
pub fn within_open_files(job: &Job) -> (Job, Option<String>) {
    let mut job = job.clone();
    let limit = usage::open_files().unwrap_or(u64::MAX) as usize;
    // The embedded market has the other end of each connection.
    let ends = if job.origin == Origin::Replica { 2 } else { 1 };
    let possible = (limit.saturating_sub(OTHER_FILES) / ends).saturating_sub(walker::SIDE_BY_SIDE);
    if job.widths.workers <= possible.max(1) {
        return (job, None);
    }
    let asked = mem::replace(&mut job.widths.workers, possible.max(1));
    let workers = job.widths.workers;
    let why = format!(
        "{workers} workers instead of {asked}: this process may have {limit} files open (`ulimit -n`)"
    );
    (job, Some(why))
}

pub fn open_source(job: &Job) -> Result<Source, Stop> {
    let (pages, rates) = match &job.origin {
        Origin::Archive(path) => {
            let archive = Archive::open(path)
                .map_err(|error| Stop::new(Exit::Usage, format!("{error:#}")))?;
            return Ok(Source::archive(archive, job.widths.workers));
        }
        Origin::Live => (LIVE_PAGES.to_owned(), LIVE_RATES.to_owned()),
        Origin::Site(address) => (address.clone(), address.clone()),
        Origin::Replica => {
            let site = replica::Pages::of_market(&Market::embedded(None, replica::SEED));
            let server = replica::Server::start(site, 0, replica::Line::default(), None).map_err(
                |error| {
                    Stop::new(
                        Exit::Internal,
                        format!("the embedded market cannot listen on 127.0.0.1: {error}"),
                    )
                },
            )?;
            (server.address(), server.address())
        }
    };
    let proxy = match (&job.origin, &job.proxy) {
        (Origin::Replica, _) => ProxyChoice::Direct,
        // The environment's proxy is for the world outside.
        (Origin::Site(address), ProxyChoice::FromEnvironment) if is_loopback(address) => {
            ProxyChoice::Direct
        }
        (_, proxy) => proxy.clone(),
    };
    let client = Client::new(Options {
        // One for each worker and each index page beside them, and one for the rate.
        connections: job.widths.workers + walker::SIDE_BY_SIDE + 1,
        timeout: job.timeout,
        user_agent: job.user_agent.clone(),
        proxy,
        authorities: job.authorities.clone(),
    });
    let site = Site {
        client,
        pages,
        rates,
        journal: Some(open_journal(job)?),
    };
    let mut source = Source::site(site, job.widths.workers);
    if let Some(rps) = job.rps {
        source.gate.keep_apart(Duration::from_secs_f64(1.0 / rps));
    }
    let RetryTiming { seed, first_pause } = job.retry;
    source.retries = Retries::new(seed.unwrap_or_else(|| fastrand::u64(..)), first_pause);
    if !job.ignore_robots {
        source.robots = Robots::obeyed();
    }
    Ok(source)
}

fn open_journal(job: &Job) -> Result<Journal, Stop> {
    let identity = Identity(vec![
        (
            "software",
            concat!("indexrank/", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        ("source", job.origin.to_string()),
        ("index", job.index.clone()),
    ]);
    let checksum = match job.record {
        Some(_) => Checksum::Sha1,
        None => Checksum::Crc32,
    };
    let place = journal::place(&job.out, job.record.as_deref());
    Ok(match job.resume {
        Some(max_age) => Journal::resume(place, checksum, &identity, max_age)?,
        None => Journal::begin(place, checksum, &identity)?,
    })
}
