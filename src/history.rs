//! The subcommand `history`: the figures of a company over the runs in a database, as a table, JSON or
//! CSV.

use std::io::{self, Write};

use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::cli::HistoryArgs;
use crate::console::{print_coloured, print_json, stream};
use crate::diff::figure;
use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::results::grid::{Column, Grid, OTHER_STREAM};
use crate::results::schema::SCHEMA;
use crate::results::{report, table};
use crate::site::text::visible;
use crate::store::rows::{HistoryRow, started_text};
use crate::store::schema::Database;
use crate::telemetry::screen;

/// What `--json` prints.
#[derive(Serialize)]
struct History<'a> {
    schema: u32,
    code: &'a str,
    /// As in the last run.
    name: &'a str,
    /// At least one.
    runs: &'a [HistoryRow],
}

/// Prints the figures of a company, in the order of the runs.
pub fn history(args: &HistoryArgs) -> Result<Exit, Stop> {
    // The file is closed before anything is printed: behind a pager, it would stay locked.
    let rows = Database::open_for_reading(&args.db)
        .and_then(|database| database.history(&args.code, args.index.as_deref()))
        .map_err(|error| Stop::new(Exit::Usage, error.to_string()))?;
    if args.json {
        let last = rows.last().map(|row| &*row.quote.name);
        let history = History {
            schema: SCHEMA,
            code: &args.code,
            name: last.unwrap_or_default(),
            runs: &rows,
        };
        print_json(|out| report::write_json(&history, out))?;
    } else if args.csv {
        stream(|out| write_csv(&rows, out))?;
    } else {
        let size = screen::size(io::stdout());
        print_coloured(&text(&rows, size.map(|size| size.columns)))?;
    }
    Ok(Exit::Complete)
}

/// The history as a table with styles, for a terminal of this many columns, or for another stream.
pub fn text(rows: &[HistoryRow], terminal: Option<usize>) -> String {
    let Some(last) = rows.last() else {
        return String::new();
    };
    let is_one = |field: fn(&HistoryRow) -> &str| rows.iter().all(|row| field(row) == field(last));
    let has_one_currency = is_one(|row| &row.quote.currency);
    let has_one_index = is_one(|row| &row.index_name);
    let mut head = format!("{}, {}", last.quote.code, last.quote.name);
    if has_one_currency {
        head += &format!(", in {}", last.quote.currency);
    }
    let mut columns = vec![
        (Column::Text(0), "Started (UTC)".to_owned()),
        (Column::Number(0), "Run".to_owned()),
    ];
    if !has_one_index {
        columns.push((Column::Text(0), "Index".to_owned()));
    }
    if !has_one_currency {
        columns.push((Column::Text(0), "Currency".to_owned()));
    }
    let titles = [
        "Price", "P/E", "Growth %", "52w low", "52w high", "Profit %",
    ];
    columns.extend(titles.map(|title| (Column::Number(0), title.to_owned())));
    let rows = rows.iter().map(|row| {
        let quote = &row.quote;
        let started = row.started.to_zoned(TimeZone::UTC);
        let mut cells = vec![
            started.strftime("%Y-%m-%d %H:%M").to_string(),
            row.run.to_string(),
        ];
        if !has_one_index {
            cells.push(row.index_name.clone());
        }
        if !has_one_currency {
            cells.push(quote.currency.clone());
        }
        let figures = [
            quote.price,
            quote.pe,
            quote.growth,
            quote.low52,
            quote.high52,
            quote.potential_profit,
        ];
        cells.extend(figures.map(figure));
        cells
    });
    let grid = Grid {
        columns,
        rows: rows.collect(),
    };
    let head = screen::wrap(&visible(&head), terminal.unwrap_or(OTHER_STREAM));
    head.join("\n") + "\n\n" + &grid.text(terminal, "--csv")
}

/// The columns are those of the view `history`, with all digits. What is missing is empty.
fn write_csv(rows: &[HistoryRow], out: impl Write) -> io::Result<()> {
    let columns = [
        "run",
        "started",
        "index_name",
        "code",
        "name",
        "path",
        "currency",
        "as_of",
        "price",
        "price_rub",
        "price_in",
        "pe",
        "growth",
        "low52",
        "high52",
        "potential_profit",
    ];
    let digits =
        |figure: Option<Decimal>| figure.map_or(String::new(), |figure| figure.to_string());
    let rows = rows.iter().map(|row| {
        let quote = &row.quote;
        [
            row.run.to_string(),
            started_text(row.started),
            row.index_name.clone(),
            quote.code.clone(),
            quote.name.clone(),
            quote.path.clone(),
            quote.currency.clone(),
            quote.as_of.clone().unwrap_or_default(),
            digits(quote.price),
            digits(quote.price_rub),
            digits(quote.price_in),
            digits(quote.pe),
            digits(quote.growth),
            digits(quote.low52),
            digits(quote.high52),
            digits(quote.potential_profit),
        ]
    });
    table::write_csv(columns, rows, out)
}
