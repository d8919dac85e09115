//! The subcommand `diff`: which runs it compares and what it shows of them.

use std::fs;
use std::path::Path;

use indexrank::diff::text;
use indexrank::results::ranking::PeRange;
use indexrank::site::currency::Currency;
use indexrank::store::schema::Database;
use rusqlite::Connection;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::stored_runs::{Appended, append_failed};
use crate::support::{Ran, indexrank};

pub fn diff(folder: &Path, options: &[&str]) -> Ran {
    indexrank(
        folder,
        &[&["diff", "--db", "market.sqlite"], options].concat(),
    )
}

/// Two runs, a failed one between them. Of five companies, D leaves the index, E enters it.
pub fn two_runs(folder: &Path) {
    let database = folder.join("market.sqlite");
    let run = Appended {
        top: 3,
        companies: &[
            ("A", "40 USD", "5"),
            ("B", "30 USD", "6.1"),
            ("C", "20 USD", "-"),
            ("D", "10 USD", "8"),
        ],
        ..Appended::default()
    };
    run.to(&database);
    append_failed(&database, "s&p_500", "no network");
    let run = Appended {
        day: "2022-02-07",
        top: 3,
        companies: &[
            ("A", "25 USD", "-5.25"),
            ("B", "30 USD", "6.1"),
            ("C", "21 EUR", "7"),
            ("E", "30.3 USD", "9"),
        ],
        ..Appended::default()
    };
    run.to(&database);
}

#[test]
fn shows_who_entered_left_and_moved_and_what_changed_most() {
    let folder = tempfile::tempdir().unwrap();
    two_runs(folder.path());
    let ran = diff(folder.path(), &[]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    let expected = "\
s&p_500: run 3 of 2022-02-07 06:00 UTC (live), against run 1 of 2022-02-04 06:00
  UTC (live)
Highest potential profit: no change

 Place   Was   Code    Dearest          RUB        Was
───────────────────────────────────────────────────────
     1   new   E       Company E   3,030.00          –
     3     1   A       Company A   2,500.00   4,000.00
   out     3   C       Company C   2,100.00   2,000.00

 Place   Was   Code    Lowest P/E    P/E     Was
─────────────────────────────────────────────────
     3   new   C       Company C    7.00       –
   out     3   D       Company D       –    8.00

 Place   Was   Code    Highest growth in a year       %     Was
────────────────────────────────────────────────────────────────
     1   new   E       Company E                  30.30       –
     3     1   A       Company A                  25.00   40.00
   out     3   C       Company C                  21.00   20.00

 Code    Largest changes of price        %   Price     Was   Currency
────────────────────────────────────────────────────────────────
 A       Company A                  -37.50   25.00   40.00   USD

 Code    Largest changes of P/E    Change     P/E    Was
─────────────────────────────────────────────────────────
 A       Company A                 -10.25   -5.25   5.00
";
    assert_eq!(squeezed(&ran.stdout), squeezed(expected), "{}", ran.stdout);

    let ran = diff(folder.path(), &["--json", "--exit-code"]);
    assert_eq!((ran.code, &*ran.stderr), (10, ""));
    let changes: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(changes["changed"], true);
    assert_eq!(
        (&changes["before"]["run"], &changes["after"]["run"]),
        (&json!(1), &json!(3))
    );
    assert_eq!(
        changes["rankings"][1],
        json!({
            "ranking": "pe",
            "not_compared": null,
            "places": [
                {"change": "entered", "code": "C", "name": "Company C", "place": 3, "place_before": null,
                 "value": 7, "value_before": null},
                {"change": "left", "code": "D", "name": "Company D", "place": null, "place_before": 3,
                 "value": null, "value_before": 8},
            ],
        })
    );
    let price = &changes["prices"][0];
    assert_eq!(price["change_percent"].to_string(), "-37.50");
    assert_eq!(changes["pe"][0]["change"].to_string(), "-10.25");
    assert_eq!(changes["schema"], 1);
    assert_eq!(changes["after"]["started"], "2022-02-07T06:00:00.000Z");
}

/// The text without repeated spaces and rules, which depend on the widths of columns.
fn squeezed(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('─'));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn the_exit_code_says_whether_something_changed_if_asked() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("market.sqlite");
    Appended::default().to(&database);
    Appended::default().to(&database);
    for options in [&[][..], &["--exit-code"]] {
        let ran = diff(folder.path(), options);
        assert_eq!((ran.code, &*ran.stderr), (0, ""));
        let tail = "Highest potential profit: no change\nno price or P/E ratio has changed\n";
        assert!(ran.stdout.ends_with(tail), "{}", ran.stdout);
    }
    let ran = diff(folder.path(), &["--json"]);
    let changes: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(changes["changed"], false);
    let run = Appended {
        companies: &[("A", "10 USD", "5"), ("B", "20 USD", "6.5")],
        ..Appended::default()
    };
    run.to(&database);
    assert_eq!(diff(folder.path(), &["--exit-code"]).code, 10);
    assert_eq!(diff(folder.path(), &[]).code, 0);
}

