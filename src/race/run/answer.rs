//! The answer of a run, and its comparison with the expected answer.

use std::fs;
use std::path::Path;

use data_encoding::HEXLOWER;
use serde_json::Value;
use sha1::{Digest, Sha1};

use crate::race::run::child::COMPANIES_FILE;

const RANKING_FILES: [&str; 4] = [
    "price.json",
    "pe.json",
    "growth.json",
    "potential_profit.json",
];

/// Maximum size in bytes of a ranking of a program. Ten places take under 2 KB.
const MAX_RANKING: u64 = 64 << 10;

/// The files that a run wrote, in a comparable form. A run may write only some of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    pub companies: Option<String>,
    /// File name and content.
    pub rankings: Vec<(String, Value)>,
}

impl Answer {
    /// The answer in the folder of a contender.
    pub fn of_contender(out: &Path) -> Self {
        Answer {
            companies: fs::read_to_string(out.join(COMPANIES_FILE)).ok(),
            rankings: rankings(out),
        }
    }

    /// The answer in the folder of a program, which may contain anything. The error says what is in there
    /// and cannot be an answer.
    pub fn of_program(out: &Path) -> Result<Self, String> {
        for entry in fs::read_dir(out).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Ok(file) = entry.path().symlink_metadata() else {
                continue;
            };
            // To open a FIFO blocks, a device may have no end, and a link leads anywhere.
            if !file.is_file() && !file.is_dir() {
                return Err(format!("{name} in INDEXRANK_OUT is not a regular file"));
            }
            if file.len() > MAX_RANKING && RANKING_FILES.contains(&&*name) {
                return Err(format!("{name} is over {} KiB", MAX_RANKING >> 10));
            }
        }
        Ok(Answer {
            companies: None,
            rankings: rankings(out),
        })
    }

    /// The first difference from the expected answer. `None` if they are equal, or if this answer
    /// has no files to compare.
    pub fn difference(&self, expected: &Answer) -> Option<String> {
        self.ranking_difference(expected)
            .or_else(|| self.company_difference(expected))
    }

    /// The first difference between the rankings. `None` if they are equal or this answer has none.
    fn ranking_difference(&self, expected: &Answer) -> Option<String> {
        if self.rankings.is_empty() {
            return None;
        }
        expected.rankings.iter().find_map(|(name, expected)| {
            let Some((_, ranking)) = self.rankings.iter().find(|(other, _)| other == name) else {
                return Some(format!("{name} is missing"));
            };
            if equal(ranking, expected) {
                return None;
            }
            let places = expected.as_array().map_or(&[][..], Vec::as_slice);
            let differs =
                |at: &usize| !ranking.get(*at).is_some_and(|got| equal(got, &places[*at]));
            Some(match (0..places.len()).find(differs) {
                Some(at) => {
                    let got = ranking
                        .get(at)
                        .map_or("nothing".to_owned(), Value::to_string);
                    format!(
                        "{name}, place {}: got {got}, expected {}",
                        at + 1,
                        places[at]
                    )
                }
                None => format!("{name} has more than {} places", places.len()),
            })
        })
    }

    /// The first different line of the tables of companies. `None` if they are equal or one is missing.
    fn company_difference(&self, expected: &Answer) -> Option<String> {
        let mut got = self.companies.as_ref()?.lines();
        let mut expected = expected.companies.as_ref()?.lines();
        loop {
            match (got.next(), expected.next()) {
                (None, None) => return None,
                (got, expected) if got == expected => {}
                (got, expected) => {
                    return Some(format!(
                        "got {}, expected {}",
                        got.unwrap_or("nothing"),
                        expected.unwrap_or("nothing")
                    ));
                }
            }
        }
    }

    /// 0 if the answer has no table of companies.
    pub fn number_of_companies(&self) -> usize {
        self.companies
            .as_deref()
            .unwrap_or_default()
            .lines()
            .count()
    }

    /// The lines of a list for addresses that failed.
    pub fn failures(&self) -> impl Iterator<Item = Value> {
        let lines = self.companies.as_deref().unwrap_or_default().lines();
        lines
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line["error"].is_string())
    }

    /// SHA-1 of the whole answer in hexadecimal. `None` without companies.
    pub fn digest(&self) -> Option<String> {
        let mut hash = Sha1::new();
        hash.update(self.companies.as_deref()?);
        for (name, ranking) in &self.rankings {
            hash.update(format!("{name}{ranking}"));
        }
        Some(HEXLOWER.encode(&hash.finalize()))
    }
}

/// The rankings in a folder.
fn rankings(out: &Path) -> Vec<(String, Value)> {
    let ranking = |name: &str| {
        let bytes = fs::read(out.join(name)).ok()?;
        // Invalid JSON counts as a different answer, not as a missing file.
        let content = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Some((name.to_owned(), content))
    };
    RANKING_FILES.into_iter().filter_map(ranking).collect()
}

/// Compares JSON values, and numbers as floats: other languages write 12.0 for 12.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| equal(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, a)| other.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => one == other,
    }
}
