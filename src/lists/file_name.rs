//! The name of the file in which a body is saved. It comes from a stranger: a header, or an address.
//!
//! A name is a single component of a path that every file system takes, hides nothing in a terminal and is no
//! option of a program.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::site::text::{is_hidden, prefix};

/// Maximum size of a name in bytes. File systems take 255; the program adds numbers and endings.
const MAX_BYTES: usize = 200;
/// What file systems take.
const MAX_NUMBERED_BYTES: usize = 255;
/// Maximum size in bytes of an extension, with its dot, that a long name keeps.
const MAX_EXTENSION: usize = 16;

/// How the names of the program's own files begin that a finished run removes.
const OWN_PREFIX: &str = "unfinished";
/// The name of a body that has none, like that of `http://host/`.
const DEFAULT: &str = "index.html";

/// The name for a body: that of the header Content-Disposition (RFC 6266), else the last segment of the path
/// of its address, else `index.html`. 1 to 200 bytes.
///
/// Characters that a file system or a terminal could take for something else become `_`. Dots, hyphens and
/// white space at the beginning are left out, dots and white space at the end too. A long name is cut before
/// its extension.
pub fn file_name(content_disposition: Option<&[u8]>, address: &str) -> String {
    let suggested = content_disposition.and_then(suggested);
    let last_segment = || {
        clean(&decoded(
            &percent_decode_str(last_segment(address)).collect::<Vec<u8>>(),
        ))
    };
    let name = suggested.or_else(last_segment);
    name.unwrap_or_else(|| DEFAULT.to_owned())
}

/// A name with a number before its extension: `report-17.pdf`, `report-17.tar.gz`. At most 255 bytes.
pub fn numbered(name: &str, number: u64) -> String {
    let (stem, _) = split_extension(name);
    let is_tar = |at: &usize| *at > 0 && stem[*at..].eq_ignore_ascii_case(".tar");
    let stem_length = stem.rfind('.').filter(is_tar).unwrap_or(stem.len());
    let (stem, extensions) = name.split_at(stem_length);
    let ending = format!("-{number}{extensions}");
    format!(
        "{}{ending}",
        prefix(stem, MAX_NUMBERED_BYTES - ending.len())
    )
}

/// The last segment of the path of an address, without query and fragment.
fn last_segment(address: &str) -> &str {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.rsplit_once('/').map_or("", |(_, segment)| segment)
}

/// The name in a header: `filename*`, else `filename`. `None` if neither has a usable value.
fn suggested(header: &[u8]) -> Option<String> {
    let parameters = parameters(header);
    let find = |wanted: &[u8], text: fn(&[u8]) -> Option<Cow<'_, str>>| {
        let mut values = parameters
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        values.find_map(|(_, value)| clean(&text(value)?))
    };
    find(b"filename*", extended).or_else(|| find(b"filename", |value| Some(decoded(value))))
}

/// The parameters of a header in their order, `name=value` or `name="value"`. What is neither is left out.
fn parameters(header: &[u8]) -> Vec<(&[u8], Cow<'_, [u8]>)> {
    let mut parameters = Vec::new();
    let mut rest = header;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| b"=;".contains(byte));
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        let name = name.trim_ascii();
        rest = match after {
            [b'=', value @ ..] => {
                let (value, after) = parameter_value(value.trim_ascii_start());
                parameters.push((name, value));
                after
            }
            _ => after.get(1..).unwrap_or_default(),
        };
    }
    parameters
}

/// The value of a parameter, and what follows its semicolon. A value without quotes goes up to the semicolon,
/// with the spaces that some servers send.
fn parameter_value(text: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    let after_semicolon = |text: &'_ [u8]| text.iter().position(|byte| *byte == b';');
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = after_semicolon(text).unwrap_or(text.len());
        let rest = text.get(end + 1..).unwrap_or_default();
        return (text[..end].trim_ascii_end().into(), rest);
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => value.extend(bytes.next()),
            _ => value.push(*byte),
        }
    }
    let rest = bytes.as_slice();
    let end = after_semicolon(rest).unwrap_or(rest.len());
    (value.into(), rest.get(end + 1..).unwrap_or_default())
}

/// Decodes the value of `filename*`, such as `UTF-8'en'na%C3%AFve.txt` (RFC 8187). `None` if it is none.
fn extended(value: &[u8]) -> Option<Cow<'_, str>> {
    let text = str::from_utf8(value).ok().filter(|text| text.is_ascii())?;
    let mut parts = text.splitn(3, '\'');
    let (charset, _language, escaped) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes: Vec<u8> = percent_decode_str(escaped).collect();
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" => String::from_utf8(bytes).ok().map(Cow::Owned),
        "iso-8859-1" => Some(bytes.into_iter().map(char::from).collect::<String>().into()),
        _ => None,
    }
}

/// Bytes as UTF-8 if they are that, else as ISO-8859-1.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes
            .iter()
            .copied()
            .map(char::from)
            .collect::<String>()
            .into(),
    }
}

/// A name for any text. `None` if nothing of it is left.
fn clean(text: &str) -> Option<String> {
    let is_odd = |c: char| is_hidden(c) || r#"/\<>:"|?*"#.contains(c);
    let safe: String = text
        .chars()
        .map(|c| if is_odd(c) { '_' } else { c })
        .collect();
    let name = safe.trim_start_matches(|c: char| c.is_whitespace() || ".-".contains(c));
    let mut name = cut(name);
    if is_reserved(&name) || is_of_program(&name) {
        name = cut(&format!("_{name}"));
    }
    (!name.is_empty()).then_some(name)
}

/// At most 200 bytes of a name, without dots and white space at its end.
fn cut(name: &str) -> String {
    fn trimmed(name: &str) -> &str {
        name.trim_end_matches(|c: char| c.is_whitespace() || c == '.')
    }
    let name = trimmed(name);
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let (stem, extension) = split_extension(name);
    let name = format!("{}{extension}", prefix(stem, MAX_BYTES - extension.len()));
    trimmed(&name).to_owned()
}

/// A name without its extension, and the extension with its dot, empty if there is none of at most 16 bytes.
fn split_extension(name: &str) -> (&str, &str) {
    let is_extension = |at: &usize| *at > 0 && name.len() - at <= MAX_EXTENSION;
    let dot = name.rfind('.').filter(is_extension);
    name.split_at(dot.unwrap_or(name.len()))
}

/// Whether Windows takes the name for a device, with any extension
/// (<https://learn.microsoft.com/windows/win32/fileio/naming-a-file>).
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let stem = stem.to_ascii_uppercase();
    let is_port = |name: &str| {
        let number = stem
            .strip_prefix(name)
            .map(|number| number.chars().collect::<Vec<_>>());
        number.is_some_and(|number| matches!(number[..], ['0'..='9' | '¹' | '²' | '³']))
    };
    matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || is_port("COM")
        || is_port("LPT")
}

/// Whether the program may give a file of its own this name while a run is unfinished: `unfinished.warc`,
/// `unfinished-commit.json`.
fn is_of_program(name: &str) -> bool {
    let start = name.get(..OWN_PREFIX.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(OWN_PREFIX))
}
