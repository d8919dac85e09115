//! A word of a command that a message shows, to paste into a shell.

use std::ffi::OsStr;

use crate::site::text::is_hidden;

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
