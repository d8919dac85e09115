//! The help texts and the completion scripts.

use indexrank::exit::Exit;
use indexrank::replica::{Faults, kinds};

use crate::support::indexrank;
#[test]
fn help_has_option_groups_and_examples() {
    let folder = tempfile::tempdir().unwrap();
    let help = indexrank(folder.path(), &["--help"]);
    assert_eq!(help.code, 0);
    for expected in [
        "Source:",
        "Results:",
        "Fetching:",
        "Terminal:",
        "Examples:",
        "Exit codes:",
        "indexrank --from replica",
        "completions",
        "serve",
        "read",
        "diff",
        "history",
    ] {
        assert!(
            help.stdout.contains(expected),
            "no {expected:?} in\n{}",
            help.stdout
        );
    }
    let version = indexrank(folder.path(), &["--version"]);
    assert_eq!(
        version.stdout,
        format!("indexrank {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn help_lists_every_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let help = indexrank(folder.path(), &["--help"]).stdout;
    let (_, footer) = help.split_once("Exit codes:\n").unwrap();
    let listed: Vec<u8> = footer
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    let codes = [
        Exit::Complete,
        Exit::Internal,
        Exit::Usage,
        Exit::Partial,
        Exit::Unreachable,
        Exit::Layout,
        Exit::NoRate,
        Exit::Output,
        Exit::TooFew,
        Exit::Changed,
        Exit::Interrupted,
        Exit::Terminated,
    ];
    assert_eq!(listed, codes.map(|code| code as u8));
}

#[test]
fn help_of_serve_lists_every_kind_of_fault() {
    let folder = tempfile::tempdir().unwrap();
    let help = indexrank(folder.path(), &["serve", "--help"]).stdout;
    let first_words: Vec<&str> = help
        .lines()
        .filter_map(|line| line.split([' ', ':']).find(|word| !word.is_empty()))
        .collect();
    for kind in kinds() {
        let name = kind.split(':').next().unwrap();
        let is_status = name.parse::<u16>().is_ok();
        assert!(
            is_status || first_words.contains(&name),
            "no {name:?} in\n{help}"
        );
    }
    let examples: Vec<&str> = help
        .lines()
        .filter_map(|line| line.strip_prefix("    --faults "))
        .collect();
    assert!(!examples.is_empty());
    for example in examples {
        let spec = example.trim_matches('\'');
        assert!(spec.parse::<Faults>().is_ok(), "{spec}");
    }
}

#[test]
fn prints_completions_for_every_shell() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = indexrank(folder.path(), &["completions", shell]);
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains("usd-rub"), "{shell}");
    }
}
