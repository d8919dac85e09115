//! Second looks at index pages after the walk.
//!
//! A company that moves to an earlier page during the walk may be on none of the pages as they were
//! fetched. So the first numbered page, and every page that was retried and so came much later than its
//! neighbours, is fetched once more at the end.

use crate::pipeline::series::{Paths, paths};
use crate::pipeline::task::{IndexPageId, Target, Task};
use crate::site::index::{IndexPage, Link};
use crate::source::Source;

/// Maximum number of pages in the warning. Of 2,500 pages, each may have been retried.
const NAMED: usize = 5;

#[derive(Default)]
pub struct SecondLooks {
    /// The pages to fetch again, and the companies that the first look has found there.
    pages: Vec<(IndexPageId, Paths)>,
    /// Pages handed out so far.
    requested: usize,
    /// How the first pages that have changed did, a phrase for each.
    changes: Vec<String>,
    /// Pages that have changed.
    changed: usize,
}

impl SecondLooks {
    /// Adds a page if it is the first numbered one or was retried. Of an archive, adds a page whose second
    /// look was recorded.
    pub fn add(&mut self, source: &Source, task: &Task, page: &IndexPage) {
        let Target::IndexPage { id, .. } = task.target else {
            return;
        };
        let is_looked_at_again = match source.as_archive() {
            Some(archive) => archive.has_second_look(task.path()),
            None => id == IndexPageId::Number(1) || task.attempts.is_retry(),
        };
        if is_looked_at_again {
            self.pages.push((id, paths(page)));
        }
    }

    /// The next page to fetch again, of the index `name`.
    pub fn next_task(&mut self, name: &str) -> Option<Task> {
        let (id, _) = *self.pages.get(self.requested)?;
        self.requested += 1;
        let path = id.path(name).into();
        Some(Task::new(Target::Recheck { id, path }))
    }

    /// Drops the pages that are not yet handed out.
    pub fn stop(&mut self) {
        self.requested = self.pages.len();
    }

    /// Compares a page with the first look, and returns the companies that were not on it.
    pub fn compare(&mut self, id: IndexPageId, now: IndexPage) -> Vec<Link> {
        let is_other = match (id, now.number) {
            (IndexPageId::Number(own), Some(stated)) => own != stated,
            _ => false,
        };
        let first_look = self.pages.iter().find(|(page, _)| *page == id);
        let Some((_, before)) = first_look.filter(|_| !is_other) else {
            return Vec::new();
        };
        let removed = before.difference(&paths(&now)).count();
        if 2 * removed > before.len() {
            // An index does not change by half within a run, so this is another page.
            return Vec::new();
        }
        let mut rows = now.rows;
        rows.retain(|link| !before.contains(&link.path));
        if rows.len() + removed > 0 {
            self.changed += 1;
            if self.changed <= NAMED {
                let added = rows.len();
                self.changes
                    .push(format!("{id}: {added} added, {removed} removed"));
            }
        }
        rows
    }

    /// A warning about an index that changed during the walk, if it did.
    pub fn warning(&self) -> Option<String> {
        let mut changes = self.changes.join("; ");
        if self.changed > NAMED {
            changes += &format!("; and {} more pages", self.changed - NAMED);
        }
        (!changes.is_empty()).then(|| {
            format!(
                "the index changed during the walk ({changes}); added companies are fetched, but others \
                 may be missing: run it again"
            )
        })
    }
}
