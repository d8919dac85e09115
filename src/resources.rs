//! What the operating system says this process has used.

use std::time::Duration;

#[cfg(unix)]
mod usage {
    use super::Duration;
    use nix::sys::resource::{Usage, UsageWho, getrusage};
    use nix::sys::time::TimeVal;

    fn of_this_process() -> Option<Usage> {
        getrusage(UsageWho::RUSAGE_SELF).ok()
    }

    pub fn cpu_time() -> Option<Duration> {
        let time =
            |value: TimeVal| Duration::new(value.tv_sec() as u64, value.tv_usec() as u32 * 1000);
        of_this_process().map(|usage| time(usage.user_time()) + time(usage.system_time()))
    }

    pub fn peak_memory() -> Option<u64> {
        // In bytes on Apple's systems, in KiB elsewhere.
        let unit = if cfg!(target_vendor = "apple") {
            1
        } else {
            1024
        };
        of_this_process().map(|usage| usage.max_rss() as u64 * unit)
    }
}

#[cfg(not(unix))]
mod usage {
    pub fn cpu_time() -> Option<super::Duration> {
        None
    }

    pub fn peak_memory() -> Option<u64> {
        None
    }
}

/// CPU time of all threads, user and system.
pub fn cpu_time() -> Option<Duration> {
    usage::cpu_time()
}

/// The most memory that was resident at one time, in bytes.
pub fn peak_memory() -> Option<u64> {
    usage::peak_memory()
}
