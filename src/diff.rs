//! The subcommand `diff`: what has changed between two runs in a database, as tables or JSON.

use std::fmt::Write;
use std::io;

use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use crate::cli::DiffArgs;
use crate::console::{print_coloured, print_json};
use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::results::grid::{Column, Grid, OTHER_STREAM, two_decimals};
use crate::results::report;
use crate::site::currency::Currency;
use crate::site::text::visible;
use crate::store::changes::{Changes, PeChange, PlaceChange, PriceChange};
use crate::store::rows::RunRow;
use crate::store::schema::Database;
use crate::telemetry::screen;
use crate::words::count;

/// Maximum number of changed prices, and of changed P/E ratios, in the tables.
const LARGEST: usize = 10;
/// What stands for a figure that a run lacks, or that cannot be computed.
pub const NO_FIGURE: &str = "–";

/// Prints what has changed. The exit code says so only with `--exit-code`.
pub fn diff(args: &DiffArgs) -> Result<Exit, Stop> {
    // The file is closed before anything is printed: behind a pager, it would stay locked.
    let changes = Database::open_for_reading(&args.db)
        .and_then(|database| database.changes(args.index.as_deref(), args.since))
        .map_err(|error| Stop::new(Exit::Usage, error.to_string()))?;
    if args.json {
        print_json(|out| report::write_json(&changes, out))?;
    } else {
        let size = screen::size(io::stdout());
        print_coloured(&text(&changes, size.map(|size| size.columns)))?;
    }
    Ok(if args.exit_code && changes.changed {
        Exit::Changed
    } else {
        Exit::Complete
    })
}

/// The changes as tables with styles, for a terminal of this many columns, or for another stream.
pub fn text(changes: &Changes, terminal: Option<usize>) -> String {
    let width = terminal.unwrap_or(OTHER_STREAM);
    let Changes { before, after, .. } = changes;
    let head = format!(
        "{}: {}, against {}",
        after.index_name,
        run_in_words(after),
        run_in_words(before)
    );
    let mut lines = screen::wrap(&visible(&head), width);
    let mut tables = String::new();
    let currency = price_currency(after);
    for ranking in &changes.rankings {
        let (title, unit) = ranking.ranking.title(&currency);
        match &ranking.not_compared {
            Some(why) => lines.extend(screen::wrap(
                &visible(&format!("{title}: not compared, {why}")),
                width,
            )),
            None if ranking.places.is_empty() => lines.push(format!("{title}: no change")),
            None => {
                let grid = grid_of_places(&ranking.places, title, unit);
                push_table(&mut tables, grid, terminal);
            }
        }
    }
    for grid in [grid_of_prices(&changes.prices), grid_of_pe(&changes.pe)] {
        if !grid.rows.is_empty() {
            push_table(&mut tables, grid, terminal);
        }
    }
    if changes.prices.is_empty() && changes.pe.is_empty() {
        lines.push("no price or P/E ratio has changed".to_owned());
    }
    let mut text = lines.join("\n") + "\n" + &tables;
    let more = [
        (changes.prices.len(), "price", "prices"),
        (changes.pe.len(), "P/E ratio", "P/E ratios"),
    ];
    let more: Vec<String> = more
        .into_iter()
        .filter(|(changed, ..)| *changed > LARGEST)
        .map(|(changed, one, several)| count(changed - LARGEST, one, several))
        .collect();
    if !more.is_empty() {
        let line = format!("{} more have changed (--json has all)", more.join(" and "));
        let _ = writeln!(text, "\n{}", screen::wrap(&line, width).join("\n"));
    }
    text
}

/// Adds a table, after an empty line.
fn push_table(text: &mut String, grid: Grid, terminal: Option<usize>) {
    let _ = writeln!(text, "\n{}", grid.text(terminal, "--json").trim_end());
}

/// `run 2 of 2022-02-05 06:00 UTC (live)`
fn run_in_words(run: &RunRow) -> String {
    let started = run.started.to_zoned(TimeZone::UTC);
    format!(
        "run {} of {} UTC ({})",
        run.run,
        started.strftime("%Y-%m-%d %H:%M"),
        run.source
    )
}

fn price_currency(run: &RunRow) -> Currency {
    let currency = run.price_currency.as_deref().map(str::parse);
    currency.and_then(Result::ok).unwrap_or(Currency::UNKNOWN)
}

fn grid_of_places(places: &[PlaceChange], title: &str, unit: &str) -> Grid {
    let rows = places.iter().map(|change| {
        let place = |place: Option<u32>, none: &str| {
            place.map_or(none.to_owned(), |place| place.to_string())
        };
        vec![
            place(change.place, "out"),
            place(change.place_before, "new"),
            change.code.clone(),
            change.name.clone(),
            figure(change.value),
            figure(change.value_before),
        ]
    });
    Grid {
        columns: vec![
            (Column::Number(5), "Place".to_owned()),
            (Column::Number(5), "Was".to_owned()),
            (Column::Text(7), "Code".to_owned()),
            (Column::Name, title.to_owned()),
            (Column::Number(9), unit.to_owned()),
            (Column::Number(9), "Was".to_owned()),
        ],
        rows: rows.collect(),
    }
}

fn grid_of_prices(prices: &[PriceChange]) -> Grid {
    let rows = prices.iter().take(LARGEST).map(|change| {
        vec![
            change.code.clone(),
            change.name.clone(),
            signed(change.change_percent),
            two_decimals(change.after),
            two_decimals(change.before),
            change.currency.clone(),
        ]
    });
    Grid {
        columns: vec![
            (Column::Text(7), "Code".to_owned()),
            (Column::Name, "Largest changes of price".to_owned()),
            (Column::Number(9), "%".to_owned()),
            (Column::Number(9), "Price".to_owned()),
            (Column::Number(9), "Was".to_owned()),
            (Column::Text(5), "Currency".to_owned()),
        ],
        rows: rows.collect(),
    }
}

fn grid_of_pe(pe: &[PeChange]) -> Grid {
    let rows = pe.iter().take(LARGEST).map(|change| {
        vec![
            change.code.clone(),
            change.name.clone(),
            signed(change.change),
            two_decimals(change.after),
            two_decimals(change.before),
        ]
    });
    Grid {
        columns: vec![
            (Column::Text(7), "Code".to_owned()),
            (Column::Name, "Largest changes of P/E".to_owned()),
            (Column::Number(9), "Change".to_owned()),
            (Column::Number(9), "P/E".to_owned()),
            (Column::Number(9), "Was".to_owned()),
        ],
        rows: rows.collect(),
    }
}

/// A figure of a table, or a dash.
pub fn figure(figure: Option<Decimal>) -> String {
    figure.map_or(NO_FIGURE.to_owned(), two_decimals)
}

fn signed(change: Option<Decimal>) -> String {
    let Some(change) = change else {
        return NO_FIGURE.to_owned();
    };
    let sign = if change > Decimal::ZERO { "+" } else { "" };
    format!("{sign}{}", two_decimals(change))
}
