//! Counts words in the local files of a list.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::Instant;

use crossbeam_channel::Sender;
use rayon::ThreadPoolBuilder;

use crate::lists::count::Words;
use crate::lists::message::{Finished, Message};
use crate::lists::row::{Row, milliseconds};
use crate::lists::settings::ListJob;
use crate::source::Source;
use crate::telemetry::counters::Counters;
use crate::words;

/// Counts in each file, one after the other: the pool shares the blocks of a file. Files of an interrupted run
/// that are `done` are left out.
pub fn count(
    job: &ListJob,
    source: &Source,
    counters: &Counters,
    done: &HashSet<u64>,
    messages: &Sender<Message>,
) {
    let Some(words) = job.extract.words.as_ref().filter(|_| !job.files.is_empty()) else {
        return;
    };
    let pool = ThreadPoolBuilder::new()
        .num_threads(job.sizes.parsers)
        .build();
    let is_cancelled = || source.cause().is_some();
    for (position, file) in (1..).zip(&job.files) {
        if done.contains(&position) {
            continue;
        }
        let row = match &pool {
            Ok(pool) => pool.install(|| row(file, words, counters, &is_cancelled)),
            Err(error) => Row {
                url: file.display().to_string(),
                error: Some(format!("no threads for counting: {error}")),
                ..Row::default()
            },
        };
        if is_cancelled() {
            return;
        }
        counters.fetched.add(1);
        counters.parsed.add(1);
        counters.failed.add(u64::from(row.error.is_some()));
        let row = Row { position, ..row };
        // Without a receiver, the run has ended.
        let _ = messages.send(Message::Finished(Finished::row(row)));
    }
}

fn row(
    file: &Path,
    words: &Words,
    counters: &Counters,
    is_cancelled: &(dyn Fn() -> bool + Sync),
) -> Row {
    let started = Instant::now();
    let on_bytes = |bytes| counters.bytes_wire.add(bytes);
    let counted = words.count_file(file, &on_bytes, is_cancelled);
    let row = Row {
        url: file.display().to_string(),
        ms: Some(milliseconds(started.elapsed())),
        ..Row::default()
    };
    match counted {
        Ok(counted) => Row {
            bytes: Some(counted.bytes),
            chars: Some(counted.chars),
            counts: Some(words.words().iter().cloned().zip(counted.counts).collect()),
            ..row
        },
        Err(error) => Row {
            error: Some(sentence(&error)),
            ..row
        },
    }
}

fn sentence(error: &io::Error) -> String {
    format!("cannot be read: {}", words::of_system(error))
}
