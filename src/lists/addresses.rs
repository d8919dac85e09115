//! The list of addresses to fetch: arguments of the command line, then the lines of a file.
//!
//! All of it is validated before the first request. It is expanded only as it is walked: a range of 10^9
//! addresses takes no more memory than its text.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use url::Url;

use crate::http::proxy::{PLACEHOLDER, without_credentials};
use crate::lists::pattern::Pattern;
use crate::site::text::{prefix, visible};
use crate::words;

/// Errors that are shown; the others are counted.
const MAX_ERRORS: usize = 10;
/// Maximum size of a list in bytes. It is kept in memory.
const MAX_LIST: u64 = 256 << 20;
/// Bytes of an address that an error shows.
const MAX_SHOWN: usize = 200;

const NO_CREDENTIALS: &str = "it has a user or a password, which is not supported";

/// A validated list of addresses.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    arguments: Vec<String>,
    list: List,
    len: u64,
}

/// An address to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The position in the whole expanded list, from 1.
    pub position: u64,
    /// The address as it was written, with the values of ranges and sets and without its fragment (`#…`). It
    /// may have characters that only [`encoded`](crate::site::paths::encoded) makes fit for a request.
    pub address: Arc<str>,
}

/// The text of a file of addresses, one a line. Blank lines, lines that begin with `#`, white space around
/// an address and a byte order mark are ignored.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// The file as errors name it.
    pub name: String,
    pub text: String,
}

/// What is wrong with addresses: a sentence for each of the first ten, on a line of its own, and the number
/// of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressErrors {
    sentences: Vec<String>,
    others: usize,
}

impl Addresses {
    /// Validates every address of the arguments and of the list. Both may have ranges and sets. Of a range
    /// only the first and the last value are tried, of several sets not all combinations: an address that
    /// passes may still be none.
    pub fn new(arguments: Vec<String>, list: Option<List>) -> Result<Self, AddressErrors> {
        let mut addresses = Addresses {
            arguments,
            list: list.unwrap_or_default(),
            len: 0,
        };
        let mut errors = AddressErrors::default();
        let mut len: u64 = 0;
        for (line, text) in addresses.entries() {
            match validate(text) {
                Ok(count) => len = len.saturating_add(count),
                Err(why) => errors.add(|| {
                    let place = line.map(|line| format!("{}, line {line}: ", addresses.list.name));
                    format!("{}{}: {why}", place.unwrap_or_default(), shown(text))
                }),
            }
        }
        addresses.len = len;
        errors.none_or(addresses)
    }

    /// The number of addresses, at most `u64::MAX`.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// SHA-256 in hexadecimal of the list as given, after these files.
    pub fn digest(&self, files: &[PathBuf]) -> String {
        let mut sha256 = Sha256::new();
        let files = files.iter().map(|file| file.as_os_str().as_encoded_bytes());
        let arguments = self.arguments.iter().map(|argument| argument.as_bytes());
        for part in files.chain(arguments).chain([self.list.text.as_bytes()]) {
            sha256.update(part);
            sha256.update(b"\n");
        }
        HEXLOWER.encode(&sha256.finalize())
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All addresses in order, those that occur twice both times.
    pub fn iter(&self) -> impl Iterator<Item = Listed> + '_ {
        let addresses = self.entries().flat_map(|(_, text)| expand(text));
        (1..)
            .zip(addresses)
            .map(|(position, address)| Listed { position, address })
    }

