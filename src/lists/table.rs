//! The rows as CSV, as NDJSON, and as a table for a terminal.

use std::io::{self, Write};

use crate::lists::count::Words;
use crate::lists::journal::RowJournal;
use crate::lists::row::Row;
use crate::lists::settings::{Extract, ListJob, ObjectTable, Outputs};
use crate::results::grid::{Column, Grid, shorten};
use crate::results::report;
use crate::results::table::{Format, io_error};
use crate::site::number::group_thousands;
use crate::site::page_text::Heading;
use crate::site::text::visible;

/// Maximum width of an address or a title in a table for a terminal. Files have them whole.
const MAX_CELL: usize = 300;
/// The columns of every table.
const COLUMNS: [&str; 9] = [
    "position",
    "url",
    "final_url",
    "status",
    "ms",
    "bytes",
    "chars",
    "content_type",
    "title",
];

/// Writes the rows: NDJSON in the order in which they were completed, CSV in the order of the list.
pub fn write(
    journal: &RowJournal,
    format: Format,
    columns: &Columns,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::NdJson => journal.for_each_row(|row| report::write_json_line(&row, &mut *out)),
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(columns.titles()).map_err(io_error)?;
            journal.for_each_row_in_order(|row| {
                csv.write_record(columns.cells(&row)).map_err(io_error)
            })?;
            csv.flush()
        }
    }
}

/// The columns that depend on the options.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    is_saved: bool,
    has_headings: bool,
    words: Vec<String>,
    has_rows: bool,
}

impl Columns {
    pub fn new(extract: &Extract, outputs: &Outputs) -> Self {
        let words = extract.words.as_ref();
        Columns {
            is_saved: outputs.save.is_some(),
            has_headings: extract.headings,
            words: words.map_or(Vec::new(), |words| words.words().to_vec()),
            has_rows: extract.objects,
        }
    }

    /// What is taken from the pages, and where their objects go, as text: it tells runs with other options
    /// apart.
    pub fn describe(&self, job: &ListJob) -> String {
        let mut text = self.titles().join(",");
        if job.extract.words.as_ref().is_some_and(Words::ignores_case) {
            text += ", ignoring case";
        }
        if let Some(objects) = &job.outputs.objects {
            let ObjectTable {
                database,
                table,
                key,
            } = objects;
            text += &format!(", {}: {table} by {key}", database.display());
        }
        text
    }

    fn titles(&self) -> Vec<String> {
        let mut titles: Vec<String> = COLUMNS.map(str::to_owned).to_vec();
        for (is_there, names) in [
            (self.is_saved, &["file", "sha256"][..]),
            (self.has_headings, &["headings"]),
            (self.has_rows, &["rows"]),
        ] {
            titles.extend(
                names
                    .iter()
                    .filter(|_| is_there)
                    .map(|name| (*name).to_owned()),
            );
        }
        titles.extend(self.words.iter().map(|word| format!("count {word}")));
        titles.push("error".to_owned());
        titles
    }

    fn cells(&self, row: &Row) -> Vec<String> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let number =
            |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
        let mut cells = vec![
            row.position.to_string(),
            row.url.clone(),
            text(&row.final_url),
            number(row.status.map(u64::from)),
            row.ms.map_or(String::new(), |ms| ms.to_string()),
            number(row.bytes),
            number(row.chars),
            text(&row.content_type),
            text(&row.title),
        ];
        if self.is_saved {
            cells.extend([text(&row.file), text(&row.sha256)]);
        }
        if self.has_headings {
            let headings = row.headings.as_ref();
            let json = headings.and_then(|headings| serde_json::to_string(headings).ok());
            cells.push(json.unwrap_or_default());
        }
        if self.has_rows {
            cells.push(number(row.rows));
        }
        cells.extend(self.words.iter().map(|word| number(count(row, word))));
        cells.push(text(&row.error));
        cells
    }

    /// The table for a terminal of this many columns, or for another stream, where nothing is cut. Below it,
    /// the headings of each page.
    pub fn text(&self, journal: &RowJournal, terminal: Option<usize>) -> io::Result<String> {
        let mut rows = Vec::new();
        let mut headings = String::new();
        journal.for_each_row_in_order(|mut row| {
            let found = row.headings.take().unwrap_or_default();
            if !found.is_empty() {
                headings += &format!("\n{}\n", visible(&row.url));
            }
            for Heading { level, text } in found {
                let indent = "  ".repeat(usize::from(level));
                headings += &format!("{indent}h{level} {}\n", visible(&text));
            }
            rows.push(row);
            Ok(())
        })?;
        let host = common_host(&rows);
        let address = match host {
            "" => "address".to_owned(),
            host => format!("address at {host}"),
        };
        let grid = Grid {
            columns: self.grid_columns(&address),
            rows: rows
                .iter()
                .map(|row| self.grid_cells(row, &row.url[host.len()..]))
                .collect(),
        };
        let terminal = terminal.unwrap_or(usize::from(u16::MAX));
        Ok(grid.text(Some(terminal), "--table FILE.csv") + &headings)
    }

    fn grid_columns(&self, address: &str) -> Vec<(Column, String)> {
        let column = |column, title: &str| (column, title.to_owned());
        let mut columns = vec![
            column(Column::Number(3), "#"),
            column(Column::Number(6), "status"),
            column(Column::Name, address),
        ];
        let words = self.words.iter();
        columns.extend(words.map(|word| column(Column::Number(5), word)));
        if self.has_rows {
            columns.push(column(Column::Number(4), "rows"));
        }
        columns.extend(["bytes", "ms"].map(|title| column(Column::Number(4), title)));
        let last = if self.is_saved {
            "file or error"
        } else {
            "title or error"
        };
        columns.push(column(Column::Name, last));
        columns
    }

    fn grid_cells(&self, row: &Row, address: &str) -> Vec<String> {
        let number = |number: Option<u64>| {
            let number = number.map(|number| group_thousands(&number.to_string()));
            number.unwrap_or_else(|| "–".to_owned())
        };
        let status = row.status.map(|status| status.to_string());
        let status = status.unwrap_or_else(|| "–".to_owned());
        let mut cells = vec![row.position.to_string(), status, cut(address)];
        cells.extend(self.words.iter().map(|word| number(count(row, word))));
        if self.has_rows {
            cells.push(number(row.rows));
        }
        let ms = row.ms.map_or("–".to_owned(), |ms| format!("{ms:.0}"));
        cells.extend([number(row.bytes), ms]);
        let last = row.error.as_ref().or(row.file.as_ref());
        let last = last.or(row.title.as_ref());
        cells.push(last.map_or(String::new(), |text| cut(text)));
        cells
    }
}

/// Scheme, host and port that all addresses begin with; empty if they differ.
fn common_host(rows: &[Row]) -> &str {
    let host = |row: &'_ Row| {
        let scheme = row.url.find("://").map_or(0, |at| at + 3);
        let path = row.url[scheme..].find('/');
        path.map_or(0, |at| scheme + at)
    };
    let first = rows.first().map_or("", |row| &row.url[..host(row)]);
    let is_common = rows.iter().all(|row| row.url[..host(row)] == *first);
    if is_common && first.contains("://") && rows.len() > 1 {
        first
    } else {
        ""
    }
}

/// A text of at most [`MAX_CELL`] terminal columns.
fn cut(text: &str) -> String {
    shorten(text, MAX_CELL)
}

fn count(row: &Row, word: &str) -> Option<u64> {
    row.counts.as_ref()?.get(word).copied()
}
