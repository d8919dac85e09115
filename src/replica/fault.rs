//! The kinds of faults that the server can inject, and their names in a rule.

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
    /// The page twice in one write. On a kept connection, the second belongs to no request.
    Surplus,
    /// The page, and 20 ms later the page again, which the next request on the connection reads.
    SurplusLate,
    /// For `?p=N` or a letter page, a redirect to `?p=1` or letter A.
    ToPageOne,
    /// For an index page, a redirect to the same page of another index.
    OtherIndex,
    /// A well-formed page, but another one or a changed one.
    Altered(Alteration),
}

/// A change of a page. `alter` makes each; where one does not apply, the page stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alteration {
    /// The label of one figure is another.
    Layout,
    /// The next page of its kind: of the next company, number or letter, or the first after the last.
    OtherPage,
    /// For `?p=N` or a letter page, page 1 or letter A.
    PageOne,
    /// An index page links to ever more index pages and has companies of its own.
    Growing,
    /// An index page has its first five rows alone.
    FewRows,
    /// The header cells of the table of companies are `td`.
    TdHeader,
    /// The header cell before "1 Year" spans two columns, and the rows have both.
    Colspan,
    /// A header cell before "1 Year" has no cells in the rows.
    ExtraColumn,
    /// White space surrounds the addresses of the companies in their links.
    RowSpace,
    /// The address of the first company on an index page has 300 bytes.
    LongRow,
    /// The first company of page 2 has moved up: page 2 lacks it, and page 1 lists it from its second
    /// request on.
    Moved,
    /// A page does not state its own address, index or number.
    Unnamed,
    /// A dollar costs 0.0000001 roubles.
    AbsurdRate,
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

/// Kinds without an argument, by their name in a rule.
const WITHOUT_ARGUMENT: [(&str, Fault); 41] = [
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
    ("surplus", Fault::Surplus),
    ("surplus-late", Fault::SurplusLate),
    ("to-page-one", Fault::ToPageOne),
    ("other-index", Fault::OtherIndex),
    ("layout", Fault::Altered(Alteration::Layout)),
    ("other-page", Fault::Altered(Alteration::OtherPage)),
    ("page-one", Fault::Altered(Alteration::PageOne)),
    ("growing", Fault::Altered(Alteration::Growing)),
    ("few-rows", Fault::Altered(Alteration::FewRows)),
    ("td-header", Fault::Altered(Alteration::TdHeader)),
    ("colspan", Fault::Altered(Alteration::Colspan)),
    ("extra-column", Fault::Altered(Alteration::ExtraColumn)),
    ("row-space", Fault::Altered(Alteration::RowSpace)),
    ("long-row", Fault::Altered(Alteration::LongRow)),
    ("moved", Fault::Altered(Alteration::Moved)),
    ("unnamed", Fault::Altered(Alteration::Unnamed)),
    ("absurd-rate", Fault::Altered(Alteration::AbsurdRate)),
];

/// Parses the name of a kind, with its argument if it has one.
pub(super) fn parse_kind(text: &str) -> Result<Fault, String> {
    if let Some((_, fault)) = WITHOUT_ARGUMENT.iter().find(|(name, _)| *name == text) {
        return Ok(fault.clone());
    }
    if let Ok(status @ 400..=999) = text.parse() {
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
            "unknown kind {text:?}; give a status from 400 to 999, {}, stall:SECONDS, \
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