    /// The arguments and the lines with an address, with the number of a line, from 1.
    fn entries(&self) -> impl Iterator<Item = (Option<usize>, &str)> {
        let arguments = self.arguments.iter().map(|text| (None, text.trim()));
        let text = self.list.text.trim_start_matches('\u{feff}');
        let lines = (1..).zip(text.split('\n'));
        let lines = lines.map(|(number, line)| (Some(number), line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        arguments.chain(lines)
    }
}

impl List {
    /// Reads a file, or the standard input for `-`. The error is a sentence.
    pub fn read(path: &Path) -> Result<Self, String> {
        let (name, read) = if path == Path::new("-") {
            (
                "the standard input".to_owned(),
                read_list(io::stdin().lock()),
            )
        } else {
            let name = path.display().to_string();
            (name, File::open(path).and_then(read_list))
        };
        let bytes =
            read.map_err(|error| format!("cannot read {name}: {}", words::of_system(&error)))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
            format!("cannot read {name}: line {line} is not UTF-8")
        })?;
        Ok(List { name, text })
    }
}

fn read_list(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_LIST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_LIST {
        let limit = MAX_LIST >> 20;
        return Err(io::Error::other(format!("it is larger than {limit} MiB")));
    }
    Ok(bytes)
}

impl AddressErrors {
    fn add(&mut self, sentence: impl FnOnce() -> String) {
        if self.sentences.len() < MAX_ERRORS {
            self.sentences.push(sentence());
        } else {
            self.others += 1;
        }
    }

    fn none_or<T>(self, value: T) -> Result<T, Self> {
        if self.sentences.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

impl std::error::Error for AddressErrors {}

impl fmt::Display for AddressErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences.join("\n"))?;
        match self.others {
            0 => Ok(()),
            others => write!(f, "\nand {others} more"),
        }
    }
}

/// Splits arguments into local files and addresses, which have `://` in front of their first slash. An
/// argument without it is a file, `-` too, whether the file exists or not; but one that does not exist and
/// begins with the name of a host is an error. The addresses are not validated.
pub fn split_arguments(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(Vec<PathBuf>, Vec<String>), AddressErrors> {
    let mut files = Vec::new();
    let mut addresses = Vec::new();
    let mut errors = AddressErrors::default();
    for argument in arguments {
        let text = argument.to_string_lossy();
        let has_scheme = text.find("://").is_some_and(|at| !text[..at].contains('/'));
        let file = Path::new(&argument);
        if text.trim().is_empty() {
            errors.add(|| "an argument is empty: it is neither a file nor an address".to_owned());
        } else if has_scheme {
            match argument.to_str() {
                Some(address) => addresses.push(address.to_owned()),
                None => errors.add(|| format!("{}: it is not UTF-8", shown(&text))),
            }
        } else if file.symlink_metadata().is_ok() {
            files.push(file.to_owned());
        } else if is_login(&text) {
            errors.add(|| format!("{}: {NO_CREDENTIALS}", shown(&text)));
        } else if let Some(meant) = with_scheme(&text) {
            errors.add(|| {
                format!(
                    "{}: there is no such file; did you mean {meant}?",
                    shown(&text)
                )
            });
        } else {
            files.push(file.to_owned());
        }
    }
    errors.none_or((files, addresses))
}

/// The number of addresses that a text stands for. The error is what is wrong, to follow a colon.
fn validate(text: &str) -> Result<u64, String> {
    if may_have_credentials(text) {
        return Err(NO_CREDENTIALS.to_owned());
    }
    let pattern = Pattern::parse(text)?;
    for address in pattern.samples() {
        if let Err(why) = check(&address) {
            let is_whole = address == text;
            let shown = shown(&address);
            let subject = if is_whole { "it" } else { &shown };
            return Err(format!("{subject} {why}"));
        }
    }
    Ok(pattern.count())
}

/// The error is a predicate: what the address has or lacks.
fn check(address: &str) -> Result<(), Cow<'static, str>> {
    if address.contains(char::is_control) {
        return Err("has a control character".into());
    }
    if has_another_address(address) {
        return Err("has another address behind a space; write one a line".into());
    }
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        let start = address.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let Some(scheme) = scheme else {
        return Err(match with_scheme(address) {
            Some(meant) => {
                format!("does not begin with http:// or https://; did you mean {meant}?").into()
            }
            None => "does not begin with http:// or https://".into(),
        });
    };
    let authority = authority(&address[scheme.len()..]);
    if authority.is_empty() {
        return Err("has no host".into());
    }
    let url = Url::parse(address).map_err(|error| format!("has a wrong host or port: {error}"))?;
    // A request has the host as it is written, so it must be written as DNS has it.
    let host = url.host_str().unwrap_or_default();
    let port_at = authority.rfind(':').unwrap_or(authority.len());
    if !authority.starts_with('[') && !authority[..port_at].eq_ignore_ascii_case(host) {
        return Err(format!("has a host that must be written as {host}").into());
    }
    Ok(())
}