/// Runs 1, 2 and 6 of the S&P 500 are complete, 4 and 7 failed; 3 is one of the DAX, 5 a failed one of the
/// Dow Jones.
#[test]
fn chooses_the_runs_or_says_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("market.sqlite");
    let run = |index, day| {
        let run = Appended {
            index,
            day,
            ..Appended::default()
        };
        run.to(&database);
    };
    run("s&p_500", "2022-02-01");
    run("s&p_500", "2022-02-03");
    run("dax", "2022-02-03");
    append_failed(&database, "s&p_500", "no network");
    append_failed(&database, "dow_jones", "no layout");
    run("s&p_500", "2022-02-06");
    append_failed(&database, "s&p_500", "no network");
    let index = "s&p_500";
    for (options, before) in [
        (&["--index", index][..], 2),
        (&["--index", index, "--since", "1"], 1),
        (&["--since", "1"], 1),
        (&["--since", "2"], 2),
        (&["--index", index, "--since", "2022-02-01"], 1),
        (&["--index", index, "--since", "2022-02-02"], 1),
        (&["--index", index, "--since", "2022-02-03"], 2),
        (&["--index", index, "--since", "2030-01-01"], 2),
    ] {
        let ran = diff(folder.path(), &[options, &["--json"]].concat());
        assert_eq!(ran.code, 0, "{options:?}: {}", ran.stderr);
        let changes: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(changes["before"]["run"], before, "{options:?}");
        assert_eq!(changes["after"]["run"], 6, "{options:?}");
    }
    for (options, message) in [
        (
            &[][..],
            "market.sqlite has runs of dax, s&p_500; choose one with --index",
        ),
        (
            &["--index", "dax"],
            "market.sqlite has only one complete run of dax, run 3, so there is nothing to compare it with; the next `indexrank --index dax --db market.sqlite` adds one",
        ),
        (
            &["--index", "dow_jones"],
            "market.sqlite has no complete run of dow_jones; the last one, run 5, failed: no layout; the next `indexrank --index dow_jones --db market.sqlite` adds one",
        ),
        (
            &["--index", "ftse_100"],
            "market.sqlite has no run of ftse_100, only of dax, dow_jones, s&p_500; the next `indexrank --index ftse_100 --db",
        ),
        (
            &["--since", "9"],
            "market.sqlite has no run 9, its last one is 7; choose another run",
        ),
        (
            &["--since", "4"],
            "run 4 in market.sqlite failed, so it has no companies: no network; choose a complete run",
        ),
        (
            &["--since", "6"],
            "market.sqlite has no complete run of s&p_500 after run 6; choose an earlier run",
        ),
        (
            &["--since", "3", "--index", index],
            "run 3 in market.sqlite is one of dax, not of s&p_500; choose another run or --index",
        ),
        (
            &["--since", "2022-01-31", "--index", index],
            "market.sqlite has no complete run of s&p_500 up to 2022-01-31; the first, run 1, is of 2022-02-01; choose a later day",
        ),
        (
            &["--since", "yesterday"],
            "expected a day like 2022-02-04, or the number of a run",
        ),
        (
            &["--since", "0"],
            "expected a day like 2022-02-04, or the number of a run",
        ),
        (&["--index", "sp500"], "did you mean s&p_500?"),
    ] {
        let ran = diff(folder.path(), options);
        assert_eq!(ran.code, 2, "{options:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{options:?}");
        assert!(ran.stderr.contains(message), "{options:?}: {}", ran.stderr);
    }
}

