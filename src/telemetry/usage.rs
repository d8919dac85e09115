//! What the operating system says this process has used.

use std::time::Duration;

#[cfg(unix)]
mod usage {
    use super::Duration;
    use nix::sys::resource::{Resource, Usage, UsageWho, getrlimit, getrusage, setrlimit};
    use nix::sys::time::TimeVal;

    /// `getrusage` counts memory in bytes on Apple's systems, in KiB elsewhere.
    const UNIT: u64 = if cfg!(target_vendor = "apple") {
        1
    } else {
        1024
    };

    fn of_this_process() -> Option<Usage> {
        getrusage(UsageWho::RUSAGE_SELF).ok()
    }

    pub fn cpu_time() -> Option<Duration> {
        let time =
            |value: TimeVal| Duration::new(value.tv_sec() as u64, value.tv_usec() as u32 * 1000);
        of_this_process().map(|usage| time(usage.user_time()) + time(usage.system_time()))
    }

    pub fn peak_memory() -> Option<u64> {
        high_water_mark().or_else(peak_of_usage)
    }

    /// As Linux tells it of this program alone; what `getrusage` tells begins with the memory of the
    /// program that started this one.
    fn high_water_mark() -> Option<u64> {
        bytes_in_status("self", "VmHWM:")
    }

    pub fn memory_of(process: u32) -> Option<u64> {
        bytes_in_status(&process.to_string(), "VmRSS:")
    }

    fn bytes_in_status(process: &str, field: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024)
    }

    fn peak_of_usage() -> Option<u64> {
        of_this_process().map(|usage| usage.max_rss() as u64 * UNIT)
    }

    pub fn open_files() -> Option<u64> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
        match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
            Ok(()) => Some(hard),
            Err(_) => Some(soft),
        }
    }

    pub fn peak_memory_of_children() -> Option<u64> {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
        Some(usage.max_rss() as u64 * UNIT)
    }
}

#[cfg(not(unix))]
mod usage {
    pub fn open_files() -> Option<u64> {
        None
    }

    pub fn cpu_time() -> Option<super::Duration> {
        None
    }

    pub fn peak_memory() -> Option<u64> {
        None
    }

    pub fn peak_memory_of_children() -> Option<u64> {
        None
    }

    pub fn memory_of(_process: u32) -> Option<u64> {
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

/// The most memory of one of the processes that this one has started and waited for, in bytes.
pub fn peak_memory_of_children() -> Option<u64> {
    usage::peak_memory_of_children()
}

/// What a process has in memory now, in bytes, where the system tells (Linux); none of one that has
/// ended.
pub fn memory_of(process: u32) -> Option<u64> {
    usage::memory_of(process)
}

/// How many files and connections may be open at the same time, after asking for as many as this
/// process is allowed to have.
pub fn open_files() -> Option<u64> {
    usage::open_files()
}
