//! Which requests go wrong, and how: what `serve --faults` takes.
//!
//! ```text
//! 503@20%,reset-body@5%,retry-after:2@/stocks/mmm-stock#1
//! ```
//!
//! Parts are separated by commas; of those that fit a request the first is taken. A part is a kind of
//! fault, with an argument for some, and which requests it hits:
//!
//! | | |
//! |---|---|
//! | `@20%` | this share of the requests, drawn anew at each |
//! | `@/stocks/mmm-stock` | requests of this path and query; of all that begin like it with a `*` at the end |
//! | `#1`, `#2-3` | the first, the second and third request of an address |
//! | `@=17` | the 17th request that the server gets |
//!
//! Without any of them it hits all. What is drawn depends on the seed, the address and how often it
//! was asked for alone.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use fastrand::Rng;

/// A way for a request to go wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// An answer of this status, without a body to speak of.
    Status(u16),
    /// 503 with this `Retry-After`.
    RetryAfter(After),
    /// Reset before anything was sent, in the head, in the middle of the body.
    Reset,
    ResetHead,
    ResetBody,
    /// Closed before anything was sent.
    Close,
    /// Fewer bytes than announced, then closed.
    Short,
    /// No length announced, and closed in the middle.
    Cut,
    /// A chunk whose size is no number; chunks without their end.
    BadChunk,
    NoLastChunk,
    /// Two lengths, a length below zero.
    TwoLengths,
    NegativeLength,
    /// No HTTP at all.
    Garbage,
    /// Header after header.
    EndlessHead,
    /// No answer for so long; the head of one and then nothing for so long.
    Stall(Duration),
    StallBody(Duration),
    /// The body at ten bytes a second.
    Drip,
    /// A redirect to the address itself; to this address; to nowhere.
    RedirectLoop,
    Redirect(String),
    RedirectNowhere,
    /// 40 MiB of nothing in 40 KB of gzip; a body of 9 MiB that does not say so.
    Bomb,
    Huge,
    /// A gzip body without its end, with a wrong checksum; a plain one marked as gzip.
    TruncatedGzip,
    BadCrc,
    PlainAsGzip,
    /// The page marked as encoded in this way, in this charset.
    Encoding(String),
    Charset(String),
    /// Nothing with status 200; a page without its end.
    Empty,
    Fragment,
    /// Pages that want something of a human.
    Challenge,
    Consent,
    /// The page with the label of one figure changed.
    Layout,
    /// The page of another company; of an index, the page before.
    OtherPage,
    /// An index page that names ever more pages, with companies of its own.
    Growing,
}

/// What `Retry-After` says.
#[derive(Debug, Clone, PartialEq)]
pub enum After {
    Seconds(u64),
    /// So many seconds from now, as a date in one of the three forms of RFC 9110.
    Date(i64, DateForm),
    Text(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateForm {
    Imf,
    Rfc850,
    Asctime,
}

/// Which requests a part hits.
#[derive(Debug, Clone, Default, PartialEq)]
struct Where {
    share: Option<f64>,
    path: Option<String>,
    times: Option<RangeInclusive<u32>>,
    request: Option<u64>,
}

/// A plan of what goes wrong.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    parts: Vec<(Fault, Where)>,
}

impl FromStr for Faults {
    type Err = String;

    fn from_str(spec: &str) -> Result<Self, String> {
        let parts = spec.split(',').map(|part| {
            read_part(part.trim()).map_err(|why| format!("{:?} in the faults: {why}", part.trim()))
        });
        let parts = parts.collect::<Result<Vec<_>, String>>()?;
        let everywhere = parts.iter().filter(|(_, at)| at.path.is_none());
        let shares: f64 = everywhere.filter_map(|(_, at)| at.share).sum();
        if shares > 1.0 {
            return Err(format!("the shares add up to {:.0} %", shares * 100.0));
        }
        Ok(Faults { parts })
    }
}

fn read_part(part: &str) -> Result<(Fault, Where), String> {
    let mut at = Where::default();
    // A path may have a `#` only as the number of requests, and an `@` not at all.
    let mut pieces = part.split('@');
    let mut kind = pieces.next().unwrap_or_default();
    let times = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.parse().ok().filter(|number| *number > 0);
        let range = number(first)
            .zip(number(last))
            .filter(|(first, last)| first <= last);
        range
            .map(|(first, last)| first..=last)
            .ok_or_else(|| format!("#{text} is no number of requests, give #1 or #2-3"))
    };
    if let Some((before, number)) = kind.split_once('#') {
        kind = before;
        at.times = Some(times(number)?);
    }
    for piece in pieces {
        let mut piece = piece;
        if let Some((before, number)) = piece.rsplit_once('#') {
            piece = before;
            at.times = Some(times(number)?);
        }
        if let Some(share) = piece.strip_suffix('%') {
            let share = share
                .parse::<f64>()
                .ok()
                .filter(|share| (0.0..=100.0).contains(share));
            let share = share.ok_or_else(|| format!("{piece:?} is no share, give 0% to 100%"))?;
            at.share = Some(share / 100.0);
        } else if let Some(number) = piece.strip_prefix('=') {
            let number = number.parse().ok();
            at.request =
                Some(number.ok_or_else(|| format!("{piece:?} is no number of a request"))?);
        } else if piece.starts_with('/') {
            at.path = Some(piece.to_owned());
        } else {
            return Err(format!(
                "{piece:?} is no place, give @20%, @/a/path or @=17"
            ));
        }
    }
    Ok((read_kind(kind)?, at))
}