/// Host and port, with user and password, of what follows `://`. A set belongs to them as a whole.
fn authority(rest: &str) -> &str {
    let mut is_in_set = false;
    let end = rest.find(|c| {
        is_in_set = c == '{' || is_in_set && c != '}';
        !is_in_set && matches!(c, '/' | '?' | '#')
    });
    &rest[..end.unwrap_or(rest.len())]
}

/// The address with `https://` in front, as an error shows it, if that is likely what was meant: the text has no scheme and
/// begins with the name of a host with a dot, or with `localhost`.
fn with_scheme(text: &str) -> Option<String> {
    let rest = text.trim_start_matches('/');
    let host = authority(rest).split(':').next()?;
    let is_host = host == "localhost" || host.trim_matches('.').contains('.');
    let meant = format!("https://{rest}");
    let is_address = is_host && check(&meant).is_ok();
    is_address.then(|| shown(&meant))
}

/// Whether a text without a scheme is likely an address with a user and a password.
fn is_login(text: &str) -> bool {
    let parts = text.rsplit_once('@');
    parts.is_some_and(|(login, rest)| login.contains(':') && !rest.is_empty())
}

/// Whether a text may have a user or a password: it has an `@`, and host and port do not surely end before
/// it. In `http://me:12a/b@host` they do not: an `@` after a password with a slash.
fn may_have_credentials(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return text.contains('@');
    };
    let authority = authority(rest);
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    // The port may be a range or a set, and the colon that of an IPv6 address.
    let is_port = port
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"[]{},-".contains(&byte));
    text.contains('@') && (authority.is_empty() || authority.contains('@') || !is_port)
}

/// Whether a second address follows behind a space.
fn has_another_address(text: &str) -> bool {
    let mut words = text.split_whitespace().skip(1);
    words.any(|word| word.contains("://"))
}

/// An address as an error shows it: without user and password, on one line, cut if it is long.
fn shown(text: &str) -> String {
    // It may have a password.
    if has_another_address(text) {
        let first = text.split_whitespace().next().unwrap_or_default();
        return format!("{} …", shown(first));
    }
    let safe = match text.rfind('@') {
        Some(_) if !may_have_credentials(text) => text.into(),
        // Each value of a set may have a user and a password.
        Some(at) if text.contains('{') => format!("{PLACEHOLDER}{}", &text[at..]),
        _ => without_credentials(text).unwrap_or_else(|| text.to_owned()),
    };
    let start = prefix(&safe, MAX_SHOWN);
    let end = if start.len() < safe.len() { "…" } else { "" };
    format!("{}{end}", visible(start))
}

/// The addresses that a valid text stands for.
fn expand(text: &str) -> impl Iterator<Item = Arc<str>> {
    fn without_fragment(address: &str) -> Arc<str> {
        address.split('#').next().unwrap_or_default().into()
    }
    // Most lists have no pattern at all.
    let is_pattern = text.contains(['[', ']', '{', '}', '\\']);
    let literal = (!is_pattern).then(|| without_fragment(text));
    let pattern = is_pattern.then(|| Pattern::parse(text).expect("a validated pattern"));
    let expanded = pattern.into_iter().flat_map(Pattern::expand);
    literal
        .into_iter()
        .chain(expanded.map(|address| without_fragment(&address)))
}