/// A failed run of another index does not make a bare `diff` ambiguous. If all runs failed, it says why.
#[test]
fn needs_no_index_while_only_one_has_complete_runs() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("market.sqlite");
    append_failed(&database, "dow_jones", "no layout");
    let ran = diff(folder.path(), &[]);
    let message = "no complete run of dow_jones; the last one, run 1, failed: no layout; the next `indexrank --index dow_jones ";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
    Appended::default().to(&database);
    let ran = diff(folder.path(), &[]);
    let message = "only one complete run of s&p_500, run 2, so there is nothing to compare it with; the next `indexrank --db market.sqlite` adds one";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
    Appended::default().to(&database);
    append_failed(&database, "dow_jones", "no layout");
    let ran = diff(folder.path(), &[]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    append_failed(&folder.path().join("both"), "dow_jones", "no layout");
    append_failed(&folder.path().join("both"), "dax", "no layout");
    let ran = indexrank(folder.path(), &["diff", "--db", "both"]);
    let message = "both has runs of dax, dow_jones; choose one with --index";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
}

/// A shell takes the commands of messages as they are.
#[test]
fn quotes_the_file_in_commands() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("my market");
    fs::write(&database, "").unwrap();
    let shown = |arguments: &[&str], message: &str| {
        let ran = indexrank(folder.path(), arguments);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    };
    let diff = ["diff", "--db", "my market"];
    shown(&diff, "my market has no run; `indexrank --db 'my market'`");
    let missing = ["diff", "--db", "a's"];
    shown(&missing, r"there is no file a's; `indexrank --db 'a'\''s'`");
    let run = Appended {
        index: "dax",
        ..Appended::default()
    };
    run.to(&database);
    shown(&diff, "next `indexrank --index dax --db 'my market'` adds");
    let history = ["history", "XYZ", "--db", "my market"];
    shown(&history, "`sqlite3 'my market' 'SELECT DISTINCT");
    let whole = fs::read(&database).unwrap();
    fs::write(&database, &whole[..whole.len() / 2]).unwrap();
    shown(&diff, "`sqlite3 'my market' .recover`");
}

