//! The answer of a race: at most six sentences, computed from the results of all conditions. Pure functions.
//!
//! A sentence about something that was not measured is left out.

use crate::race::contenders::{BASELINE, PRODUCT};
use crate::race::findings::bottleneck::{Bottleneck, Resource};
use crate::race::findings::comparison::{Comparison, Saving, compare};
use crate::race::findings::labels;
use crate::race::findings::round_set::{Entry, RoundSet};
use crate::race::findings::sweep;
use crate::race::machine::cores;
use crate::race::number_format::grouped;
use crate::race::options::{RaceArgs, WorkArg};
use crate::race::run::participant::Participant;

/// A run that takes this many times the least possible time is not bound by what that is computed from.
const FAR_FROM_MINIMUM: f64 = 1.5;
/// From this share of the CPU time of all cores on, contender and server together are bound by the CPU. The
/// rest is lost at the start and the end of a run, while not all threads have work.
const MIN_BUSY: f64 = 0.8;
/// Contenders named in the sentence about CPU time and memory.
const MAX_NAMED: usize = 4;

/// At most six sentences about the results so far.
pub fn sentences(args: &RaceArgs, sets: &[RoundSet]) -> Vec<String> {
    let views = View::extremes(args, sets);
    let sentences = [
        first(&views),
        threads_or_async(&views),
        in_flight(&views),
        costs(&views),
        change_of_order(args, sets),
        bounds(&views),
    ];
    sentences.into_iter().flatten().collect()
}

/// The results at one latency, seen where the first is at its best.
struct View<'a> {
    args: &'a RaceArgs,
    /// All round sets at the latency, by rising numbers in flight.
    sets: Vec<&'a RoundSet>,
    /// The one with the smallest number in flight that gives about the best time.
    best: &'a RoundSet,
    first: &'a Entry,
}

impl<'a> View<'a> {
    /// The views at the lowest and at the highest latency.
    fn extremes(args: &'a RaceArgs, sets: &'a [RoundSet]) -> Vec<Self> {
        let latencies = sweep::latencies(sets);
        let mut extremes: Vec<u64> = latencies.first().into_iter().copied().collect();
        extremes.extend(latencies.last().filter(|_| latencies.len() > 1));
        let view = |latency_ms| {
            let sets = sweep::at_latency(sets, latency_ms);
            let (best, first) = sweep::best(&sets)?;
            Some(View {
                args,
                sets,
                best,
                first,
            })
        };
        extremes.into_iter().filter_map(view).collect()
    }

    /// `at 50 ms with 32 in flight`, in the form that the kind of work needs.
    fn place(&self) -> String {
        place(self.args, self.best)
    }

    /// The latency alone, ` at 50 ms`, if the work has one.
    fn latency(&self) -> String {
        if self.args.urls.is_some() || self.args.work == WorkArg::Cpu {
            return String::new();
        }
        format!(" at {} ms", self.best.condition.latency_ms)
    }

    /// The fastest of those contenders that `is_one` accepts by their name.
    fn fastest(&self, is_one: impl Fn(&str) -> bool) -> Option<&'a Entry> {
        let contenders = self.best.ranked().filter(|entry| is_contender(entry));
        contenders.into_iter().find(|entry| is_one(entry.name()))
    }
}

fn place(args: &RaceArgs, set: &RoundSet) -> String {
    let label = labels::condition(args, set.condition);
    if args.urls.is_some() || args.work == WorkArg::Cpu {
        format!("with {label}")
    } else {
        format!("at {label}")
    }
}

fn is_contender(entry: &Entry) -> bool {
    matches!(entry.participant, Participant::Contender { .. })
}

fn is_async(name: &str) -> bool {
    name.starts_with("async")
}

/// Contenders whose threads share one process and fetch more than one page at a time.
fn is_threaded(name: &str) -> bool {
    !is_async(name) && !["processes", BASELINE].contains(&name)
}

fn seconds(entry: &Entry) -> f64 {
    entry.wall().map_or(0.0, |wall| wall.median)
}

/// `7.1 % less time than async (95 % confidence interval: 3.4 to 11 %)`
fn less_time(saving: Saving, than: &str) -> String {
    format!(
        "{} % less time than {than} (95 % confidence interval: {} to {} %)",
        rounded(saving.percent),
        rounded(saving.low),
        rounded(saving.high)
    )
}

/// A percentage: one decimal below 10, none above.
fn rounded(percent: f64) -> String {
    if percent < 0.05 {
        return "under 0.1".to_owned();
    }
    let digits = if percent < 9.95 { 1 } else { 0 };
    format!("{percent:.digits$}")
}

