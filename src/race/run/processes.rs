//! The processes below this one: what is left of a run is ended before the next run starts.

use std::collections::HashMap;
use std::fs;
use std::process;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// How long the processes of a run may take to end after a SIGKILL: one in an uninterruptible system call
/// ends later.
const MAX_WAIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(1);

/// The processes below this one that the race has not started, such as those of the shell that it replaced.
static EARLIER: OnceLock<Vec<u32>> = OnceLock::new();

/// Makes this process the parent of all orphans below it, so that [`end_all`] also finds a process that
/// has left its group and session. Only Linux can do that. Called before any process is started.
pub fn adopt_orphans() {
    EARLIER.get_or_init(|| below(process::id(), &[]));
    #[cfg(target_os = "linux")]
    // Fails on kernels before 3.4 only. Process groups are ended there, too.
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Kills the processes of a run, and waits until they have ended: every process below this one except
/// `server`, those that were there before the race, and those below them. Returns whether they have ended.
/// Where there is no `/proc`, it kills none.
pub fn end_all(server: Option<u32>) -> bool {
    let started = Instant::now();
    let mut kept = EARLIER.get().cloned().unwrap_or_default();
    kept.extend(server);
    loop {
        let found = below(process::id(), &kept);
        if found.is_empty() {
            return true;
        }
        if started.elapsed() > MAX_WAIT {
            return false;
        }
        for pid in found {
            let pid = Pid::from_raw(pid as i32);
            // Both fail if the process has just ended, or is not a child of this one.
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
        }
        thread::sleep(POLL);
    }
}

/// The processes below `root`, without `kept` and those below them.
fn below(root: u32, kept: &[u32]) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let Some(pid) = pid
            && let Some(parent) = parent(pid)
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        let children = children.remove(&parent).unwrap_or_default();
        let children = children.into_iter().filter(|pid| !kept.contains(pid));
        open.extend(children.clone());
        found.extend(children);
    }
    found
}

/// The fourth field of `/proc/PID/stat`. The second is the name of the program, in parentheses.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after_name = &stat[stat.iter().rposition(|byte| *byte == b')')? + 1..];
    let text = str::from_utf8(after_name).ok()?;
    text.split_whitespace().nth(1)?.parse().ok()
}
