//! The walk over a list of addresses: which is next, so that a slow host does not hold up the others.

use std::collections::{HashMap, VecDeque};

use crate::http::error::PageError;
use crate::pipeline::task::{Listed, Target, Task};
use crate::source::host::Host;

/// Addresses that are read ahead and held back while their hosts have enough requests under way. An address
/// takes some 250 bytes.
const MAX_HELD: usize = 10_000;

/// A walk over the addresses of a list.
///
/// A host has at most `per_host` tasks under way. It has one until its robots.txt is known, and during a
/// pause: more would only keep fetchers waiting.
pub struct AddressWalk<'a> {
    addresses: Box<dyn Iterator<Item = Listed> + Send + 'a>,
    /// Gets the addresses whose pages have failed for good.
    failed: Box<dyn Fn(Listed, PageError) + Send + Sync + 'a>,
    per_host: usize,
    /// By [`Host::address`].
    hosts: HashMap<String, Tasks>,
    /// Hosts that may have a task held back and a place for it.
    free: VecDeque<String>,
    held: usize,
}

/// The tasks of one host.
#[derive(Default)]
struct Tasks {
    under_way: usize,
    /// Retries that are due, then addresses in the order of the list.
    held: VecDeque<Task>,
}

impl<'a> AddressWalk<'a> {
    /// `failed` is called from the thread of the walker.
    pub fn new(
        addresses: impl Iterator<Item = Listed> + Send + 'a,
        per_host: usize,
        failed: impl Fn(Listed, PageError) + Send + Sync + 'a,
    ) -> Self {
        AddressWalk {
            addresses: Box::new(addresses),
            failed: Box::new(failed),
            per_host,
            hosts: HashMap::new(),
            free: VecDeque::new(),
            held: 0,
        }
    }

    /// The next task, if a host has a place for one.
    pub fn next_task(&mut self) -> Option<Task> {
        if let Some(task) = self.next_held() {
            return Some(task);
        }
        while self.held < MAX_HELD {
            let listed = self.addresses.next()?;
            listed.host.retries.plan(1);
            let task = Task::new(Target::Listed(Box::new(listed)));
            if let Some(task) = self.admit(task, VecDeque::push_back) {
                return Some(task);
            }
        }
        None
    }

    /// Takes a task back for its next attempt. Returns it if its host has a place. Otherwise it is the host's
    /// next one.
    pub fn resume(&mut self, task: Task) -> Option<Task> {
        self.admit(task, VecDeque::push_front)
    }

    /// Returns a task if its host has a place, and holds it back otherwise.
    fn admit(&mut self, task: Task, hold: fn(&mut VecDeque<Task>, Task)) -> Option<Task> {
        let Target::Listed(listed) = &task.target else {
            return Some(task);
        };
        let host = &listed.host;
        let limit = limit(host, self.per_host);
        let tasks = self.hosts.entry(host.address.clone()).or_default();
        if tasks.under_way < limit {
            tasks.under_way += 1;
            return Some(task);
        }
        hold(&mut tasks.held, task);
        self.held += 1;
        None
    }

    /// The next task that was held back and need not be any more.
    fn next_held(&mut self) -> Option<Task> {
        while let Some(name) = self.free.pop_front() {
            let Some(tasks) = self.hosts.get_mut(&name) else {
                continue;
            };
            let Some(Target::Listed(first)) = tasks.held.front().map(|task| &task.target) else {
                continue;
            };
            let limit = limit(&first.host, self.per_host);
            if tasks.under_way >= limit {
                continue;
            }
            tasks.under_way += 1;
            self.held -= 1;
            let task = tasks.held.pop_front();
            if tasks.under_way < limit && !tasks.held.is_empty() {
                self.free.push_back(name);
            }
            return task;
        }
        None
    }

    /// Notes that a task has its result, or waits for its next attempt.
    pub fn task_ended(&mut self, listed: &Listed) {
        let name = &listed.host.address;
        let Some(tasks) = self.hosts.get_mut(name) else {
            return;
        };
        tasks.under_way -= 1;
        if !tasks.held.is_empty() {
            self.free.push_back(name.clone());
        } else if tasks.under_way == 0 {
            self.hosts.remove(name);
        }
    }

    /// Reports an address whose page has failed for good.
    pub fn give_up(&self, listed: Listed, error: PageError) {
        (self.failed)(listed, error);
    }

