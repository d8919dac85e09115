//! The rows of an index that one shard of a job fetches, and a digest of all rows.

use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::site::index::Link;
use crate::source::shard::Shard;

/// The whole index as one shard saw it. All shards of a job must have seen the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexDigest {
    /// Number of distinct companies.
    pub companies: usize,
    /// SHA-256 in hexadecimal of their paths and growths, a line for each company: `PATH GROWTH\n`, without
    /// the growth `PATH \n`. The lines are in byte order.
    pub sha256: String,
}

/// The rows that a shard has seen so far.
pub struct ShardRows {
    shard: Shard,
    /// A line of the digest for each.
    lines: Vec<Box<str>>,
    /// Number of rows that are dealt to the shard.
    pub own: usize,
}

impl ShardRows {
    pub fn new(shard: Shard) -> Self {
        ShardRows {
            shard,
            lines: Vec::new(),
            own: 0,
        }
    }

    /// Notes rows of companies that were not listed before, and keeps those of the shard.
    pub fn keep_own(&mut self, rows: &mut Vec<Link>) {
        let lines = rows.iter().map(|link| {
            let growth = link.growth.map(|growth| growth.normalize().to_string());
            format!("{} {}\n", link.path, growth.unwrap_or_default()).into()
        });
        self.lines.extend(lines);
        rows.retain(|link| self.shard.takes(&link.path));
        self.own += rows.len();
    }

    /// The digest of all rows.
    pub fn digest(&mut self) -> IndexDigest {
        self.lines.sort_unstable();
        let mut sha256 = Sha256::new();
        for line in &self.lines {
            sha256.update(line.as_bytes());
        }
        IndexDigest {
            companies: self.lines.len(),
            sha256: HEXLOWER.encode(&sha256.finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(path: &str, growth: Option<&str>) -> Link {
        Link {
            growth: growth.map(|growth| growth.parse().unwrap()),
            ..Link::to(path)
        }
    }

    fn digest(number: u32, rows: &[(&str, Option<&str>)]) -> (usize, IndexDigest) {
        let of = 2.try_into().unwrap();
        let mut all = ShardRows::new(Shard { number, of });
        let mut rows: Vec<Link> = rows.iter().map(|row| link(row.0, row.1)).collect();
        all.keep_own(&mut rows);
        (all.own, all.digest())
    }

    #[test]
    fn shards_that_saw_the_same_rows_in_any_order_have_one_digest() {
        let rows = [("/a", Some("1.50")), ("/b", None), ("/c", Some("-2"))];
        let other_order = [rows[2], ("/a", Some("1.5")), rows[1]];
        let (first, seen) = digest(1, &rows);
        let (second, also_seen) = digest(2, &other_order);
        assert_eq!(seen, also_seen);
        assert_eq!((first + second, seen.companies), (3, 3));
        for (number, other) in [
            (0, ("/a", Some("1.51"))),
            (1, ("/b", Some("0"))),
            (2, ("/d", Some("-2"))),
        ] {
            let mut others = rows;
            others[number] = other;
            assert_ne!(digest(1, &others).1.sha256, seen.sha256, "{other:?}");
        }
    }
}
