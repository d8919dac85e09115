//! A shard: the part of a job that one of several runs does.
//!
//! The addresses of a job are dealt by a hash, so each run knows its own without asking the others, and a
//! company stays with its shard when the index gets another one.
//!
//! **How long a job takes.** Of `C` companies on `P` index pages, each of `N` shards requests all index pages
//! and `C / N` companies. With `W` workers each, responses after `L` seconds, and `--rps R` for all shards
//! together, the job takes at least
//!
//! ```text
//! max( (P + C / N) × L / W,  (N × P + C) / R )  seconds
//! ```
//!
//! Measured with all shards at once, each with its recording, and `indexrank serve` on the same two cores,
//! 32 workers, 46 companies on an index page: seconds from the first start to the last end, in brackets the
//! least by the formula, and company pages per second. Medians of 5 rounds at 50 ms and of 3 at 500 ms, and one
//! round with `--rps`.
//!
//! | Shards | 50 ms, 5,000 companies | 500 ms, 2,000 companies | 50 ms, 5,000 companies, `--rps 400` |
//! |---|---|---|---|
//! | 1 | 8.41 s (7.98), 595/s | 33.2 s (31.9), 60/s | 13.1 s (12.8), 382/s |
//! | 2 | 4.43 s (4.08), 1,129/s | 17.6 s (16.3), 114/s | 13.4 s (13.0), 372/s |
//! | 4 | 2.42 s (2.12), 2,063/s | 10.1 s (8.5), 198/s | 14.0 s (13.6), 356/s |
//! | 8 | 1.69 s (1.15), 2,962/s | 6.1 s (4.6), 327/s | 15.4 s (14.7), 324/s |
//!
//! A hash deals unevenly: of 5,000 companies, the largest of 8 shards has some 30 more than the mean. A shard
//! also waits for robots.txt, for the first index page and for the slowest of its last requests: three or four
//! responses one after the other, which 8 shards at 500 ms show most. Beyond that, a job is bound
//!
//! * by `--rps`: more shards only read the index more often;
//! * by the index: with 46 companies on a page, half of the requests of 46 shards are for index pages;
//! * by the cores: a page takes 0.4 ms of CPU time in a shard, and the 8 shards above share two cores with the
//!   server.
//!
//! **A million addresses.** `fetch --shard 5/1000` deals a list of a million addresses in 1.3 s, with 48 MB of
//! memory, and needs no index. By the formula, without that time, with `--workers-per-host 32` and one host:
//!
//! | Shards | 50 ms | 500 ms | `--rps 400` |
//! |---|---|---|---|
//! | 1 | 26 min | 4 h 20 min | 42 min |
//! | 8 | 3 min 15 s | 33 min | 42 min |
//! | 64 | 24 s | 4 min 4 s | 42 min |

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::site::paths;

/// Each archive is an open file of the run that ranks them.
const MAX_SHARDS: u32 = 10_000;

/// Shard `number` of `of`, counted from 1. Its text is `3/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Shard {
    pub number: u32,
    pub of: NonZeroU32,
}

impl Shard {
    /// The only shard of a job that is not divided.
    pub const WHOLE: Shard = Shard {
        number: 1,
        of: NonZeroU32::MIN,
    };

    /// Whether an address, or a path of the site, is dealt to this shard.
    pub fn takes(self, address: &str) -> bool {
        number_of(address, self.of) == self.number
    }
}

/// The number of the shard that an address is dealt to: the first eight bytes of the SHA-256 of its
/// [canonical spelling](paths::canonical), most significant first, modulo the number of shards, plus one.
pub fn number_of(address: &str, shards: NonZeroU32) -> u32 {
    let digest = Sha256::digest(paths::canonical(address).as_bytes());
    let first = digest.iter().take(size_of::<u64>());
    let hash = first.fold(0, |hash, byte| hash << 8 | u64::from(*byte));
    // Less than the number of shards, which is a `u32`.
    (hash % u64::from(shards.get())) as u32 + 1
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(number, of)| {
            let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
            let number = number.parse().ok().filter(|_| digits(number))?;
            let of: NonZeroU32 = of.parse().ok().filter(|_| digits(of))?;
            let is_one = (1..=of.get()).contains(&number) && of.get() <= MAX_SHARDS;
            is_one.then_some(Shard { number, of })
        });
        parsed.ok_or_else(|| {
            format!("expected K/N with K from 1 to N and N up to {MAX_SHARDS}, like 3/8")
        })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        for text in ["1/1", "3/8", "10000/10000"] {
            let shard: Shard = text.parse().unwrap();
            assert_eq!(shard.to_string(), text);
        }
        for text in [
            "", "/", "3", "0/8", "9/8", "1/0", "+1/8", "1/+8", " 1/8", "1/10001", "1/8/2", "-1/8",
        ] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    /// Recordings of earlier versions say which shard they are, so a page stays with its shard for ever.
    /// The numbers are those of Python: `int(sha256(path).hexdigest()[:16], 16) % 8 + 1`.
    #[test]
    fn deals_an_address_to_the_same_shard_for_ever() {
        let eight = NonZeroU32::new(8).unwrap();
        for (address, number) in [
            ("/stocks/mmm-stock", 4),
            ("/stocks/aapl-stock", 7),
            ("http://site/users/1", 3),
        ] {
            assert_eq!(number_of(address, eight), number, "{address}");
            assert!(Shard { number, of: eight }.takes(address));
            assert_eq!(number_of(address, NonZeroU32::MIN), 1);
        }
        assert_eq!(number_of("/ü", eight), number_of("/%c3%bc", eight));
    }
}
