//! Command lines to paste into a shell.

use std::ffi::{OsStr, OsString};

use crate::http::proxy;
use crate::job::settings::DEFAULT_INDEX;
use crate::site::text::is_hidden;
use crate::source::origin::Origin;

/// The command line that continues a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeCommand {
    pub line: String,
    /// What stands in the line for the user and the password of a proxy.
    pub placeholder: Option<&'static str>,
}

/// The command line of a run with `--resume`, from its arguments. The program comes first. The user and
/// the password in `--proxy` are left out, because a line on a screen or in a log is no place for them.
pub fn resume_command(arguments: impl IntoIterator<Item = OsString>) -> ResumeCommand {
    let mut words: Vec<String> = Vec::new();
    let mut placeholder = None;
    let mut is_proxy = false;
    let mut is_resumed = false;
    for argument in arguments {
        let text = argument.to_string_lossy();
        let (option, address) = match text.strip_prefix("--proxy=") {
            Some(address) => ("--proxy=", Some(address)),
            None => ("", is_proxy.then_some(&*text)),
        };
        is_resumed |= argument == "--resume";
        is_proxy = argument == "--proxy";
        match address.and_then(proxy::without_credentials) {
            Some(address) => {
                placeholder = Some(proxy::PLACEHOLDER);
                words.push(quote(format!("{option}{address}").as_ref()));
            }
            None => words.push(quote(&argument)),
        }
    }
    if !is_resumed {
        words.push("--resume".to_owned());
    }
    ResumeCommand {
        line: words.join(" "),
        placeholder,
    }
}

/// The command line of a subcommand, or of a run for `""`, with this source and index.
pub fn command(subcommand: &str, origin: &Origin, index: &str) -> String {
    let mut words = vec!["indexrank".to_owned()];
    if !subcommand.is_empty() {
        words.push(subcommand.to_owned());
    }
    match origin {
        Origin::Live => {}
        Origin::Archive(path) => words.extend(["--from".to_owned(), quote(path.as_os_str())]),
        origin => words.extend(["--from".to_owned(), quote(origin.to_string().as_ref())]),
    }
    if index != DEFAULT_INDEX {
        words.extend(["--index".to_owned(), quote(index.as_ref())]);
    }
    words.join(" ")
}

/// A word as a shell needs it: unchanged if all of its characters are harmless, else in single quotes.
/// [Hidden](is_hidden) characters and bytes that are not UTF-8 become octal escapes in `$'…'`, which
/// bash, zsh, ksh and POSIX.1-2024 know.
pub fn quote(word: &OsStr) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,%@".contains(c);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(is_plain) => text.to_owned(),
        Some(text) if !text.contains(is_hidden) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => escape(word.as_encoded_bytes()),
    }
}

fn escape(word: &[u8]) -> String {
    let mut escaped = "$'".to_owned();
    let octal = |byte: &u8| format!("\\{byte:03o}");
    for chunk in word.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' | '\\' => escaped.extend(['\\', c]),
                _ if is_hidden(c) => {
                    let mut bytes = [0; 4];
                    let bytes = c.encode_utf8(&mut bytes).as_bytes();
                    escaped.extend(bytes.iter().map(octal));
                }
                _ => escaped.push(c),
            }
        }
        escaped.extend(chunk.invalid().iter().map(octal));
    }
    escaped.push('\'');
    escaped
}