/// `a, b and c`
fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

/// A sentence of parts, each about one view.
fn sentence(start: &str, parts: Vec<String>) -> Option<String> {
    let text = format!("{start}{}", parts.join("; "));
    let mut letters = text.chars();
    let capital = letters.next()?.to_uppercase();
    (!parts.is_empty()).then(|| format!("{capital}{}.", letters.as_str()))
}

/// The fastest participant and its lead.
fn first(views: &[View]) -> Option<String> {
    let part = |view: &View| {
        let (first, place) = (view.first, view.place());
        let time = |entry: &Entry| format!("{} ({:.3} s)", entry.name(), seconds(entry));
        let others: Vec<&Entry> = view.best.ranked().skip(1).collect();
        let Some(second) = others.first() else {
            return format!("{place}, {} takes {:.3} s", first.name(), seconds(first));
        };
        match compare(first, second) {
            Comparison::Less(saving) => {
                let by = less_time(saving, second.name());
                format!(
                    "{place}, {} is first with {:.3} s, {by}",
                    first.name(),
                    seconds(first)
                )
            }
            Comparison::NoDifference { low, high } => {
                let is_equal = |other: &&&Entry| {
                    matches!(compare(first, other), Comparison::NoDifference { .. })
                };
                let equal = others.iter().take_while(is_equal).map(|entry| time(entry));
                let equal: Vec<String> = std::iter::once(time(first)).chain(equal).collect();
                format!(
                    "{place}, no difference can be seen between {} (the time of {} is {low:.2} to \
                     {high:.2} times that of {})",
                    listed(&equal),
                    first.name(),
                    second.name()
                )
            }
            Comparison::TooFew { rounds: 0 } => format!(
                "{place}, {} has the shortest time, {} the next; they ran under different conditions",
                time(first),
                time(second)
            ),
            Comparison::TooFew { rounds } => format!(
                "{place}, {} has the shortest time, {} the next, but {} to say which is faster",
                time(first),
                time(second),
                too_few(rounds)
            ),
        }
    };
    sentence("", views.iter().map(part).collect())
}

fn too_few(rounds: usize) -> String {
    match rounds {
        1 => "1 round is too few".to_owned(),
        many => format!("{many} rounds are too few"),
    }
}

/// Whether threads or async are faster: the fastest contenders of either kind.
fn threads_or_async(views: &[View]) -> Option<String> {
    let part = |view: &View| {
        let (threads, tasks) = (view.fastest(is_threaded)?, view.fastest(is_async)?);
        let (kind, fast, slow) = if seconds(threads) <= seconds(tasks) {
            ("threads", threads, tasks)
        } else {
            ("async", tasks, threads)
        };
        let latency = view.latency();
        Some(match compare(fast, slow) {
            Comparison::Less(Saving { percent, .. }) => format!(
                "{kind}{latency}, where {} takes {} % less time than {}",
                fast.name(),
                rounded(percent),
                slow.name()
            ),
            Comparison::NoDifference { .. } => format!(
                "either{latency}, where no difference can be seen between {} and {}",
                fast.name(),
                slow.name()
            ),
            Comparison::TooFew { rounds } => {
                format!("unknown{latency}, {} to tell", too_few(rounds))
            }
        })
    };
    sentence(
        "threads or async: ",
        views.iter().filter_map(part).collect(),
    )
}

/// The smallest number in flight with about the best time.
fn in_flight(views: &[View]) -> Option<String> {
    let part = |view: &View| {
        let most = view
            .sets
            .iter()
            .rfind(|set| set.ranked().next().is_some())?;
        let workers = view.best.condition.workers;
        (view.sets.len() > 1).then(|| {
            let most = if most.condition.workers == workers {
                ", the most that was measured"
            } else {
                ""
            };
            format!("{workers}{}{most}", view.latency())
        })
    };
    let start = "smallest number in flight within 5 % of the best time: ";
    sentence(start, views.iter().filter_map(part).collect())
}

/// CPU time of a page, peak memory, and the memory of one more request in flight.
fn costs(views: &[View]) -> Option<String> {
    let (low, high) = (views.first()?, views.last()?);
    let named = named(low);
    let cost = |entry: &&Entry| {
        let (cpu, peak) = (entry.cpu_ms_per_page()?, entry.median(|run| run.peak_mb)?);
        Some(format!("{} {cpu:.2} ms, {peak:.0} MB", entry.name()))
    };
    let costs: Vec<String> = named.iter().filter_map(cost).collect();
    if costs.is_empty() {
        return None;
    }
    let mut parts = vec![format!(
        "CPU time per page and peak memory {}: {}",
        low.place(),
        costs.join("; ")
    )];
    let slope = |entry: &&Entry| {
        Some(format!(
            "{} {}",
            entry.name(),
            memory_per_request(high, entry.name())?
        ))
    };
    let slopes: Vec<String> = named.iter().filter_map(slope).collect();
    if !slopes.is_empty() {
        parts.push(format!(
            "memory of each further request in flight{}: {}",
            high.latency(),
            listed(&slopes)
        ));
    }
    sentence("", parts)
}

