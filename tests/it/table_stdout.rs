//! `--table -`: the table of all companies on stdout.

use std::fs;
use std::process::Command;

use crate::support::indexrank;

#[test]
fn prints_the_table_of_all_companies() {
    let folder = tempfile::tempdir().unwrap();
    let run = [
        "--from",
        "replica",
        "--table",
        "all.csv",
        "--table",
        "all.ndjson",
    ];
    assert_eq!(indexrank(folder.path(), &run).code, 0);
    for (target, file) in [
        ("-", "all.csv"),
        ("-.csv", "all.csv"),
        ("-.jsonl", "all.ndjson"),
    ] {
        for quiet in [&[][..], &["-q"]] {
            let arguments = [&["--from", "replica", "--table", target], quiet].concat();
            let ran = indexrank(folder.path(), &arguments);
            assert_eq!(ran.code, 0, "{}", ran.stderr);
            assert_eq!(
                ran.stdout,
                fs::read_to_string(folder.path().join(file)).unwrap()
            );
        }
    }
    for arguments in [
        &["--table", "-", "--json"][..],
        &["--table", "-", "--table", "-.ndjson"],
    ] {
        let ran = indexrank(folder.path(), arguments);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("cannot share stdout"), "{}", ran.stderr);
    }
    // A reader of the table may not see the exit code.
    let few = [
        "--from",
        "replica",
        "--table",
        "-",
        "--min-companies",
        "1000",
    ];
    let ran = indexrank(folder.path(), &few);
    assert_eq!((ran.code, &*ran.stdout), (8, ""), "{}", ran.stderr);
}

/// `| head` closes the pipe before the table is complete.
#[test]
fn a_closed_pipe_ends_the_table_quietly() {
    let binary = env!("CARGO_BIN_EXE_indexrank");
    let folder = tempfile::tempdir().unwrap();
    for table in ["-", "-.ndjson"] {
        let script = format!(
            "set -o pipefail; {binary} --from replica --table {table} -q | head -n 1 >&2; echo ${{PIPESTATUS[0]}}"
        );
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.stdout, b"0\n", "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}
