//! The syntax of `serve --faults`: which requests get which fault.
//!
//! ```text
//! 503@20%,reset-body@5%,retry-after:2@/stocks/mmm-stock#1
//! ```
//!
//! Commas separate rules, and the first rule that matches a request applies. A rule names a kind of
//! fault, with an argument for some kinds, and then limits it to some requests:
//!
//! | Limit | Requests |
//! |---|---|
//! | `@20%` | this share of all requests, drawn anew for each request |
//! | `@/stocks/mmm-stock` | for this path and query; with a `*` at the end, for all paths with that prefix |
//! | `#1`, `#2-3` | the first, or the second and third, for each path |
//! | `@=17` | the 17th that the server receives |
//!
//! All limits of a rule must hold. A rule without limits matches every request. The draw depends on
//! the seed, the path and the number of requests for that path so far, and on nothing else.

use std::ops::RangeInclusive;
use std::str::FromStr;

use super::fault::{Fault, parse_kind};

/// The limits of a rule. Each is `None` if the rule does not have it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Scope {
    /// From 0 to 1.
    pub(super) share: Option<f64>,
    path: Option<String>,
    /// Numbers of the requests for one path, from 1.
    occurrences: Option<RangeInclusive<u32>>,
    /// Number of the request among all, from 1.
    request: Option<u64>,
}

impl Scope {
    /// Whether a request is within all limits but the share.
    pub(super) fn contains(&self, path: &str, occurrence: u32, request: u64) -> bool {
        let path_matches = |wanted: &String| match wanted.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == wanted,
        };
        self.path.as_ref().is_none_or(path_matches)
            && self
                .occurrences
                .as_ref()
                .is_none_or(|numbers| numbers.contains(&occurrence))
            && self.request.is_none_or(|wanted| wanted == request)
    }
}

/// The rules of `--faults`, in the order in which they are tried.
///
/// Parsing fails on an unknown kind, a bad argument or limit, and if the shares of rules without a
/// path add up to more than 1. The error names the rule.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    pub(super) rules: Vec<(Fault, Scope)>,
}

impl FromStr for Faults {
    type Err = String;

    fn from_str(spec: &str) -> Result<Self, String> {
        let rules = spec.split(',').map(|rule| {
            parse_rule(rule.trim()).map_err(|why| format!("fault {:?}: {why}", rule.trim()))
        });
        let rules = rules.collect::<Result<Vec<_>, String>>()?;
        let on_any_path = rules.iter().filter(|(_, scope)| scope.path.is_none());
        let shares: f64 = on_any_path.filter_map(|(_, scope)| scope.share).sum();
        if shares > 1.0 {
            return Err(format!(
                "the shares add up to {:.0} %; give at most 100 %",
                shares * 100.0
            ));
        }
        Ok(Faults { rules })
    }
}

fn parse_rule(rule: &str) -> Result<(Fault, Scope), String> {
    let mut scope = Scope::default();
    // A path cannot contain `@`, and its last `#` starts the numbers of requests.
    let mut pieces = rule.split('@');
    let mut kind = pieces.next().unwrap_or_default();
    if let Some((before, numbers)) = kind.split_once('#') {
        kind = before;
        scope.occurrences = Some(parse_occurrences(numbers)?);
    }
    for piece in pieces {
        let mut limit = piece;
        if let Some((before, numbers)) = piece.rsplit_once('#') {
            limit = before;
            scope.occurrences = Some(parse_occurrences(numbers)?);
        }
        if let Some(percent) = limit.strip_suffix('%') {
            let percent = percent
                .parse::<f64>()
                .ok()
                .filter(|percent| (0.0..=100.0).contains(percent));
            let percent =
                percent.ok_or_else(|| format!("{limit:?} is not a share; give 0% to 100%"))?;
            scope.share = Some(percent / 100.0);
        } else if let Some(number) = limit.strip_prefix('=') {
            let number = number
                .parse()
                .map_err(|_| format!("{limit:?} is not a request number; give @=17"))?;
            scope.request = Some(number);
        } else if limit.starts_with('/') {
            scope.path = Some(limit.to_owned());
        } else {
            return Err(format!(
                "{limit:?} is not a share, a path or a request number; give @20%, @/a/path or @=17"
            ));
        }
    }
    Ok((parse_kind(kind)?, scope))
}

/// Parses `1` or `2-3`.
fn parse_occurrences(text: &str) -> Result<RangeInclusive<u32>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse().ok().filter(|number| *number > 0);
    let range = number(first)
        .zip(number(last))
        .filter(|(first, last)| first <= last);
    range
        .map(|(first, last)| first..=last)
        .ok_or_else(|| format!("#{text} is not a range of requests; give #1 or #2-3"))
}