/// The fastest contenders, with the product.
fn named<'a>(view: &View<'a>) -> Vec<&'a Entry> {
    let contenders = view
        .best
        .ranked()
        .filter(|entry| is_contender(entry) && entry.name() != BASELINE);
    let (product, others): (Vec<_>, Vec<_>) = contenders.partition(|entry| entry.name() == PRODUCT);
    let others = others.into_iter().take(MAX_NAMED - 1);
    product.into_iter().chain(others).collect()
}

/// Peak memory with the most in flight minus that with the least, divided by the difference of the numbers
/// in flight. `None` without a latency, because requests then hardly wait. No more requests wait than there
/// are pages.
fn memory_per_request(view: &View, name: &str) -> Option<String> {
    let measured = |set: &&RoundSet| {
        let entry = set.ranked().find(|entry| entry.name() == name)?;
        let pages = entry.runs[0].measurement.as_ref()?.pages as u64;
        let peak_mb = entry.median(|run| run.peak_mb)?;
        Some((set.condition.workers.min(pages), peak_mb))
    };
    let mut points = view.sets.iter().filter_map(measured);
    let (least, least_mb) = points.next()?;
    let (most, most_mb) = points.next_back()?;
    if view.best.condition.latency_ms == 0 || most <= least {
        return None;
    }
    let kilobytes = (most_mb - least_mb) * 1e3 / (most - least) as f64;
    Some(match kilobytes {
        ..1.0 => "under 1 kB".to_owned(),
        _ => format!("{} kB", grouped(kilobytes.round())),
    })
}

/// Two conditions with different firsts, if each of them is faster than the other where it is first.
fn change_of_order(args: &RaceArgs, sets: &[RoundSet]) -> Option<String> {
    let latencies = sweep::latencies(sets).into_iter();
    let ordered: Vec<&RoundSet> = latencies
        .flat_map(|latency| sweep::at_latency(sets, latency))
        .collect();
    let saving = |set: &RoundSet, fast: &str, slow: &str| match compare(
        set.entry(fast)?,
        set.entry(slow)?,
    ) {
        Comparison::Less(saving) => Some(rounded(saving.percent)),
        _ => None,
    };
    let first = |set: &'_ RoundSet| set.ranked().next().map(|entry| entry.name().to_owned());
    let change = |(at, later): (usize, &&RoundSet)| {
        let new = first(later)?;
        ordered[..at].iter().rev().find_map(|earlier| {
            let old = first(earlier).filter(|old| *old != new)?;
            let before = saving(earlier, &old, &new)?;
            let after = saving(later, &new, &old)?;
            Some(format!(
                "The order changes: {old} takes {before} % less time than {new} {}, {new} takes \
                 {after} % less than {old} {}.",
                place(args, earlier),
                place(args, later)
            ))
        })
    };
    ordered.iter().enumerate().find_map(change)
}

/// What bounds the first. The least possible time leaves out the CPU time of the server, which competes for
/// the same cores.
fn bounds(views: &[View]) -> Option<String> {
    let part = |view: &View| {
        let bottleneck = Bottleneck::of(view.args, view.best)?;
        let minimum = bottleneck.minimum();
        let factor = seconds(view.first) / minimum;
        let busy = view
            .first
            .median(|run| (run.cpu_s + run.server_cpu_s) / (run.wall_s * cores() as f64))?;
        let resource = match bottleneck.resource() {
            _ if factor > FAR_FROM_MINIMUM && busy > MIN_BUSY => {
                "the CPU, with the server's share,"
            }
            _ if factor > FAR_FROM_MINIMUM => "no limit that was measured",
            Resource::Cpu => "the CPU",
            Resource::Bandwidth => "the bandwidth",
            Resource::Waiting => "waiting for the server",
        };
        Some(format!(
            "{resource} {} ({} takes {factor:.2} times the least possible {minimum:.3} s)",
            view.place(),
            view.first.name()
        ))
    };
    sentence(
        "what bounds the run: ",
        views.iter().filter_map(part).collect(),
    )
}

#[cfg(test)]
mod tests;
