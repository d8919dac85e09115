//! A round set: the results of all rounds under one condition.

use crate::race::contenders::BASELINE;
use crate::race::options::Condition;
use crate::race::run::Run;
use crate::race::run::answer::Answer;
use crate::race::run::participant::Participant;
use crate::race::run::samples::Sample;
use crate::race::stats::{Spread, median};
use crate::telemetry::trace::Timeline;

/// The results of one participant in a round set.
#[derive(Clone)]
pub struct Entry {
    pub participant: Participant,
    /// The counted runs.
    pub runs: Vec<Run>,
    /// Why the participant was disqualified.
    pub broken: Option<String>,
    /// The first difference from the expected answer, where pages may change between runs.
    pub differs: Option<String>,
    /// Timeline of the workers, from the uncounted run if there is one.
    pub timeline: Option<Timeline>,
    /// The last round that fits into the time budget.
    pub last_round: u32,
    /// Whether the runs are those of an earlier round set: the baseline has one request in flight, whatever
    /// the condition allows.
    pub is_copied: bool,
}

impl Entry {
    pub fn new(participant: &Participant, rounds: u32) -> Self {
        Entry {
            participant: participant.clone(),
            runs: Vec::new(),
            broken: None,
            differs: None,
            timeline: None,
            last_round: rounds,
            is_copied: false,
        }
    }

    pub fn name(&self) -> &str {
        self.participant.name()
    }

    /// Whether the participant has a place in the order. A program without an answer may have done
    /// anything.
    pub fn is_ranked(&self) -> bool {
        self.runs.first().is_some_and(|run| self.has_answer(run))
    }

    /// Whether a run has given an answer that was compared with that of others.
    fn has_answer(&self, run: &Run) -> bool {
        matches!(self.participant, Participant::Contender { .. }) || !run.answer.rankings.is_empty()
    }

    /// Wall time of each run in seconds.
    pub fn walls(&self) -> Vec<f64> {
        self.runs.iter().map(|run| run.wall_s).collect()
    }

    /// The samples of the first run.
    pub fn samples(&self) -> &[Sample] {
        self.runs.first().map_or(&[], |run| &run.samples)
    }

    /// Wall time in seconds. `None` without a counted run.
    pub fn wall(&self) -> Option<Spread> {
        Spread::of(self.walls())
    }

    /// The median of a value over all runs. `None` without a counted run.
    pub fn median(&self, value: impl Fn(&Run) -> f64) -> Option<f64> {
        median(self.runs.iter().map(value))
    }

    /// Requests of a run, including index and exchange rate. `None` without a counted run.
    pub fn requests(&self) -> Option<f64> {
        self.median(|run| run.traffic.requests as f64)
    }

    pub fn pages_per_s(&self) -> Option<f64> {
        Some(self.requests()? / self.wall()?.median)
    }

    /// `None` without a server that counts connections.
    pub fn connections(&self) -> Option<f64> {
        let counts = self.runs.iter().filter_map(|run| run.traffic.connections);
        median(counts.map(|count| count as f64))
    }

    /// TLS handshakes of a run, and how many of them resumed a session. `None` without a server that
    /// counts them.
    pub fn handshakes(&self) -> Option<(f64, f64)> {
        let counts = || self.runs.iter().filter_map(|run| run.traffic.handshakes);
        let all = median(counts().map(|(all, _)| all as f64))?;
        Some((all, median(counts().map(|(_, resumed)| resumed as f64))?))
    }

    /// Connections that the system dropped in all runs. `None` if it does not count them.
    pub fn dropped_connections(&self) -> Option<u64> {
        self.runs.iter().map(|run| run.dropped_connections).sum()
    }

    pub fn cpu_ms_per_page(&self) -> Option<f64> {
        self.median(|run| run.cpu_s * 1e3 / (run.traffic.requests as f64).max(1.0))
    }