/// Values that no run writes, by hand in the file.
#[test]
fn changes_out_of_range_have_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("market.sqlite");
    Appended::default().to(&database);
    Appended::default().to(&database);
    let connection = Connection::open(&database).unwrap();
    let edit = "UPDATE quotes SET price = '0', pe = '79228162514264337593543950335' WHERE run = 1 AND code = 'A';
         UPDATE quotes SET pe = '-79228162514264337593543950335' WHERE run = 2 AND code = 'A';
         UPDATE quotes SET price = '1' WHERE run = 1 AND code = 'B';
         UPDATE quotes SET price = '-79228162514264337593543950335', pe = '7' WHERE run = 2 AND code = 'B'";
    connection.execute_batch(edit).unwrap();
    let ran = diff(folder.path(), &["--json"]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    let changes: Value = serde_json::from_str(&ran.stdout).unwrap();
    let of = |list: &str, key: &str| -> Vec<String> {
        let changes = changes[list].as_array().unwrap().iter();
        changes.map(|change| change[key].to_string()).collect()
    };
    assert_eq!(of("prices", "change_percent"), ["null", "null"]);
    assert_eq!(of("pe", "code"), ["\"B\"", "\"A\""]);
    assert_eq!(of("pe", "change"), ["1", "null"]);
    let ran = diff(folder.path(), &[]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    let line = ran.stdout.lines().find(|line| line.ends_with("0.00   USD"));
    assert!(
        line.is_some_and(|line| line.contains("  –  ")),
        "{}",
        ran.stdout
    );
}

#[test]
fn says_which_rankings_cannot_be_compared() {
    let folder = tempfile::tempdir().unwrap();
    for (before, after, messages) in [
        (
            Appended {
                currency: Currency::USD,
                ..Appended::default()
            },
            Appended {
                pe_range: PeRange::Positive,
                ..Appended::default()
            },
            &[
                "Dearest: not compared, run 1 ranks prices in USD, run 2 in RUB\n",
                "Lowest P/E: not compared, run 1 ranks all P/E ratios, run 2 only positive ones\n",
                "Highest growth in a year: no change\n",
            ][..],
        ),
        (
            Appended {
                pe_range: PeRange::Positive,
                ..Appended::default()
            },
            Appended::default(),
            &["Lowest P/E: not compared, run 1 ranks only positive P/E ratios, run 2 all\n"],
        ),
        (
            Appended {
                has_rates: false,
                ..Appended::default()
            },
            Appended::default(),
            &["Dearest: not compared, run 1 has no such ranking\n"],
        ),
        // Only the places that both rankings have.
        (
            Appended::default(),
            Appended {
                top: 1,
                ..Appended::default()
            },
            &["Dearest: no change\nLowest P/E: no change\n"],
        ),
    ] {
        let database = folder.path().join("market.sqlite");
        before.to(&database);
        after.to(&database);
        let ran = diff(folder.path(), &[]);
        for message in messages {
            assert!(ran.stdout.contains(message), "{message}: {}", ran.stdout);
        }
        assert_eq!(diff(folder.path(), &["--exit-code"]).code, 0);
        fs::remove_file(database).unwrap();
    }
}

#[test]
fn tables_have_the_ten_largest_changes_and_json_all() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("market.sqlite");
    let codes: Vec<String> = (10..40).map(|number| format!("C{number}")).collect();
    for factor in [100, 101] {
        let prices: Vec<String> = (10..40)
            .map(|number| format!("{} USD", if factor == 100 { 100 } else { 100 + number }))
            .collect();
        let companies: Vec<(&str, &str, &str)> = codes
            .iter()
            .zip(&prices)
            .map(|(code, price)| (&**code, &**price, "5"))
            .collect();
        let run = Appended {
            companies: &companies,
            ..Appended::default()
        };
        run.to(&database);
    }
    let ran = diff(folder.path(), &["--json"]);
    let changes: Value = serde_json::from_str(&ran.stdout).unwrap();
    let listed: Vec<&str> = changes["prices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["code"].as_str().unwrap())
        .collect();
    assert_eq!(listed.len(), 30);
    assert_eq!(
        listed[..10],
        [
            "C39", "C38", "C37", "C36", "C35", "C34", "C33", "C32", "C31", "C30"
        ]
    );
    let ran = diff(folder.path(), &[]);
    let tail = "20 prices more have changed (--json has all)\n";
    assert!(ran.stdout.ends_with(tail), "{}", ran.stdout);

    // No line is wider than the terminal, and a narrow one has the first columns. Tables are as wide as their
    // names, also on a wide terminal.
    let database = Database::open_for_reading(&database).unwrap();
    let changes = database.changes(None, None).unwrap();
    for width in [130, 80, 60, 40] {
        let shown = text(&changes, Some(width));
        let shown = anstream::adapter::strip_str(&shown).to_string();
        for line in shown.lines() {
            assert!(line.width() <= width.min(100), "{width}: {line}");
        }
        for title in [
            "Place",
            "Was",
            "Code",
            "Dearest",
            "Largest changes of price",
        ] {
            // A narrow header has several lines.
            let is_wrapped = width < 80 && title == "Largest changes of price";
            assert!(is_wrapped || shown.contains(title), "{width}: {shown}");
        }
        assert_eq!(shown.contains(" RUB "), width > 40, "{shown}");
        let dropped = "not shown: RUB, Was (--json has all)\n";
        assert_eq!(shown.contains(dropped), width == 40, "{shown}");
    }
}
