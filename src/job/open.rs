//! The beginning of a run: its outputs are staged, its source is opened.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::disk::commit::{self, Recovered};
use crate::disk::output::{NewFolders, OutputError};
use crate::disk::staging::StagedFile;
use crate::exit::Exit;
use crate::http::client::{Client, Options};
use crate::http::connections::MAX_RESPONSE;
use crate::http::proxy::ProxyChoice;
use crate::job::advice::Stop;
use crate::job::settings::{Access, Job, RetryTiming};
use crate::job::shards::SHARD;
use crate::job::{database, limits, shards, shell};
use crate::replica::{self, Market};
use crate::results::ranking::Figure;
use crate::results::write::{self, StagedResults};
use crate::site::paths::{LIVE_PAGES, LIVE_RATES};
use crate::source::origin::Origin;
use crate::source::retry::Retries;
use crate::source::robots::HostRules;
use crate::source::shard::Shard;
use crate::source::{Site, Source};
use crate::telemetry::counters::Counters;
use crate::telemetry::trace::Trace;
use crate::warc::journal::{Identity, Journal};
use crate::warc::writer::Checksum;
use crate::words;

/// Everything that a run needs.
pub struct Opened {
    pub source: Source,
    pub counters: Arc<Counters>,
    /// The warnings so far: after [`open`], at most the one about fewer workers than requested.
    pub warnings: Vec<String>,
    /// `None` once they are written.
    pub results: Option<StagedResults>,
    pub failed_run: StagedFile,
    /// Dropped last.
    _new_folders: NewFolders,
}

/// Lowers the number of workers in `job` to what the system allows, stages the outputs and opens the
/// source.
pub fn open(job: &mut Job, say: impl Fn(&str)) -> Result<Opened, Stop> {
    let warning = limits::fit(&job.access.origin, &mut job.sizes, job.outputs.count())?;
    if job.shard.is_some() {
        check_folder(&job.outputs.folder)?;
    }
    let staged = write::stage(&job.outputs, job.access.origin.archives())?;
    if let Some(log) = &job.outputs.log {
        job.log.open(log).map_err(OutputError::at(log))?;
    }
    if let Some(recovered) = &staged.recovered {
        let sentence = report_recovery(job, recovered)?;
        job.log.append(&sentence);
        say(&sentence);
    }
    let mut source = source(&job.access, job.sizes.fetchers, job.timeout, || {
        open_journal(job).map(Some)
    })?;
    // Last, because a file that it creates stays.
    database::try_out(job, &say)?;
    source.runs = job.shard.map_or(1, |shard| shard.of.get());
    if let Some(rps) = job.rps {
        source.limit_rate(rps);
    }
    let RetryTiming { seed, first_delay } = job.retry;
    source.retries = Retries::new(seed.unwrap_or_else(|| fastrand::u64(..)), first_delay);
    let trace = match job.outputs.trace {
        Some(_) => Trace::begin(),
        None => Trace::default(),
    };
    let counters = Arc::new(Counters {
        trace,
        ..Counters::default()
    });
    Ok(Opened {
        source,
        counters,
        warnings: warning.into_iter().collect(),
        results: Some(staged.results),
        failed_run: staged.failed_run,
        _new_folders: staged.new_folders,
    })
}

/// Fails if the folder has rankings: beside them, the report of a shard would look like theirs.
fn check_folder(folder: &Path) -> Result<(), Stop> {
    let rankings = Figure::ALL.map(|figure| folder.join(figure.file_name()));
    let Some(ranking) = rankings.iter().find(|ranking| ranking.exists()) else {
        return Ok(());
    };
    let message = format!(
        "{} is of a whole run; give the report of a shard another folder with --out",
        ranking.display()
    );
    Err(Stop::new(Exit::Usage, message))
}

