//! The faults that the server can inject, and the syntax of `serve --faults`.
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
use std::time::Duration;

/// A way in which the server mistreats a request. `misbehave` holds the bytes of each.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// This status with an empty body.
    Status(u16),
    /// 503 with this `Retry-After`.
    RetryAfter(RetryAfter),
    /// A reset before the first byte.
    Reset,
    /// A reset inside the head.
    ResetHead,
    /// A reset in the middle of the body.
    ResetBody,
    /// A connection closed before the first byte.
    Close,
    /// Fewer bytes than announced, then a close.
    Short,
    /// No announced length, and a close in the middle of the body.
    Cut,
    /// A chunk whose size is not a number.
    BadChunk,
    /// Chunks without the last one, which has size 0.
    NoLastChunk,
    /// Two different `Content-Length`.
    TwoLengths,
    /// A `Content-Length` below zero.
    NegativeLength,
    /// Bytes that are not HTTP.
    Garbage,
    /// 4 MiB of header lines without an end.
    EndlessHead,
    /// Silence for this long, then a close.
    Stall(Duration),
    /// Half of the body, silence for this long, then a close.
    StallBody(Duration),
    /// The body at ten bytes a second.
    Drip,
    /// A redirect to the requested address itself.
    RedirectLoop,
    /// A redirect to this address.
    Redirect(String),
    /// A redirect without a `Location`.
    RedirectNowhere,
    /// 40 MiB of spaces in 40 KB of gzip.
    Bomb,
    /// A body of 9 MiB without an announced length.
    Huge,
    /// A gzip body without its second half.
    TruncatedGzip,
    /// A gzip body with a wrong checksum.
    BadCrc,
    /// A plain body declared as gzip.
    PlainAsGzip,
    /// The plain page declared as encoded in this way.
    Encoding(String),
    /// The page declared as written in this charset.
    Charset(String),
    /// Status 200 with an empty body.
    Empty,
    /// The first half of the page, complete as HTTP.
    Fragment,
    /// A page that asks the visitor to pass a bot check.
    Challenge,
    /// A page that asks the visitor to accept cookies.
    Consent,
    /// The page with the label of one figure changed.
    Layout,
    /// The page of another company; for an index page, the page before it.
    OtherPage,
    /// An index page that links to ever more index pages and has companies of its own.
    Growing,
}

/// A value of `Retry-After` (RFC 9110, 10.2.3).
#[derive(Debug, Clone, PartialEq)]
pub enum RetryAfter {
    Seconds(u64),
    /// The date this many seconds from now.
    Date(i64, DateFormat),
    /// Any other text, sent unchanged.
    Text(String),
}

/// The three date formats of HTTP (RFC 9110, 5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateFormat {
    Imf,
    Rfc850,
    Asctime,
}

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

/// Kinds without an argument, by their name in a rule.
const WITHOUT_ARGUMENT: [(&str, Fault); 27] = [
    ("reset", Fault::Reset),
    ("reset-head", Fault::ResetHead),
    ("reset-body", Fault::ResetBody),
    ("close", Fault::Close),
    ("short", Fault::Short),
    ("cut", Fault::Cut),
    ("bad-chunk", Fault::BadChunk),
    ("no-last-chunk", Fault::NoLastChunk),
    ("two-lengths", Fault::TwoLengths),
    ("negative-length", Fault::NegativeLength),
    ("garbage", Fault::Garbage),
    ("endless-head", Fault::EndlessHead),
    ("drip", Fault::Drip),
    ("redirect-loop", Fault::RedirectLoop),
    ("redirect-nowhere", Fault::RedirectNowhere),
    ("bomb", Fault::Bomb),
    ("huge", Fault::Huge),
    ("truncated-gzip", Fault::TruncatedGzip),
    ("bad-crc", Fault::BadCrc),
    ("plain-as-gzip", Fault::PlainAsGzip),
    ("empty", Fault::Empty),
    ("fragment", Fault::Fragment),
    ("challenge", Fault::Challenge),
    ("consent", Fault::Consent),
    ("layout", Fault::Layout),
    ("other-page", Fault::OtherPage),
    ("growing", Fault::Growing),
];

fn parse_kind(text: &str) -> Result<Fault, String> {
    if let Some((_, fault)) = WITHOUT_ARGUMENT.iter().find(|(name, _)| *name == text) {
        return Ok(fault.clone());
    }
    if let Ok(status @ 400..=599) = text.parse() {
        return Ok(Fault::Status(status));
    }
    let (name, argument) = text.split_once(':').unwrap_or((text, ""));
    let duration = || {
        let seconds = argument
            .parse()
            .ok()
            .filter(|seconds| (0.0..=3600.0).contains(seconds));
        let duration = seconds.map(Duration::from_secs_f64);
        duration.ok_or_else(|| format!("{name} needs seconds, 0 to 3600, like {name}:5"))
    };
    let date = |format| {
        let seconds = argument.parse().ok();
        let seconds = seconds.filter(|seconds: &i64| seconds.abs() < 1_000_000_000);
        let seconds =
            seconds.ok_or_else(|| format!("{name} needs whole seconds from now, like {name}:2"))?;
        Ok(Fault::RetryAfter(RetryAfter::Date(seconds, format)))
    };
    match name {
        "stall" => Ok(Fault::Stall(duration()?)),
        "stall-body" => Ok(Fault::StallBody(duration()?)),
        "retry-after" => Ok(Fault::RetryAfter(match argument.parse() {
            Ok(seconds) => RetryAfter::Seconds(seconds),
            Err(_) => RetryAfter::Text(argument.to_owned()),
        })),
        "retry-after-date" => date(DateFormat::Imf),
        "retry-after-rfc850" => date(DateFormat::Rfc850),
        "retry-after-asctime" => date(DateFormat::Asctime),
        "redirect" if !argument.is_empty() => Ok(Fault::Redirect(argument.to_owned())),
        "encoding" if !argument.is_empty() => Ok(Fault::Encoding(argument.to_owned())),
        "charset" if !argument.is_empty() => Ok(Fault::Charset(argument.to_owned())),
        _ => Err(format!(
            "unknown kind {text:?}; give a status from 400 to 599, {}, stall:SECONDS, \
             stall-body:SECONDS, retry-after:VALUE, retry-after-date:SECONDS, retry-after-rfc850:SECONDS, \
             retry-after-asctime:SECONDS, redirect:ADDRESS, encoding:NAME or charset:NAME",
            WITHOUT_ARGUMENT.map(|(name, _)| name).join(", ")
        )),
    }
}

/// Every kind of fault in the syntax of a rule. Kinds with an argument have one that suits tests.
pub fn kinds() -> Vec<String> {
    let without = WITHOUT_ARGUMENT.iter().map(|(name, _)| (*name).to_owned());
    let with_argument = [
        "404",
        "500",
        "503",
        "403",
        "stall:0.1",
        "stall-body:0.1",
        "retry-after:1",
        "retry-after:soon",
        "retry-after-date:1",
        "retry-after-rfc850:1",
        "retry-after-asctime:1",
        "retry-after-date:-60",
        "redirect:http://localhost:1/",
        "encoding:br",
        "charset:utf-16",
    ];
    without.chain(with_argument.map(str::to_owned)).collect()
}
