//! The terminal behind stdout or stderr: its size, its colours, and text wrapped to its width.

use std::borrow::Cow;
use std::env;

use anstream::adapter::strip_str;
use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use terminal_size::terminal_size_of;
use textwrap::core::display_width;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

pub const PLAIN: Style = Style::new();
/// The header of a table.
pub const HEADER: Style = Style::new().bold();
/// What a reader may skip.
pub const SECONDARY: Style = Style::new().dimmed();
pub const WARNING: Style = AnsiColor::Yellow.on_default();
pub const ERROR: Style = AnsiColor::Red.on_default().bold();

/// A narrower terminal gets plain lines: neither bars nor colours.
pub const MIN_COLUMNS: usize = 50;

/// Stands for a space at which a line must not be wrapped.
const NO_BREAK_SPACE: char = '\u{a0}';

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub columns: usize,
    pub rows: usize,
}

/// The present size of the terminal on a stream. `None` if the stream is not a terminal.
#[cfg(unix)]
pub fn size(stream: impl std::os::fd::AsFd) -> Option<Size> {
    let (columns, rows) = terminal_size_of(stream)?;
    Some(Size {
        columns: columns.0.into(),
        rows: rows.0.into(),
    })
}

#[cfg(windows)]
pub fn size(stream: impl std::os::windows::io::AsHandle) -> Option<Size> {
    let (columns, rows) = terminal_size_of(stream)?;
    Some(Size {
        columns: columns.0.into(),
        rows: rows.0.into(),
    })
}

/// Whether the terminal cannot move its cursor or show colours.
pub fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Whether a stream of this size gets colours: it is a terminal of at least 50 columns whose `TERM` is not
/// `dumb`, and `NO_COLOR` is unset or empty. `CLICOLOR_FORCE` requests colours for pipes too.
pub fn has_colours(stream: &impl RawStream, size: Option<Size>) -> bool {
    let is_wide = size.is_none_or(|size| size.columns >= MIN_COLUMNS);
    // In the environment of a CI service (`CI` is set), anstream takes any terminal for a capable one.
    let is_capable = size.is_none() || !is_dumb();
    is_wide && is_capable && AutoStream::choice(stream) != ColorChoice::Never
}

/// The text as a stream of this size gets it: without its colours unless the stream
/// [has some](has_colours).
pub fn coloured<'a>(text: &'a str, stream: &impl RawStream, size: Option<Size>) -> Cow<'a, str> {
    if has_colours(stream, size) {
        text.into()
    } else {
        strip_str(text).to_string().into()
    }
}

/// Wraps a line at spaces to this many columns; the lines after the first are indented by two. A longer
/// word, and a command in backticks, stays whole, so that it can be copied.
pub fn wrap(line: &str, columns: usize) -> Vec<String> {
    let options = Options::new(columns)
        .subsequent_indent("  ")
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    let mut in_command = false;
    let join_command = |c: char| {
        in_command ^= c == '`';
        match c {
            ' ' if in_command => NO_BREAK_SPACE,
            c => c,
        }
    };
    let line: String = line.chars().map(join_command).collect();
    let lines = textwrap::wrap(&line, options);
    let spaced = |line: &Cow<str>| line.replace(NO_BREAK_SPACE, " ");
    lines.iter().map(spaced).collect()
}

/// Wraps a line for a terminal of this size, and not for other streams.
pub fn fit(line: &str, size: Option<Size>) -> String {
    match size {
        Some(size) => wrap(line, size.columns).join("\n"),
        None => line.to_owned(),
    }
}

/// Adds a command that is to be copied to its introduction: behind it, or whole on the next line if the
/// terminal is too narrow.
pub fn fit_command(intro: &str, command: &str, size: Option<Size>) -> String {
    let line = format!("{intro} {command}");
    match size {
        Some(size) if display_width(&line) > size.columns => {
            format!("{}\n{command}", fit(intro, Some(size)))
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_at_spaces_by_display_width() {
        let check = |line: &str, columns, expected: &[&str]| {
            assert_eq!(wrap(line, columns), expected, "{line:?} at {columns}");
        };
        check("", 10, &[""]);
        check("one two three", 13, &["one two three"]);
        check("one two three", 12, &["one two", "  three"]);
        check("  /stocks/x: gone now", 14, &["  /stocks/x:", "  gone now"]);
        check(
            "52-week low --resume x",
            12,
            &["52-week low", "  --resume x"],
        );
        check(
            "see http://127.0.0.1:8080/ now",
            10,
            &["see", "  http://127.0.0.1:8080/", "  now"],
        );
        check("run `a b c` now", 9, &["run", "  `a b c`", "  now"]);
        check("日本 日本 日本", 9, &["日本 日本", "  日本"]);
        let warning = format!("{WARNING}one{WARNING:#} two three");
        check(
            &warning,
            7,
            &[&format!("{WARNING}one{WARNING:#} two"), "  three"],
        );
    }

    #[test]
    fn keeps_a_command_on_one_line() {
        let narrow = Some(Size {
            columns: 12,
            rows: 24,
        });
        let command = "indexrank --from replica --resume";
        let fits = format!("to resume: {command}");
        assert_eq!(fit_command("to resume:", command, None), fits);
        assert_eq!(
            fit_command("to resume:", command, narrow),
            format!("to resume:\n{command}")
        );
    }
}
