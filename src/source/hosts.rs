//! The hosts of a list of addresses. Each has a throttle and a robots.txt of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::source::host::Host;
use crate::source::robots::HostRules;
use crate::source::throttle::Cause;

/// The hosts that have been requested so far.
#[derive(Debug)]
pub struct Hosts {
    /// Maximum number of requests under way at each host.
    per_host: usize,
    /// The product token for robots.txt; `None` if it is neither fetched nor obeyed.
    pub user_agent: Option<String>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    hosts: HashMap<String, Arc<Host>>,
    /// Why the run was cancelled. Hosts that become known afterwards are cancelled too.
    cause: Option<Cause>,
}

impl Hosts {
    pub fn new(per_host: usize, user_agent: Option<String>) -> Self {
        Hosts {
            per_host,
            user_agent,
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change leaves the map consistent, so a poisoned lock is still usable.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host of an address with a scheme.
    pub fn of(&self, address: &str) -> Arc<Host> {
        let name = host_address(address);
        let known = &mut *self.known();
        if let Some(host) = known.hosts.get(&name) {
            return host.clone();
        }
        let robots = match self.user_agent {
            Some(_) => HostRules::obeyed(),
            None => HostRules::ignored(),
        };
        let host = Arc::new(Host {
            address: name.clone(),
            robots,
            ..Host::new(self.per_host)
        });
        if let Some(cause) = &known.cause {
            host.throttle.cancel(cause.clone());
        }
        known.hosts.insert(name, host.clone());
        host
    }

    /// Rejects all requests from now on.
    pub fn cancel(&self, cause: &Cause) {
        let known = &mut *self.known();
        known.cause.get_or_insert_with(|| cause.clone());
        for host in known.hosts.values() {
            host.throttle.cancel(cause.clone());
        }
    }
}

/// Scheme, host and port of an address in lower case, without a user and without the port that the scheme
/// stands for.
fn host_address(address: &str) -> String {
    let after_scheme = address.find("://").map_or(0, |at| at + 3);
    let end = address[after_scheme..].find(['/', '?', '#']);
    let end = end.map_or(address.len(), |at| after_scheme + at);
    let name = address[..end].to_ascii_lowercase();
    let without_port = match name.split_once("://") {
        Some(("http", host)) => host.strip_suffix(":80"),
        Some(("https", host)) => host.strip_suffix(":443"),
        _ => None,
    };
    match without_port {
        Some(host) => format!("{}{host}", &name[..after_scheme]),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_by_scheme_name_and_port() {
        for (address, expected) in [
            ("http://Site.Example/a/b?c", "http://site.example"),
            ("HTTP://site.example:80", "http://site.example"),
            ("https://site.example:443?q", "https://site.example"),
            ("https://site.example:80/", "https://site.example:80"),
            ("http://[::1]:8080/x", "http://[::1]:8080"),
            ("http://[::80]/x", "http://[::80]"),
        ] {
            assert_eq!(host_address(address), expected, "{address}");
        }
        let hosts = Hosts::new(8, None);
        assert!(Arc::ptr_eq(
            &hosts.of("http://a/1"),
            &hosts.of("http://A:80/2")
        ));
        assert!(!Arc::ptr_eq(
            &hosts.of("http://a/1"),
            &hosts.of("http://b/1")
        ));
    }

    #[test]
    fn a_host_that_becomes_known_after_the_end_is_cancelled() {
        let hosts = Hosts::new(8, None);
        let before = hosts.of("http://a/");
        hosts.cancel(&Cause::WalkFailed);
        assert_eq!(before.throttle.cause(), Some(Cause::WalkFailed));
        assert!(hosts.of("http://b/").throttle.acquire().is_err());
    }
}
