//! The subcommand `history`.

use std::path::Path;

use indexrank::history::text;
use indexrank::store::schema::Database;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::store::query;
use crate::stored_runs::{Appended, append_failed};
use crate::support::{Ran, indexrank};

fn history(folder: &Path, arguments: &[&str]) -> Ran {
    indexrank(
        folder,
        &[&["history", "--db", "market.sqlite"], arguments].concat(),
    )
}

/// A company of two indices, with a failed run between them. In the last run it has no P/E and is quoted
/// in another currency.
fn three_runs(folder: &Path) {
    let database = folder.join("market.sqlite");
    Appended::default().to(&database);
    append_failed(&database, "s&p_500", "no network");
    let companies = [("A", "1234.5 USD", "5.10"), ("BRK.B", "1 USD", "1")];
    let run = Appended {
        day: "2022-02-05",
        companies: &companies,
        ..Appended::default()
    };
    run.to(&database);
    let run = Appended {
        day: "2022-02-06",
        index: "dax",
        companies: &[("A", "9 EUR", "-"), ("B", "20 EUR", "6")],
        ..Appended::default()
    };
    run.to(&database);
}

/// A company that the latest run of its index lacks.
#[test]
fn suggests_a_company_that_has_left_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("market.sqlite");
    Appended::default().to(&database);
    let run = Appended {
        companies: &[("A", "10 USD", "5")],
        ..Appended::default()
    };
    run.to(&database);
    let ran = history(folder.path(), &["b"]);
    let message = "did you mean B (Company B)?";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
}

#[test]
fn shows_the_figures_of_a_company_run_by_run() {
    let folder = tempfile::tempdir().unwrap();
    three_runs(folder.path());
    let ran = history(folder.path(), &["A", "--index", "s&p_500"]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    let expected = "\
A, Company A, in USD

 Started (UTC)      Run      Price    P/E   Growth %    52w low   52w high   Profit %
──────────────────────────────────────────────────────────────────────────────────────
 2022-02-04 06:00     1      10.00   5.00      10.00      10.00      20.00     100.00
 2022-02-05 06:00     3   1,234.50   5.10   1,234.50   1,234.50   2,469.00     100.00
";
    let words = |text: &str| -> Vec<Vec<String>> {
        let lines = text.lines().filter(|line| !line.starts_with('─'));
        lines
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect()
    };
    // A pipe gets all columns, whatever their width.
    assert_eq!(words(&ran.stdout), words(expected), "{}", ran.stdout);

    // Columns for what differs between the runs.
    let database = Database::open_for_reading(&folder.path().join("market.sqlite")).unwrap();
    let rows = database.history("A", None).unwrap();
    for width in [130, 80, 40] {
        let shown = text(&rows, Some(width));
        let shown = anstream::adapter::strip_str(&shown).to_string();
        assert!(shown.starts_with("A, Company A\n\n"), "{shown}");
        assert!(
            shown.lines().all(|line| line.width() <= width),
            "{width}: {shown}"
        );
        let (shown, dropped) = match shown.split_once("not shown: ") {
            Some((shown, dropped)) => (shown, Some(dropped)),
            None => (&*shown, None),
        };
        assert_eq!(shown.contains("Profit %"), width == 130, "{shown}");
        assert_eq!(dropped.is_none(), width == 130, "{shown}");
        let dropped = dropped.unwrap_or("Profit % (--csv has all)\n");
        let dropped: Vec<&str> = dropped.split_whitespace().collect();
        assert!(dropped.ends_with(&["Profit", "%", "(--csv", "has", "all)"]));
        let last = shown.lines().last().unwrap();
        let last: Vec<&str> = last.split_whitespace().collect();
        assert_eq!(last[..4], ["2022-02-06", "06:00", "4", "dax"], "{shown}");
        if width > 40 {
            assert_eq!(last[4..7], ["EUR", "9.00", "–"], "{shown}");
        }
    }
}

#[test]
fn csv_and_json_have_all_digits() {
    let folder = tempfile::tempdir().unwrap();
    three_runs(folder.path());
    let ran = history(folder.path(), &["A", "--csv"]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    let expected = "\
run,started,index_name,code,name,path,currency,as_of,price,price_rub,price_in,pe,growth,low52,high52,potential_profit
1,2022-02-04T06:00:00.000Z,s&p_500,A,Company A,/stocks/A-stock,USD,,10,1000,,5,10,10,20,100
3,2022-02-05T06:00:00.000Z,s&p_500,A,Company A,/stocks/A-stock,USD,,1234.5,123450,,5.1,1234.5,1234.5,2469,100
4,2022-02-06T06:00:00.000Z,dax,A,Company A,/stocks/A-stock,EUR,,9,900,,,9,9,18,100
";
    assert_eq!(ran.stdout, expected);
    let (header, _) = expected.split_once('\n').unwrap();
    let columns = "SELECT group_concat(name) FROM pragma_table_info('history')";
    let columns = query(&folder.path().join("market.sqlite"), columns);
    assert_eq!(columns, [[Some(header.to_owned())]]);

    let ran = history(folder.path(), &["A", "--json"]);
    let history: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(history["code"], "A");
    assert_eq!(history["name"], "Company A");
    let runs = history["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 3);
    assert_eq!(runs[1]["price"].to_string(), "1234.5");
    assert_eq!(history["schema"], 1);
    assert_eq!(runs[1]["started"], "2022-02-05T06:00:00.000Z");
    assert_eq!(runs[2]["pe"], Value::Null);
}

#[test]
fn suggests_a_company_for_an_unknown_code() {
    let folder = tempfile::tempdir().unwrap();
    three_runs(folder.path());
    for (arguments, message) in [
        (
            &["brk-b"][..],
            "market.sqlite has no company with the code brk-b; did you mean BRK.B (Company BRK.B)?",
        ),
        (&["BRK.A"], "did you mean BRK.B (Company BRK.B)?"),
        (&["BKR.B"], "did you mean BRK.B (Company BRK.B)?"),
        (&["a"], "did you mean A (Company A)?"),
        (
            &["company b"],
            "did you mean B (Company B) or BRK.B (Company BRK.B)?",
        ),
        (
            &["XYZ"],
            "market.sqlite has no company with the code XYZ; `sqlite3 market.sqlite 'SELECT DISTINCT code, name FROM history'` lists the codes",
        ),
        (
            &["BRK.B", "--index", "dax"],
            "market.sqlite has no company with the code BRK.B in dax; runs of s&p_500 have it",
        ),
        // BRK.B is not in the index, A and B are.
        (
            &["BRK-A", "--index", "dax"],
            "market.sqlite has no company with the code BRK-A in dax; `sqlite3 ",
        ),
        (
            &["company b", "--index", "dax"],
            "in dax; did you mean B (Company B)?",
        ),
        (&[""], "no company with the code"),
    ] {
        let ran = history(folder.path(), arguments);
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{}", ran.stderr);
        assert!(
            ran.stderr.contains(message),
            "{arguments:?}: {}",
            ran.stderr
        );
    }
    for arguments in [&[][..], &["A", "--json", "--csv"]] {
        let ran = history(folder.path(), arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
    }
}