    /// Compares a run with the expected answer. Disqualifies the participant if they differ, but
    /// not if the pages are live: those may change between runs, and some may fail.
    pub fn check(&mut self, run: &Run, expected: Option<&Answer>, is_live: bool) {
        if is_live {
            let difference = expected.and_then(|expected| run.answer.difference(expected));
            self.differs = self.differs.take().or(difference);
            return;
        }
        self.broken = mistake(run, expected);
        if self.broken.is_none() && !self.has_answer(run) {
            self.broken =
                Some("gave no answer: none of its rankings is in INDEXRANK_OUT".to_owned());
        }
        // A program that knows the answer from elsewhere has not done the job.
        let listed = expected.map_or(0, Answer::number_of_companies);
        if self.broken.is_none() && run.traffic.requests < listed as u64 {
            let requests = run.traffic.requests;
            self.broken = Some(format!("sent {requests} requests for {listed} companies"));
        }
        if self.broken.is_some() {
            // Otherwise tables would compare the times of a disqualified participant.
            self.runs.clear();
        }
    }

    /// Adds a correct run. Round 0 is not counted. Of all answers, which equal each other, the first is
    /// kept.
    pub fn record(&mut self, run: Run, round: u32) {
        self.timeline = self.timeline.take().or(run.timeline.clone());
        if round > 0 {
            let answer = match self.runs.first() {
                None => run.answer,
                Some(_) => Answer::default(),
            };
            self.runs.push(Run {
                round,
                answer,
                timeline: None,
                ..run
            });
        }
    }
}

/// The results of all participants, the fastest first.
pub struct RoundSet {
    pub condition: Condition,
    pub entries: Vec<Entry>,
    /// The number of the signal that ended the race before all rounds were complete.
    pub interrupted: Option<i32>,
}

impl RoundSet {
    pub fn new(condition: Condition, entries: Vec<Entry>, interrupted: Option<i32>) -> Self {
        let mut set = RoundSet {
            condition,
            entries,
            interrupted,
        };
        set.sort();
        set
    }

    fn sort(&mut self) {
        let wall = |entry: &Entry| {
            let wall = entry.wall().filter(|_| entry.is_ranked());
            wall.map_or(f64::INFINITY, |spread| spread.median)
        };
        self.entries
            .sort_by(|one, other| wall(one).total_cmp(&wall(other)));
    }

    /// Adds a result in its place.
    pub fn add(&mut self, entry: Option<Entry>) {
        self.entries.extend(entry);
        self.sort();
    }

    /// The participants with a place in the order, the fastest first.
    pub fn ranked(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_ranked())
    }

    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name() == name)
    }

    /// Wall time of the contender that speedups are relative to. `None` if it did not take part.
    pub fn baseline_wall(&self) -> Option<Spread> {
        self.entry(BASELINE)?.wall()
    }
}

/// Why a run disqualifies its participant. `None` if the run is correct.
fn mistake(run: &Run, expected: Option<&Answer>) -> Option<String> {
    match run.lost() {
        0 => {}
        1 => return Some("lost 1 page".to_owned()),
        many => return Some(format!("lost {many} pages")),
    }
    expected
        .and_then(|expected| run.answer.difference(expected))
        .map(|difference| format!("different answer: {difference}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::race::run::Traffic;
    use crate::race::run::child::Measurement;

    fn run(failures: usize, companies: &str) -> Run {
        Run {
            round: 1,
            wall_s: 1.0,
            cpu_s: 1.0,
            server_cpu_s: 0.0,
            peak_mb: 1.0,
            measurement: Some(Measurement {
                wall_s: 1.0,
                cpu_s: None,
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
                handshakes: None,
            },
            dropped_connections: None,
            timeline: None,
            samples: Vec::new(),
            answer: Answer {
                companies: Some(companies.to_owned()),
                rankings: Vec::new(),
            },
        }
    }

    #[test]
    fn rejects_lost_pages_and_different_companies() {
        let expected_answer = run(0, "A\nB\n").answer;
        for (failures, companies, expected) in [
            (0, "A\nB\n", None),
            (1, "A\nB\n", Some("lost 1 page")),
            (0, "A\n", Some("different answer: got nothing, expected B")),
            (
                0,
                "A\nB\nC\n",
                Some("different answer: got C, expected nothing"),
            ),
            (0, "A\nX\n", Some("different answer: got X, expected B")),
        ] {
            assert_eq!(
                mistake(&run(failures, companies), Some(&expected_answer)).as_deref(),
                expected,
                "{companies:?}"
            );
        }
        assert_eq!(mistake(&run(0, "A\n"), None), None);
    }
}
