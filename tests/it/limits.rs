//! Runs under limits of the system on open files, threads and memory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::{MARKET, Ran, assert_expected_rankings};

const BINARY: &str = env!("CARGO_BIN_EXE_indexrank");

/// Runs a script of `sh` in a folder. `$BINARY` is the program.
pub fn sh(folder: &Path, script: &str) -> Ran {
    let mut command = Command::new("sh");
    let command = command.args(["-c", script]).env("BINARY", BINARY);
    let output = command.current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran {
        code: output.status.code().expect("not killed"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Either the run has ranked every company, or it has ended before its first request with one sentence
/// that contains `words`. Returns whether it has ranked them.
#[track_caller]
fn assert_whole_or_nothing(folder: &Path, ran: &Ran, words: &[&str]) -> bool {
    let Ran { code, stderr, .. } = ran;
    let out = folder.join("out");
    match code {
        0 => assert_expected_rankings(&out),
        2 => {
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
            for word in words {
                assert!(stderr.contains(word), "{word:?} in {stderr}");
            }
            assert!(!out.exists(), "{stderr}");
        }
        code => panic!("{code}: {stderr}"),
    }
    *code == 0
}

#[test]
fn fits_the_workers_to_the_limit_of_open_files() {
    for from in ["replica", &MARKET.address()] {
        let ends = if from == "replica" { 2 } else { 1 };
        let mut ranked = Vec::new();
        for limit in (5..=12).chain([16, 20, 24, 28, 30, 31, 32, 33, 34, 36, 40]) {
            let folder = tempfile::tempdir().unwrap();
            let script =
                format!("ulimit -n {limit}; exec $BINARY --from {from} --out out --table t.csv");
            let ran = sh(folder.path(), &script);
            let words = ["open files", "ulimit -n"];
            if assert_whole_or_nothing(folder.path(), &ran, &words) {
                ranked.push(limit);
                assert!(ran.stderr.contains("worker"), "{}", ran.stderr);
            }
        }
        assert!(ranked.contains(&40) && !ranked.contains(&12), "{ranked:?}");
        let folder = tempfile::tempdir().unwrap();
        let script = format!("ulimit -n 60; exec $BINARY --from {from} --out out --workers 200");
        let ran = sh(folder.path(), &script);
        assert!(assert_whole_or_nothing(folder.path(), &ran, &[]));
        let files: usize = ran
            .stderr
            .split("allows this process ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next()?.parse().ok())
            .unwrap();
        assert!((50..58).contains(&files), "{}", ran.stderr);
        let workers = format!("{} workers instead of 200", (files - 24) / ends);
        assert!(ran.stderr.contains(&workers), "{}", ran.stderr);
    }
}

/// Under the limit that the warning names, no worker is missing.
#[test]
fn names_the_limit_of_open_files_that_suffices() {
    for (from, workers, enough) in [
        ("replica", 200, 424..460),
        (&*MARKET.address(), 200, 224..260),
        ("replica", 4096, 8216..8252),
        (&MARKET.address(), 4096, 4120..4156),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let run = |limit: usize| {
            let options = format!("--from {from} --out out --workers {workers}");
            sh(
                folder.path(),
                &format!("ulimit -n {limit} && exec $BINARY {options}"),
            )
        };
        let warning = run(60).stderr;
        let named = warning.split("`ulimit -n ").nth(1);
        let named = named.and_then(|rest| rest.split('`').next()?.parse().ok());
        let limit: usize = named.unwrap_or_else(|| panic!("{warning}"));
        assert!(enough.contains(&limit), "{warning}");
        let ran = run(limit);
        if ran.stderr.contains("ulimit: ") {
            // The limit of the tests is lower, and only root may raise it.
            continue;
        }
        assert!(!ran.stderr.contains("instead of"), "{}", ran.stderr);
        assert_whole_or_nothing(folder.path(), &ran, &[]);
    }
}

#[test]
fn a_check_ends_before_its_first_request_too() {
    let folder = tempfile::tempdir().unwrap();
    let ran = sh(
        folder.path(),
        "ulimit -n 12; exec $BINARY check --from replica",
    );
    assert_eq!((ran.code, &*ran.stdout), (2, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("open files"), "{}", ran.stderr);
}

/// Each thread takes 2 MiB of address space for its stack, and up to 64 MiB for its arena.
#[test]
fn fits_the_workers_to_the_limit_of_memory() {
    for kibibytes in [40_000, 80_000, 160_000, 400_000, 1_200_000, 2_000_000] {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "ulimit -v {kibibytes}; exec $BINARY --from {} --out out --workers 128",
            MARKET.address()
        );
        let ran = sh(folder.path(), &script);
        assert_whole_or_nothing(folder.path(), &ran, &["threads", "ulimit -v"]);
    }
}

/// The limit counts all processes of a user, and does not apply to root. So the run belongs to a user
/// without other processes, which only root can choose.
#[cfg(target_os = "linux")]
#[test]
fn fits_the_workers_to_the_limit_of_threads() {
    const USER: u32 = 54_321;
    let folder = tempfile::tempdir().unwrap();
    if sh(folder.path(), "id -u").stdout != "0\n" {
        return;
    }
    let binary = folder.path().join("indexrank");
    fs::copy(BINARY, &binary).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    for from in ["replica", &MARKET.address()] {
        let mut ranked = Vec::new();
        for limit in (1..=20).chain([24, 28, 32, 40, 60]) {
            let script = format!(
                "rm -rf out; exec setpriv --reuid {USER} --regid {USER} --clear-groups \
                 prlimit --nproc={limit} ./indexrank --from {from} --out out --readers 2"
            );
            let ran = sh(folder.path(), &script);
            let words = ["threads", "ulimit -u"];
            if assert_whole_or_nothing(folder.path(), &ran, &words) {
                ranked.push(limit);
            }
        }
        assert!(ranked.contains(&28) && !ranked.contains(&8), "{ranked:?}");
    }
}
