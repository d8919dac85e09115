//! The tables of the rankings at several widths.

use indexrank::results::ranking::{Figure, Place};
use indexrank::results::terminal::tables;
use indexrank::site::currency::Currency;
use unicode_width::UnicodeWidthStr;

const LONG: &str = "Mettler-Toledo International Inc.";

fn ranking(figure: Figure, names: &[&str]) -> (Figure, Vec<Place>) {
    let places = names.iter().map(|name| Place {
        code: "MTD".to_owned(),
        name: (*name).to_owned(),
        figure,
        value: "12345.678".parse().unwrap(),
    });
    (figure, places.collect())
}

/// The tables without colours, each line checked against the width.
fn lines(rankings: &[(Figure, Vec<Place>)], width: usize) -> Vec<String> {
    let text = tables(rankings, Currency::USD, width);
    let mut plain = text;
    for style in ["\u{1b}[1m", "\u{1b}[2m", "\u{1b}[0m"] {
        plain = plain.replace(style, "");
    }
    let lines: Vec<String> = plain.lines().map(str::to_owned).collect();
    for line in &lines {
        assert!(line.width() <= width, "{width}: {line:?}");
    }
    lines
}

fn all(names: &[&str]) -> [(Figure, Vec<Place>); 4] {
    Figure::ALL.map(|figure| ranking(figure, names))
}

#[test]
fn tables_are_side_by_side_when_their_names_fit() {
    let rankings = all(&[LONG, "3M Co."]);
    let has_two = |width| {
        let lines = lines(&rankings, width);
        assert!(!lines.iter().any(|line| line.contains('…')), "{lines:#?}");
        lines[0].contains("Dearest") && lines[0].contains("Lowest P/E")
    };
    assert!(has_two(130));
    assert!(!has_two(100));
    assert!(!has_two(60));
    // Short names leave room for two.
    let short = lines(&all(&["3M Co."]), 105);
    assert!(short[0].contains("Lowest P/E"), "{short:#?}");
}

#[test]
fn names_are_cut_only_to_the_width() {
    let rankings = all(&[LONG]);
    let name = |width: usize| {
        let lines = lines(&rankings, width);
        let row = lines.iter().find(|line| line.contains("MTD")).unwrap();
        let (_, name) = row.split_once("MTD").unwrap();
        let (name, _) = name.rsplit_once("  ").unwrap();
        name.trim().to_owned()
    };
    assert_eq!(name(60), LONG);
    assert_eq!(name(59), "Mettler-Toledo International In…");
    assert_eq!(name(40), "Mettler-Tole…");
}

/// Chinese characters and emoji take two columns.
#[test]
fn wide_characters_keep_figures_in_one_column() {
    let names = ["贵州茅台酒股份有限公司", "🍎 Apple", "3M Co."];
    for width in [40, 60, 100, 130] {
        let lines = lines(&all(&names), width);
        let end = |line: &String| line.width();
        let rows: Vec<usize> = lines
            .iter()
            .filter(|line| line.contains("MTD"))
            .map(end)
            .collect();
        assert_eq!(rows.len() % 3, 0);
        assert!(rows.windows(2).all(|pair| pair[0] == pair[1]), "{lines:#?}");
    }
}
