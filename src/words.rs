//! Numbers and errors of the system in words.

use std::io;

/// A number with its noun: `no pages`, `1 page`, `2 pages`.
pub fn count(number: usize, singular: &str, plural: &str) -> String {
    match number {
        0 => format!("no {plural}"),
        _ => quantity(number, singular, plural),
    }
}

/// A number with its noun, zero as a digit: `0 pages`, `1 page`, `2 pages`.
pub fn quantity(number: usize, singular: &str, plural: &str) -> String {
    format!("{number} {}", form(number, singular, plural))
}

/// The form of a noun or verb for a number.
pub fn form<'a>(number: usize, singular: &'a str, plural: &'a str) -> &'a str {
    if number == 1 { singular } else { plural }
}

/// An error of the system in its own words, without its number and what a library has added:
/// `No space left on device`.
pub fn of_system(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(NUMBER) {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// What the standard library puts before the number of a system error.
const NUMBER: &str = " (os error ";

/// Whether the process or the system has as many files and connections open as it may.
pub fn is_out_of_files(error: &io::Error) -> bool {
    // An error that a library has wrapped to add a path has its number in the text only.
    let number = error.raw_os_error().or_else(|| {
        let text = error.to_string();
        let (_, number) = text.split_once(NUMBER)?;
        number.split(')').next()?.parse().ok()
    });
    OUT_OF_FILES.iter().any(|limit| number == Some(*limit))
}

#[cfg(unix)]
const OUT_OF_FILES: [i32; 2] = [
    nix::errno::Errno::EMFILE as i32,
    nix::errno::Errno::ENFILE as i32,
];
/// `ERROR_TOO_MANY_OPEN_FILES` and `WSAEMFILE` of Windows.
#[cfg(not(unix))]
const OUT_OF_FILES: [i32; 2] = [4, 10024];
