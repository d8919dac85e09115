//! The walk over the numbered pages of an index for contenders that bring their own threads: the first
//! page alone, then the others in groups, side by side.

use std::collections::HashSet;
use std::thread;

use crate::http::decode::{self, Inflater};
use crate::site::index::{self, IndexPage, Link};
use crate::site::paths;
use crate::source::Source;
use crate::source::get_with_retries::get_with_retries;
use crate::source::purpose::{Purpose, Request};
use crate::telemetry::counters::Counters;
use crate::telemetry::trace::Label;

/// Index pages in flight at most. An index has about eleven.
pub const SIDE_BY_SIDE: usize = 16;

/// Passes every company of an index to `send` once, until it returns false. Returns the number of
/// companies.
pub fn walk(
    source: &Source,
    index: &str,
    workers: usize,
    counters: &Counters,
    mut send: impl FnMut(Link) -> bool,
) -> Result<usize, String> {
    let fetch = |number| fetch(source, index, number, counters);
    let mut seen = HashSet::new();
    let (mut pages, mut next) = (1, 1);
    while next <= pages {
        let group = if next == 1 {
            1
        } else {
            workers.clamp(1, SIDE_BY_SIDE) as u32
        };
        let last = pages.min(next + group - 1);
        let fetched: Vec<Result<IndexPage, String>> = thread::scope(|scope| {
            let threads: Vec<_> = (next..=last)
                .map(|number| scope.spawn(move || fetch(number)))
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.map(|page| page.expect("no panic")).collect()
        });
        for page in fetched {
            let page = page?;
            pages = pages.max(page.pages);
            for link in page.rows {
                if seen.insert(link.path.clone()) && !send(link) {
                    return Ok(seen.len());
                }
            }
        }
        next = last + 1;
    }
    Ok(seen.len())
}

fn fetch(
    source: &Source,
    index: &str,
    number: u32,
    counters: &Counters,
) -> Result<IndexPage, String> {
    let path = paths::numbered_page(index, number);
    let request = Request::new(Purpose::Index, &path);
    let mut inflater = Inflater::default();
    let lane = &mut counters.lane(Label::Index);
    let page = get_with_retries(source, request, lane, |page, lane| {
        decode::parse_html(&page, &mut inflater, lane, index::parse)
    });
    page.map_err(|error| format!("page {number} of the index: {error}"))
}