    /// Gives out no further task.
    pub fn stop(&mut self) {
        self.addresses = Box::new(std::iter::empty());
        self.free.clear();
        self.hosts.values_mut().for_each(|tasks| tasks.held.clear());
        self.held = 0;
    }
}

/// How many tasks of a host may be under way now.
fn limit(host: &Host, per_host: usize) -> usize {
    if host.robots.is_wanted() || host.throttle.is_paused() {
        1
    } else {
        per_host
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::site::robots::Rules;
    use crate::source::hosts::Hosts;

    /// `host` and the numbers of addresses there, in the order of a list.
    fn listed(hosts: &Hosts, list: &[(&str, u64)]) -> Vec<Listed> {
        let listed = list.iter().map(|(host, position)| {
            let address: Arc<str> = format!("http://{host}/{position}").into();
            Listed {
                position: *position,
                host: hosts.of(&address),
                address,
                sink: None,
                seen: None,
            }
        });
        listed.collect()
    }

    fn position(task: &Task) -> u64 {
        match &task.target {
            Target::Listed(listed) => listed.position,
            _ => panic!("{task:?}"),
        }
    }

    fn take_all(walk: &mut AddressWalk) -> Vec<Task> {
        std::iter::from_fn(|| walk.next_task()).collect()
    }

    fn end(walk: &mut AddressWalk, task: &Task) {
        match &task.target {
            Target::Listed(listed) => walk.task_ended(listed),
            _ => panic!("{task:?}"),
        }
    }

    const LIST: [(&str, u64); 6] = [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("a", 5), ("b", 6)];

    #[test]
    fn holds_back_tasks_of_a_host_with_enough_under_way() {
        let hosts = Hosts::new(2, None);
        let mut walk = AddressWalk::new(listed(&hosts, &LIST).into_iter(), 2, |_, _| ());
        let first = take_all(&mut walk);
        assert_eq!(first.iter().map(position).collect::<Vec<_>>(), [1, 2, 4, 6]);
        end(&mut walk, &first[2]);
        assert!(walk.next_task().is_none(), "nothing of b is left");
        end(&mut walk, &first[0]);
        let next = take_all(&mut walk);
        assert_eq!(next.iter().map(position).collect::<Vec<_>>(), [3]);
        end(&mut walk, &first[1]);
        end(&mut walk, &next[0]);
        assert_eq!(
            take_all(&mut walk).iter().map(position).collect::<Vec<_>>(),
            [5]
        );
    }

    /// A retry takes a place like every task, and goes before those that are held back.
    #[test]
    fn a_retry_waits_for_a_place() {
        let hosts = Hosts::new(2, None);
        let mut walk = AddressWalk::new(listed(&hosts, &LIST).into_iter(), 2, |_, _| ());
        let mut first = take_all(&mut walk);
        let failed = first.remove(0);
        end(&mut walk, &failed);
        assert_eq!(walk.next_task().map(|task| position(&task)), Some(3));
        assert!(
            walk.resume(failed).is_none(),
            "two of its host are under way"
        );
        end(&mut walk, &first[0]);
        assert_eq!(walk.next_task().map(|task| position(&task)), Some(1));
        assert!(walk.next_task().is_none());
    }

    #[test]
    fn a_host_has_one_task_until_its_rules_are_known() {
        let hosts = Hosts::new(2, Some("me".to_owned()));
        let mut walk = AddressWalk::new(listed(&hosts, &LIST).into_iter(), 2, |_, _| ());
        let first = take_all(&mut walk);
        assert_eq!(first.iter().map(position).collect::<Vec<_>>(), [1, 4]);
        hosts.of("http://a/").robots.set(Ok(Rules::allow_all()));
        end(&mut walk, &first[0]);
        assert_eq!(
            take_all(&mut walk).iter().map(position).collect::<Vec<_>>(),
            [2, 3]
        );
    }

    #[test]
    fn a_stopped_walk_gives_out_nothing() {
        let hosts = Hosts::new(1, None);
        let mut walk = AddressWalk::new(listed(&hosts, &LIST).into_iter(), 1, |_, _| ());
        let first = take_all(&mut walk);
        walk.stop();
        for task in &first {
            end(&mut walk, task);
        }
        assert!(walk.next_task().is_none());
    }
}
