//! The walk over the numbered pages of an index for contenders with their own threads: the first page
//! alone, then the others concurrently.

use std::collections::HashSet;
use std::iter;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

use crossbeam_channel::bounded;

use crate::http::decode::{self, Inflater};
use crate::site::index::{self, IndexPage, Link, MAX_PAGES};
use crate::site::paths;
use crate::source::Source;
use crate::source::get_with_retries::get_with_retries;
use crate::source::purpose::{Purpose, Request};
use crate::telemetry::counters::Counters;
use crate::telemetry::trace::Label;

/// Passes every company of an index to `send` once, until it returns false. At most `in_flight` index
/// pages are under way at the same time. Returns the number of companies.
pub fn walk(
    source: &Source,
    index: &str,
    in_flight: usize,
    counters: &Counters,
    mut send: impl FnMut(Link) -> bool,
) -> Result<usize, String> {
    let fetch = |number| fetch(source, index, number, counters);
    let mut seen = HashSet::new();
    let mut send_all = |page: IndexPage| {
        let mut links = page.rows.into_iter();
        links.all(|link| !seen.insert(link.path.clone()) || send(link))
    };
    let first = fetch(1)?;
    let last = first.pages.min(MAX_PAGES);
    let mut goes_on = send_all(first);
    let next = AtomicU32::new(2);
    let (pages_out, pages) = bounded(0);
    thread::scope(|scope| {
        for _ in 0..in_flight.min(last as usize - 1) {
            let pages_out = pages_out.clone();
            scope.spawn(|| {
                let pages_out = pages_out;
                let numbers = iter::repeat_with(|| next.fetch_add(1, Relaxed));
                // Sending fails once the walk has ended.
                numbers
                    .take_while(|number| *number <= last)
                    .all(|number| pages_out.send(fetch(number)).is_ok())
            });
        }
        drop(pages_out);
        // `move`: when this ends early, the threads cannot send any more, and end.
        let pages = pages;
        for page in &pages {
            goes_on = goes_on && send_all(page?);
            if !goes_on {
                break;
            }
        }
        Ok::<_, String>(())
    })?;
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