/// Kinds without an argument.
const PLAIN: [(&str, Fault); 27] = [
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

fn read_kind(text: &str) -> Result<Fault, String> {
    if let Some((_, fault)) = PLAIN.iter().find(|(name, _)| *name == text) {
        return Ok(fault.clone());
    }
    if let Ok(status @ 400..=599) = text.parse() {
        return Ok(Fault::Status(status));
    }
    let (name, argument) = text.split_once(':').unwrap_or((text, ""));
    let seconds = || {
        let seconds = argument
            .parse()
            .ok()
            .filter(|seconds| (0.0..=3600.0).contains(seconds));
        let seconds = seconds.map(Duration::from_secs_f64);
        seconds.ok_or_else(|| format!("{name} wants seconds, like {name}:5"))
    };
    let date = |form| {
        let seconds = argument.parse().ok();
        let seconds = seconds.filter(|seconds: &i64| seconds.abs() < 1_000_000_000);
        let seconds =
            seconds.ok_or_else(|| format!("{name} wants seconds from now, like {name}:2"))?;
        Ok(Fault::RetryAfter(After::Date(seconds, form)))
    };
    match name {
        "stall" => Ok(Fault::Stall(seconds()?)),
        "stall-body" => Ok(Fault::StallBody(seconds()?)),
        "retry-after" => Ok(Fault::RetryAfter(match argument.parse() {
            Ok(seconds) => After::Seconds(seconds),
            Err(_) => After::Text(argument.to_owned()),
        })),
        "retry-after-date" => date(DateForm::Imf),
        "retry-after-rfc850" => date(DateForm::Rfc850),
        "retry-after-asctime" => date(DateForm::Asctime),
        "redirect" if !argument.is_empty() => Ok(Fault::Redirect(argument.to_owned())),
        "encoding" if !argument.is_empty() => Ok(Fault::Encoding(argument.to_owned())),
        "charset" if !argument.is_empty() => Ok(Fault::Charset(argument.to_owned())),
        _ => Err(format!(
            "there is no fault {text:?}; there are a status like 503, {}, stall:SECONDS, \
             stall-body:SECONDS, retry-after:WHAT, retry-after-date:SECONDS, retry-after-rfc850:SECONDS, \
             retry-after-asctime:SECONDS, redirect:ADDRESS, encoding:NAME and charset:NAME",
            PLAIN.map(|(name, _)| name).join(", ")
        )),
    }
}

/// Every kind of fault by its name in a plan, those with an argument with one that fits a test.
pub fn kinds() -> Vec<String> {
    let plain = PLAIN.iter().map(|(name, _)| (*name).to_owned());
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
    plain.chain(with_argument.map(str::to_owned)).collect()
}

/// A plan that is being carried out: it counts requests.
#[derive(Debug)]
pub struct Plan {
    faults: Faults,
    seed: u64,
    asked: Mutex<(u64, HashMap<String, u32>)>,
}

impl Plan {
    pub fn new(faults: Faults, seed: u64) -> Self {
        Plan {
            faults,
            seed,
            asked: Mutex::default(),
        }
    }

    /// What goes wrong with the next request of a path.
    pub fn next(&self, path: &str) -> Option<&Fault> {
        let (request, time) = {
            let (requests, times) = &mut *self.asked.lock().expect("no panic holds the lock");
            let time = times.entry(path.to_owned()).or_default();
            *requests += 1;
            *time += 1;
            (*requests, *time)
        };
        let mut hasher = DefaultHasher::new();
        (self.seed, path, time).hash(&mut hasher);
        // One draw a request, so that shares of several parts add up.
        let mut drawn = Rng::with_seed(hasher.finish()).f64();
        for (fault, at) in &self.faults.parts {
            let fits = at
                .path
                .as_ref()
                .is_none_or(|wanted| match wanted.strip_suffix('*') {
                    Some(beginning) => path.starts_with(beginning),
                    None => path == wanted,
                });
            let fits = fits
                && at.times.as_ref().is_none_or(|times| times.contains(&time))
                && at.request.is_none_or(|wanted| wanted == request);
            if !fits {
                continue;
            }
            match at.share {
                Some(share) if drawn >= share => drawn -= share,
                _ => return Some(fault),
            }
        }
        None
    }
}
