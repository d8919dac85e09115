//! Fits the number of workers to what the system allows, before the first request.
//!
//! The limits are tested by opening files and starting threads. The numbers of the system are not enough:
//! inherited files and threads of the user's other processes count too. Threads are not tested if their
//! limit is high ([`PLENTY_OF_THREADS`]) or unknown.

use std::convert::Infallible;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::pipeline::PoolSizes;
use crate::source::origin::Origin;
use crate::telemetry::usage;
use crate::words::count;

/// Maximum number of files that a run opens besides the connections of workers and its archives: the lock, the
/// journal, the outputs, the connection for the rates, and those for looking up a host name.
const OTHER_FILES: usize = 24;
/// Maximum number of threads that a run starts besides fetchers and parsers. Five are always there: the
/// walker, the scaling of the pool, the rates, the progress display and the watch for signals.
const OTHER_THREADS: usize = 10;

/// Where the limit of threads exceeds those of a run by more, none are tried out: to start 128 takes
/// 11 ms, more than a tenth of a run over loopback. Few users have thousands of threads.
const PLENTY_OF_THREADS: u64 = 8192;

/// How long the threads that were tried out may take to end.
const LONGEST_END: Duration = Duration::from_secs(10);

/// Address space of a run, in bytes, without thread stacks ([`STACK`]) and arenas ([`ARENA`]).
const MEMORY: u64 = 128 << 20;
/// Address space of a thread, in bytes: its stack, and a guard page at each end.
const STACK: u64 = (2 << 20) + (64 << 10);
/// Address space that glibc reserves for an arena, in bytes. It gives each thread one, up to eight for
/// each core.
const ARENA: u64 = 64 << 20;

/// Lowers the number of fetchers to the number that the system allows, and returns a warning if it does.
/// Fails if the system does not even allow one. `outputs` counts the files that options name.
pub fn fit(origin: &Origin, sizes: &mut PoolSizes, outputs: usize) -> Result<Option<String>, Stop> {
    // If the limit cannot be raised, the present one holds.
    let limit = usage::raise_open_file_limit().unwrap_or_default();
    // The embedded market has the other end of each connection, and a thread for it.
    let ends = if *origin == Origin::Replica { 2 } else { 1 };
    let files = Resource {
        name: "open files",
        advice: &|missing| {
            let enough = usage::higher_open_file_limit(limit, missing);
            format!("raise the limit with `ulimit -n {enough}`")
        },
        others: OTHER_FILES + outputs + origin.archives().len(),
        ends,
        try_out: usage::openable_files,
    };
    let threads = Resource {
        name: "threads",
        advice: &|_| {
            "raise the limit of processes (`ulimit -u`), of memory (`ulimit -v`) or of the container"
                .to_owned()
        },
        others: OTHER_THREADS + sizes.parsers,
        ends,
        try_out: startable_threads,
    };
    let requested = sizes.fetchers;
    let mut warning = None;
    for resource in [files, threads] {
        warning = resource.fit(requested, &mut sizes.fetchers)?.or(warning);
    }
    Ok(warning)
}

/// Something of which the system allows a number to each process or user.
struct Resource<'a> {
    name: &'static str,
    /// What to do if this many are missing for the requested workers.
    advice: &'a dyn Fn(usize) -> String,
    /// What a run needs besides that of its workers.
    others: usize,
    /// What each worker needs.
    ends: usize,
    /// Returns how many can be had now, up to a number.
    try_out: fn(usize) -> usize,
}

impl Resource<'_> {
    fn fit(&self, requested: usize, workers: &mut usize) -> Result<Option<String>, Stop> {
        let available = (self.try_out)(self.others + self.ends * *workers);
        let possible = available.saturating_sub(self.others) / self.ends;
        if possible >= *workers {
            return Ok(None);
        }
        let missing = (self.others + self.ends * requested).saturating_sub(available);
        let (name, advice) = (self.name, (self.advice)(missing));
        if possible == 0 {
            let needed = self.others + self.ends;
            let message = format!(
                "a run needs {needed} {name}, and the system allows this process {available} more: {advice}"
            );
            return Err(Stop::new(Exit::Usage, message));
        }
        *workers = possible;
        let workers = count(possible, "worker", "workers");
        Ok(Some(format!(
            "{workers} instead of {requested}, because the system allows this process {available} more {name}: {advice}"
        )))
    }
}

/// How many threads can run beside those running now, up to `most`.
///
/// Their memory is not tried out: where it is used up, the next allocation ends the process.
fn startable_threads(most: usize) -> usize {
    let most = usage::free_address_space().map_or(most, |free| most.min(threads_in(free)));
    if usage::most_threads().is_none_or(|limit| limit >= PLENTY_OF_THREADS + most as u64) {
        return most;
    }
    let running = usage::running_threads();
    let (release, released) = bounded::<Infallible>(0);
    let started = thread::scope(|scope| {
        let start = |_| {
            let released = released.clone();
            let wait = move || released.recv().is_ok();
            thread::Builder::new().spawn_scoped(scope, wait).ok()
        };
        let started = (0..most).map_while(start).count();
        drop(release);
        started
    });
    // A scope does not wait for the end of its threads, only for that of their functions. Until then they
    // count, and the threads of the run could not be started.
    let deadline = Instant::now() + LONGEST_END;
    while usage::running_threads() > running && Instant::now() < deadline {
        thread::sleep(Duration::from_micros(100));
    }
    started
}

/// How many threads fit into an address space of `free` bytes.
fn threads_in(free: u64) -> usize {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let free = free.saturating_sub(MEMORY);
    let with_own_arenas = free / (STACK + ARENA);
    let with_shared_arenas = free.saturating_sub(8 * cores * ARENA) / STACK;
    with_own_arenas.max(with_shared_arenas) as usize
}
