//! The walk over every page of an index: company links, each address once.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::panic::resume_unwind;
use std::thread;

use crate::index::{self, IndexPage, Link, MAX_PAGES};
use crate::inflate::Inflater;
use crate::meter::Meter;
use crate::page::{self, Page, PageError, Reason};
use crate::retry;
use crate::source::{self, Source};
use crate::trace::{Lane, Phase, Role};

/// Index pages asked for at the same time. They are the only thing that can hold up the fetchers,
/// and there are eleven of them.
pub const SIDE_BY_SIDE: usize = 16;

/// An index that could not be walked to its end. A top ten of half an index is wrong, so this ends
/// the run.
#[derive(Debug, Clone, thiserror::Error)]
#[error("page {number} of the index, {address}: {error}")]
pub struct WalkError {
    pub number: u32,
    pub address: String,
    pub error: PageError,
}

/// Walks the index and hands on every link, page after page, until `hand_on` answers that nobody
/// listens any more. Gives the number of distinct addresses.
///
/// The first page tells how many there are; its links are handed on before the others are asked
/// for. Those come side by side, at most `workers` of them, and are handed on in order.
pub fn walk(
    source: &Source,
    index: &str,
    workers: usize,
    meter: &Meter,
    mut hand_on: impl FnMut(Link) -> bool,
) -> Result<usize, WalkError> {
    let mut seen = HashSet::new();
    let mut pages = 1;
    let mut next = 1;
    meter.index_pages.add(1);
    while next <= pages.min(MAX_PAGES) {
        let width = if next == 1 {
            1
        } else {
            workers.clamp(1, SIDE_BY_SIDE) as u32
        };
        let last = pages.min(MAX_PAGES).min(next + width - 1);
        let wave = wave_of_pages(source, index, next..=last, meter)?;
        let shown = wave.iter().map(|page| page.pages).max().unwrap_or(0);
        if shown > pages {
            meter.index_pages.add(u64::from(shown - pages));
            pages = shown;
        }
        let rows = wave.into_iter().flat_map(|page| page.rows);
        let fresh: Vec<Link> = rows.filter(|link| seen.insert(link.path.clone())).collect();
        meter.listed.add(fresh.len() as u64);
        // Some sites serve the last page again for every number past the end.
        if fresh.is_empty() {
            break;
        }
        let listened = fresh.into_iter().all(&mut hand_on);
        if !listened {
            break;
        }
        if last == MAX_PAGES && pages > MAX_PAGES {
            let error = PageError::new(
                Reason::TooLarge,
                format!("the index has more than {MAX_PAGES} pages"),
            );
            let address = source.address(&source::index_path(index, last));
            return Err(WalkError {
                number: last,
                address,
                error,
            });
        }
        next = last + 1;
    }
    Ok(seen.len())
}

/// These pages in their order, asked for side by side.
fn wave_of_pages(
    source: &Source,
    index: &str,
    numbers: RangeInclusive<u32>,
    meter: &Meter,
) -> Result<Vec<IndexPage>, WalkError> {
    if numbers.start() == numbers.end() {
        return one_page(source, index, *numbers.start(), meter).map(|page| vec![page]);
    }
    thread::scope(|scope| {
        let ask = |number| scope.spawn(move || one_page(source, index, number, meter));
        let asked: Vec<_> = numbers.map(ask).collect();
        asked
            .into_iter()
            .map(|page| page.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

fn one_page(
    source: &Source,
    index: &str,
    number: u32,
    meter: &Meter,
) -> Result<IndexPage, WalkError> {
    let path = source::index_path(index, number);
    let read = |answer: &Page, lane: &mut Lane| {
        let mut inflater = Inflater::default();
        let html = lane.time(Phase::Inflating, || answer.inflate(&mut inflater))?;
        lane.meter.bytes_decoded.add(html.len() as u64);
        lane.time(Phase::Reading, || {
            let html = page::to_utf8(html, answer.charset().as_deref());
            page::check_end(&html)?;
            index::parse(&html)
                .map_err(|error| PageError::new(Reason::Unrecognised, error.to_string()))
        })
    };
    let failed = |error| WalkError {
        number,
        address: source.address(&path),
        error,
    };
    let page =
        retry::get_patiently(source, &path, &mut meter.lane(Role::Index), read).map_err(failed)?;
    meter.index_read.add(1);
    Ok(page)
}
