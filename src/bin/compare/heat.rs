//! All rounds under one condition.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indexrank::meter::Meter;
use indexrank::trace::Timeline;
use indexrank::walk::walk;
use tempfile::TempDir;
use url::Url;

use crate::cli::{RaceArgs, WorkArg};
use crate::parts::Serving;
use crate::race::{self, Answer, Entrant, Run, Server};
use crate::show;
use crate::stats::Spread;
use crate::task::{Task, Work};

const INDEX: &str = "s&p_500";

/// What became of one entrant under one condition.
pub struct Entry {
    pub entrant: Entrant,
    pub runs: Vec<Run>,
    /// Why it was taken out of the race.
    pub broken: Option<String>,
    /// Where its answer is not the others' and need not be: the first difference.
    pub differs: Option<String>,
    /// What its workers did when, in a run that is not counted where there is one.
    pub timeline: Option<Timeline>,
}

impl Entry {
    /// Seconds of each run.
    pub fn walls(&self) -> Vec<f64> {
        self.runs.iter().map(|run| run.wall_s).collect()
    }

    pub fn wall(&self) -> Option<Spread> {
        Spread::of(&self.walls())
    }

    /// The middle of a figure of all runs.
    pub fn median(&self, of: impl Fn(&Run) -> f64) -> Option<f64> {
        Spread::of(&self.runs.iter().map(of).collect::<Vec<f64>>()).map(|spread| spread.median)
    }

    pub fn pages_per_s(&self) -> Option<f64> {
        Some(self.median(|run| run.traffic.requests as f64)? / self.wall()?.median)
    }

    /// None where nobody counted them.
    pub fn connections(&self) -> Option<f64> {
        let counted = self.runs.iter().filter_map(|run| run.traffic.connections);
        let counted: Vec<f64> = counted.map(|count| count as f64).collect();
        Spread::of(&counted).map(|spread| spread.median)
    }

    pub fn cpu_ms_per_page(&self) -> Option<f64> {
        self.median(|run| run.cpu_s * 1e3 / (run.traffic.requests as f64).max(1.0))
    }
}

/// One condition and how all did under it, the fastest first.
pub struct Heat {
    pub latency_ms: u64,
    pub workers: u64,
    pub entries: Vec<Entry>,
}

/// Where the pages of a heat are and what is done with them.
pub struct Ground {
    latency_ms: u64,
    server: Option<Server>,
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
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| seen.insert(address.clone()));
    if addresses.is_empty() {
        bail!("{} holds no address; give one a line", file.display());
    }
    Ok(addresses)
}

/// All rounds.
pub fn run(
    args: &RaceArgs,
    entrants: &[Entrant],
    ground: &mut Ground,
    workers: u64,
) -> Result<Heat> {
    let site = ground.server.as_ref().map_or("", |server| &server.address);
    let task = task(site, ground.work.clone(), workers as usize);
    let patience = Duration::from_secs(args.patience);
    let (most, warm_up) = args.rounds();
    let first = u32::from(!warm_up);
    let wants_timelines = args.html.is_some() || args.trace.is_some();
    let mut entries: Vec<Entry> = entrants
        .iter()
        .map(|entrant| Entry {
            entrant: entrant.clone(),
            runs: Vec::new(),
            broken: None,
            differs: None,
            timeline: None,
        })
        .collect();
    let mut rounds = vec![most; entries.len()];
    let mut right: Option<Answer> = None;
    // Round 0 is not counted: it warms the machine up, shows how long a run takes and what is done
    // in it, and gives the answer that all others are held against.
    for round in first..=most {
        for turn in 0..entries.len() {
            let at = (turn + (round - first) as usize) % entries.len();
            let entry = &mut entries[at];
            if entry.broken.is_some() || round > rounds[at] {
                continue;
            }
            show::progress(
                ground.latency_ms,
                workers,
                round,
                most,
                entry.entrant.name(),
            );
            let fault = args
                .fault
                .as_ref()
                .filter(|(name, _)| name == entry.entrant.name());
            let task = Task {
                trace: wants_timelines && round == first,
                fault: fault.map(|(_, fault)| *fault),
                ..task.clone()
            };
            let run = match race::run(&entry.entrant, &mut ground.server, &task, patience)? {
                Err(why) => {
                    entry.broken = Some(why);
                    continue;
                }
                Ok(run) => run,
            };
            let lost = run
                .measured
                .as_ref()
                .map_or(0, |measured| measured.failures);
            let may_be_right = lost == 0 || args.urls.is_some();
            if right.is_none() && may_be_right && run.answer.companies.is_some() {
                right = Some(run.answer.clone());
            }
            if args.urls.is_some() {
                // Pages of the world outside may be others each time, and some may be lost.
                let difference = right
                    .as_ref()
                    .and_then(|right| run.answer.difference(right));
                entry.differs = entry.differs.take().or(difference);
            } else {
                entry.broken = wrong(&run, right.as_ref());
                // A figure of one who is out would be compared all the same.
                if entry.broken.is_some() {
                    entry.runs.clear();
                    continue;
                }
            }
            entry.timeline = entry.timeline.take().or(run.timeline.clone());
            if round == 0 {
                let affordable = (args.budget as f64 / run.wall_s) as u32;
                rounds[at] = affordable.clamp(1, most);
            } else if entry.broken.is_none() {
                entry.runs.push(run);
            }
        }
    }
    show::progress_end();
    let wall = |entry: &Entry| entry.wall().map_or(f64::INFINITY, |spread| spread.median);
    entries.sort_by(|one, other| wall(one).total_cmp(&wall(other)));
    Ok(Heat {
        latency_ms: ground.latency_ms,
        workers,
        entries,
    })
}

fn wrong(run: &Run, right: Option<&Answer>) -> Option<String> {
    let lost = run
        .measured
        .as_ref()
        .map_or(0, |measured| measured.failures);
    if lost > 0 {
        return Some(format!("loses {lost} pages"));
    }
    right
        .and_then(|right| run.answer.difference(right))
        .map(|difference| format!("another answer: {difference}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::Measured;
    use crate::race::Traffic;

    fn run(failures: usize, companies: &str) -> Run {
        Run {
            wall_s: 1.0,
            cpu_s: 1.0,
            peak_mb: 1.0,
            measured: Some(Measured {
                wall_s: 1.0,
                pages: 2,
                failures,
                requests: 2,
                bytes: 3,
                peak_memory: None,
                latency_p50_ms: 1.0,
                latency_p99_ms: 1.0,
            }),
            traffic: Traffic {
                requests: 2,
                bytes: 3,
                connections: Some(1),
            },
            timeline: None,
            answer: Answer {
                companies: Some(companies.to_owned()),
                rankings: Vec::new(),
            },
        }
    }

    /// A run that lost a page, has another company, or lacks one is found out.
    #[test]
    fn wrong_answers() {
        let right = run(0, "A\nB\n").answer;
        for (failures, companies, expected) in [
            (0, "A\nB\n", None),
            (1, "A\nB\n", Some("loses 1 pages")),
            (0, "A\n", Some("another answer: nothing instead of B")),
            (0, "A\nB\nC\n", Some("another answer: C instead of nothing")),
            (0, "A\nX\n", Some("another answer: X instead of B")),
        ] {
            assert_eq!(
                wrong(&run(failures, companies), Some(&right)).as_deref(),
                expected,
                "{companies:?}"
            );
        }
        assert_eq!(wrong(&run(0, "A\n"), None), None);
    }
}