/// A sentence about the files of an earlier run that were put in place. With `--resume` and no journal, it
/// is a [`Stop`] instead, with the exit code of that run: its journal has become its recording, so nothing
/// is left to fetch.
fn report_recovery(job: &Job, recovered: &Recovered) -> Result<String, Stop> {
    let mut sentence = format!(
        "the files of an earlier run are in place now: {}",
        commit::list(&recovered.new)
    );
    for (what, files) in [
        ("replaced by a later run", &recovered.replaced),
        (
            "lost, because the file or its folder is gone",
            &recovered.lost,
        ),
    ] {
        if !files.is_empty() {
            sentence += &format!("; {what}: {}", commit::list(files));
        }
    }
    if job.resume.is_some() && !job.outputs.journal().exists() {
        let exit = Exit::of_complete_run(recovered.exit);
        let mut message = format!("{sentence}; that run needed only this, so nothing was fetched");
        if let (Some(database), Some(record)) = (&job.outputs.database, &job.outputs.record) {
            message += &format!(
                "; {} lacks that run: run the command again with --from {}, without --record and --resume",
                database.display(),
                shell::quote(record.as_os_str())
            );
        }
        return Err(Stop::new(exit, message));
    }
    Ok(sentence)
}

/// Opens the source of a run or a check, for up to `connections` requests at a time. `timeout` is the
/// limit of one attempt. `journal` is called only for a site, before its first request.
pub fn source(
    access: &Access,
    connections: usize,
    timeout: Duration,
    journal: impl FnOnce() -> Result<Option<Journal>, Stop>,
) -> Result<Source, Stop> {
    let (pages, rates) = match &access.origin {
        archived @ (Origin::Archive(_) | Origin::Shards(_)) => {
            let archives = shards::open(archived.archives(), access.allow_missing)?;
            return Ok(Source::archive(archives, connections));
        }
        Origin::Live => (LIVE_PAGES.to_owned(), LIVE_RATES.to_owned()),
        Origin::Site(address) => (address.clone(), address.clone()),
        Origin::Replica => {
            let address = start_replica()?;
            (address.clone(), address)
        }
    };
    let client = Client::new(Options {
        connections,
        timeout: Some(timeout),
        max_response: MAX_RESPONSE,
        user_agent: access.user_agent.clone(),
        proxy: proxy(access, [&pages, &rates])?,
        authorities: access.authorities.clone(),
    });
    let site = Site {
        client,
        pages,
        rates,
        journal: journal()?,
    };
    let mut source = Source::site(site, connections);
    if !access.ignore_robots {
        source.pages_host.robots = HostRules::obeyed();
    }
    Ok(source)
}

/// Starts the embedded market and returns its address.
fn start_replica() -> Result<String, Stop> {
    let market = Market::embedded(None, replica::SEED);
    let pages = replica::Pages::of_market(&market);
    let server = replica::Server::start(pages, 0, replica::Line::default(), None);
    let server = server.map_err(|error| {
        let message = format!(
            "the embedded market cannot listen on 127.0.0.1: {}",
            words::of_system(&error)
        );
        Stop::new(Exit::Internal, message)
    })?;
    Ok(server.address())
}

/// The proxy of a run that fetches from these two servers. A variable of the environment that it would
/// use and cannot use is an error before the first request.
fn proxy(access: &Access, servers: [&str; 2]) -> Result<ProxyChoice, Stop> {
    if access.origin == Origin::Replica {
        return Ok(ProxyChoice::Direct);
    }
    for server in servers {
        let proxy = access.proxy.get(server);
        proxy.map_err(|error| Stop::new(Exit::Usage, error.to_string()))?;
    }
    Ok(access.proxy.clone())
}

fn open_journal(job: &Job) -> Result<Journal, Stop> {
    let identity = Identity(vec![
        (
            "software",
            concat!("indexrank/", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        ("source", job.access.origin.to_string()),
        ("index", job.index.clone()),
        (SHARD, job.shard.unwrap_or(Shard::WHOLE).to_string()),
    ]);
    let record = job.outputs.record.as_deref();
    let checksum = match record {
        Some(_) => Checksum::Sha1,
        None => Checksum::Crc32,
    };
    let path = job.outputs.journal();
    Ok(match job.resume {
        Some(max_age) => Journal::resume(path, checksum, &identity, max_age)?,
        None => Journal::begin(path, checksum, &identity)?,
    })
}
