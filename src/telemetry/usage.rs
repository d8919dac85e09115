//! CPU time and memory of a process, and its limit of open files, from the operating system.

use std::time::Duration;

#[cfg(unix)]
mod system {
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

    fn cpu_time_in(usage: &Usage) -> Duration {
        let time =
            |value: TimeVal| Duration::new(value.tv_sec() as u64, value.tv_usec() as u32 * 1000);
        time(usage.user_time()) + time(usage.system_time())
    }

    pub fn cpu_time() -> Option<Duration> {
        of_this_process().map(|usage| cpu_time_in(&usage))
    }

    pub fn cpu_time_of_children() -> Option<Duration> {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
        Some(cpu_time_in(&usage))
    }

    /// Prefers `VmHWM` on Linux, which counts this program only. The value of `getrusage` includes the
    /// memory of the parent process.
    pub fn peak_memory() -> Option<u64> {
        bytes_in_status("self", "VmHWM:")
            .or_else(|| of_this_process().map(|usage| usage.max_rss() as u64 * UNIT))
    }

    pub fn memory_of(process: u32) -> Option<u64> {
        bytes_in_status(&process.to_string(), "VmRSS:")
    }

    pub fn running_threads() -> Option<usize> {
        status("self", "Threads:")?.parse().ok()
    }

    fn bytes_in_status(process: &str, field: &str) -> Option<u64> {
        let kibibytes: u64 = status(process, field)?.strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024)
    }

    fn status(process: &str, field: &str) -> Option<String> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let value = status.lines().find_map(|line| line.strip_prefix(field))?;
        Some(value.trim().to_owned())
    }

    pub fn raise_open_file_limit() -> Option<u64> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
        match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
            Ok(()) => Some(hard),
            Err(_) => Some(soft),
        }
    }

    #[cfg(target_os = "linux")]
    pub fn free_address_space() -> Option<u64> {
        let (limit, _) = getrlimit(Resource::RLIMIT_AS).ok()?;
        let used = bytes_in_status("self", "VmSize:")?;
        (limit != nix::sys::resource::RLIM_INFINITY).then(|| limit.saturating_sub(used))
    }

    #[cfg(not(target_os = "linux"))]
    pub fn free_address_space() -> Option<u64> {
        None
    }

    pub fn most_threads() -> Option<u64> {
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        let of_user = getrlimit(Resource::RLIMIT_NPROC).ok().map(|(soft, _)| soft);
        #[cfg(not(any(target_os = "linux", target_os = "macos")))]
        let of_user = None;
        // In a container, these are its own limits, of both versions of cgroups. `max` means no limit.
        let files = ["/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"];
        let limit = |file| std::fs::read_to_string(file).ok()?.trim().parse().ok();
        files.into_iter().filter_map(limit).chain(of_user).min()
    }

    pub fn openable_files(most: usize) -> usize {
        use std::os::fd::AsFd;
        let open = |_| std::io::stderr().as_fd().try_clone_to_owned().ok();
        let files: Vec<_> = (0..most).map_while(open).collect();
        files.len()
    }

    pub fn peak_memory_of_children() -> Option<u64> {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
        Some(usage.max_rss() as u64 * UNIT)
    }
}

#[cfg(not(unix))]
mod system {
    pub fn raise_open_file_limit() -> Option<u64> {
        None
    }

    pub fn free_address_space() -> Option<u64> {
        None
    }

    pub fn most_threads() -> Option<u64> {
        None
    }

    pub fn openable_files(most: usize) -> usize {
        most
    }

    pub fn cpu_time() -> Option<super::Duration> {
        None
    }

    pub fn cpu_time_of_children() -> Option<super::Duration> {
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

    pub fn running_threads() -> Option<usize> {
        None
    }
}

/// CPU time of all threads of this process, user and system. `None` if the system does not report it.
pub fn cpu_time() -> Option<Duration> {
    system::cpu_time()
}

/// CPU time of all child processes that have been waited for, user and system. `None` if the system does
/// not report it.
pub fn cpu_time_of_children() -> Option<Duration> {
    system::cpu_time_of_children()
}

/// The largest resident memory of this process so far, in bytes. `None` if the system does not report
/// it.
pub fn peak_memory() -> Option<u64> {
    system::peak_memory()
}

/// The largest resident memory of any child process that has been waited for, in bytes. `None` if the
/// system does not report it.
pub fn peak_memory_of_children() -> Option<u64> {
    system::peak_memory_of_children()
}

/// The resident memory of a running process, in bytes. `None` after it has ended, and on systems
/// without `/proc`.
pub fn memory_of(process: u32) -> Option<u64> {
    system::memory_of(process)
}

/// The threads of this process that count towards the limits of the system, also those that have returned
/// and are about to end. `None` on systems without `/proc`.
pub fn running_threads() -> Option<usize> {
    system::running_threads()
}

/// Raises the limit of open files and connections to the hard limit. Returns the limit then in force,
/// or `None` if the system does not report it.
pub fn raise_open_file_limit() -> Option<u64> {
    system::raise_open_file_limit()
}

/// A limit of open files under which `missing` more can be opened than under `limit`. It has some to spare:
/// inherited files whose numbers exceed the present limit count only under a higher one.
pub fn higher_open_file_limit(limit: u64, missing: usize) -> u64 {
    (limit + missing as u64 + 8).next_multiple_of(16)
}

/// The address space that the limit of this process (`ulimit -v`) leaves, in bytes. `None` without a
/// limit, and on systems without `/proc`.
pub fn free_address_space() -> Option<u64> {
    system::free_address_space()
}

/// How many threads the user or the container may have in all. `None` without a limit, and where the
/// system cannot be asked.
pub fn most_threads() -> Option<u64> {
    system::most_threads()
}

/// How many files this process can open beside those open now, up to `most`. It is `most` where the
/// system cannot be asked.
pub fn openable_files(most: usize) -> usize {
    system::openable_files(most)
}
