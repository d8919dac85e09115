//! Tables for a terminal: one rule below the header, and names that are cut where the terminal is narrow.

use std::cmp::Ordering;
use std::fmt::Write;

use comfy_table::{CellAlignment, ColumnConstraint, LineStyle, Table, TableStyle, Width};
use rust_decimal::{Decimal, RoundingStrategy};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::site::number::group_thousands;
use crate::site::text::visible;
use crate::telemetry::screen::{self, HEADER, PLAIN, SECONDARY};

/// A table has one rule, below its header.
const RULE_BELOW_HEADER: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
/// The width of a text that does not go to a terminal, such as a mail.
pub const OTHER_STREAM: usize = 80;
/// Between two tables side by side.
pub const GAP: &str = "   ";
/// The least width of a name that is cut, in terminal columns.
const MIN_NAME: usize = 8;

/// How a column is aligned, and its least width in terminal columns, with a space at each end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Left-aligned.
    Text(u16),
    /// Right-aligned.
    Number(u16),
    /// Left-aligned, and cut if the table is too wide.
    Name,
}

/// A table. Its cells may contain what pages say: they are shown as [`visible`] text.
#[derive(Debug, Clone)]
pub struct Grid {
    pub columns: Vec<(Column, String)>,
    /// As many cells each as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Grid {
    /// The table as text with styles, for a terminal of this many columns, or for another stream. Names are
    /// cut to make it fit, on another stream to [`OTHER_STREAM`].
    ///
    /// On a terminal, columns are dropped from the end while the table would be too wide, but not the first
    /// three. A line below names them, and the option that shows all.
    pub fn text(mut self, terminal: Option<usize>, option: &str) -> String {
        let mut dropped = Vec::new();
        while self.columns.len() > 3
            && terminal.is_some_and(|width| self.format(MIN_NAME).1 > width)
        {
            dropped.extend(self.columns.pop().map(|(_, title)| title));
            self.rows.iter_mut().for_each(|row| {
                row.pop();
            });
        }
        let columns = terminal.unwrap_or(OTHER_STREAM);
        let mut text = String::new();
        let lines = self.lines(columns.min(self.natural_width()));
        push_side_by_side(&mut text, &[lines], 0);
        if !dropped.is_empty() {
            dropped.reverse();
            let line = format!("not shown: {} ({option} has all)", dropped.join(", "));
            let _ = writeln!(text, "{}", screen::wrap(&line, columns).join("\n"));
        }
        text
    }

    /// The lines of the table, `width` columns wide. They are wider if the names would be shorter than
    /// eight columns.
    pub fn lines(&self, width: usize) -> Vec<String> {
        let name = self.longest_name() + width;
        let name = name.saturating_sub(self.natural_width()).max(MIN_NAME);
        self.format(name).0
    }

    /// The width of the table with whole names, in terminal columns.
    pub fn natural_width(&self) -> usize {
        self.format(self.longest_name()).1
    }

    /// The width of the longest name or of the title above, in terminal columns.
    fn longest_name(&self) -> usize {
        let names = |at: usize| self.rows.iter().map(move |row| visible(&row[at]).width());
        let columns = self.columns.iter().enumerate();
        let columns = columns.filter(|(_, (column, _))| *column == Column::Name);
        columns
            .flat_map(|(at, (_, title))| names(at).chain([title.width()]))
            .max()
            .unwrap_or(0)
    }

    /// The lines of the table with names of this many terminal columns, and the width of the widest.
    fn format(&self, name_width: usize) -> (Vec<String>, usize) {
        let mut table = Table::new();
        let titles = self.columns.iter().map(|(_, title)| title);
        table.load_style(RULE_BELOW_HEADER).set_header(titles);
        for row in &self.rows {
            let cells = row.iter().zip(&self.columns);
            table.add_row(cells.map(|(cell, (column, _))| match column {
                Column::Name => shorten(&visible(cell), name_width),
                _ => visible(cell).into_owned(),
            }));
        }
        let at_least = |width| ColumnConstraint::LowerBoundary(Width::Fixed(width));
        // Names are cut to `MAX_LEN` bytes when they are parsed, so this is below 65,536.
        let exactly = |width| ColumnConstraint::Absolute(Width::Fixed(width as u16));
        for (at, (column, _)) in self.columns.iter().enumerate() {
            let (constraint, alignment) = match column {
                Column::Text(width) => (at_least(*width), CellAlignment::Left),
                Column::Number(width) => (at_least(*width), CellAlignment::Right),
                Column::Name => (exactly(name_width + 2), CellAlignment::Left),
            };
            if let Some(column) = table.column_mut(at) {
                column
                    .set_constraint(constraint)
                    .set_cell_alignment(alignment);
            }
        }
        let text = table.to_string();
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        let width = lines.iter().map(|line| line.width()).max();
        (lines, width.unwrap_or(0))
    }
}

/// Adds the lines of one or two tables to the text. The first table gets `width` columns. Headers and
/// rules are styled.
pub fn push_side_by_side(text: &mut String, tables: &[Vec<String>], width: usize) {
    // A narrow header has several lines.
    let is_rule = |line: &String| line.starts_with('─');
    for row in 0..tables.iter().map(Vec::len).max().unwrap_or(0) {
        let mut joined = String::new();
        for lines in tables {
            let Some(line) = lines.get(row) else { continue };
            let rule = lines.iter().position(is_rule).unwrap_or(0);
            let style = match row.cmp(&rule) {
                Ordering::Less => HEADER,
                Ordering::Equal => SECONDARY,
                Ordering::Greater => PLAIN,
            };
            if !joined.is_empty() {
                joined += GAP;
            }
            let padding = " ".repeat(width.saturating_sub(line.width()));
            let _ = write!(joined, "{style}{line}{style:#}{padding}");
        }
        let _ = writeln!(text, "{}", joined.trim_end());
    }
}

/// Cuts a name to this many terminal columns. Some characters take two columns.
pub fn shorten(name: &str, columns: usize) -> String {
    if name.width() <= columns {
        return name.to_owned();
    }
    let mut left = columns - 1;
    let fits = |c: &char| match left.checked_sub(c.width().unwrap_or(0)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    name.chars().take_while(fits).chain(['…']).collect()
}

/// Formats `400233.1` as `400,233.10`.
pub fn two_decimals(value: Decimal) -> String {
    let rounded = value.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    group_thousands(&format!("{rounded:.2}"))
}
