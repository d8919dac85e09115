//! The files of a run before its first request: staged, locked, and told apart by what they are.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::interrupted::{ended, slow_market, start};
use crate::support::{RANKINGS, assert_expected_rankings, contents, files, indexrank};

/// Waits until a run has staged its outputs.
fn wait_for(file: &Path) {
    while !file.exists() {
        std::thread::yield_now();
    }
}

#[test]
fn a_second_run_with_one_common_output_is_refused() {
    let server = slow_market(100);
    let address = server.address();
    let folder = tempfile::tempdir().unwrap();
    for output in [
        ["--table", "all.csv"],
        ["--record", "run.warc"],
        ["--trace", "trace.json"],
    ] {
        let first = ["--from", &*address, "-q", "--out", "first"];
        let first = start(folder.path(), &[&first[..], &output].concat());
        let staged = match output[0] {
            "--record" => "unfinished-run.warc".to_owned(),
            _ => format!(".{}.indexrank", output[1]),
        };
        wait_for(&folder.path().join(staged));
        let second = ["--from", &*address, "-q", "--out", "second"];
        let second = indexrank(folder.path(), &[&second[..], &output].concat());
        assert_eq!(second.code, 7, "{output:?}: {}", second.stderr);
        assert!(
            second.stderr.contains("is writing there"),
            "{}",
            second.stderr
        );
        assert!(!folder.path().join("second").exists());
        let (_, first) = ended(first);
        assert_eq!(first.code, 0, "{}", first.stderr);
        assert_expected_rankings(&folder.path().join("first"));
    }
    assert_eq!(
        files(folder.path()),
        ["all.csv", "first", "run.warc", "trace.json"]
    );
}

/// Each run is refused before its first request, and no file changes.
#[test]
fn refuses_outputs_that_are_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let recorded = ["--from", "replica", "-q", "--record", "source.warc"];
    assert_eq!(indexrank(folder.path(), &recorded).code, 0);
    fs::hard_link(at("source.warc"), at("hard.csv")).unwrap();
    fs::hard_link(at("rankings/pe.json"), at("pe.ndjson")).unwrap();
    fs::hard_link(at("source.warc"), at("rankings/hard.json")).unwrap();
    symlink(at("rankings"), at("linked")).unwrap();
    symlink(at("source.warc"), at("link.csv")).unwrap();
    symlink(at("nothing"), at("dangling.csv")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(at("pipe.csv"))
            .status()
            .unwrap()
            .success()
    );
    let before = contents(folder.path());
    let twice = "is used twice, for two results or for a result and the source";
    for (arguments, message) in [
        (&["--from", "source.warc", "--table", "hard.csv"][..], twice),
        (
            &[
                "--from",
                "source.warc",
                "--trace",
                "./linked/../source.warc",
            ],
            twice,
        ),
        (
            &["--from", "source.warc", "--trace", "rankings/hard.json"],
            twice,
        ),
        (&["--from", "source.warc", "--table", "pe.ndjson"], twice),
        (&["--from", "source.warc", "--log", "source.warc"], twice),
        (&["--from", "source.warc", "--log", "hard.csv"], twice),
        (
            &["--from", "replica", "--log", "linked/.pe.json.indexrank"],
            twice,
        ),
        (
            &["--from", "replica", "--trace", "linked/price.json"],
            twice,
        ),
        (
            &[
                "--from",
                "replica",
                "--trace",
                "rankings/../rankings/run.json",
            ],
            twice,
        ),
        (
            &["--from", "replica", "--trace", "linked/price.previous.json"],
            twice,
        ),
        (
            &["--from", "replica", "--trace", "linked/failed-run.json"],
            twice,
        ),
        (
            &[
                "--from",
                "replica",
                "--trace",
                "linked/unfinished-commit.json",
            ],
            twice,
        ),
        (
            &["--from", "replica", "--trace", "linked/unfinished.warc"],
            twice,
        ),
        (
            &["--from", "replica", "--trace", "linked/.run.json.indexrank"],
            twice,
        ),
        (
            &[
                "--from",
                "replica",
                "--trace",
                "rankings/.unfinished-commit.json.indexrank",
            ],
            twice,
        ),
        (
            &[
                "--from",
                "replica",
                "--table",
                "a.csv",
                "--table",
                "linked/../a.csv",
            ],
            twice,
        ),
        (
            &[
                "--from", "replica", "--table", "a.csv", "--trace", "./a.csv",
            ],
            twice,
        ),
        (
            &[
                "--from",
                "replica",
                "--record",
                "r.warc",
                "--trace",
                "unfinished-r.warc",
            ],
            twice,
        ),
        (
            &["--from", "replica", "--table", "link.csv"],
            "link.csv: it is a link",
        ),
        (
            &["--from", "replica", "--table", "dangling.csv"],
            "it is a link",
        ),
        (
            &["--from", "replica", "--table", "pipe.csv"],
            "it is a device or a pipe",
        ),
        (
            &["--from", "replica", "--trace", "/dev/stdout"],
            "it is a link",
        ),
        (
            &["--from", "replica", "--trace", "/dev/null"],
            "it is a device or a pipe",
        ),
    ] {
        let ran = indexrank(folder.path(), arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(message),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "");
        assert_eq!(contents(folder.path()), before, "{arguments:?}");
    }
    assert!(at("link.csv").is_symlink() && at("dangling.csv").is_symlink());
    // A linked folder is a folder.
    let ran = indexrank(
        folder.path(),
        &["--from", "replica", "-q", "--out", "linked"],
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(at("linked").is_symlink());
    assert_expected_rankings(&at("rankings"));
}

/// A killed run leaves staged files. The next run replaces them and writes into none of them: one may
/// have become another name of a foreign file.
#[test]
fn replaces_the_staged_files_of_a_killed_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rankings");
    fs::create_dir(&out).unwrap();
    let precious = folder.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    fs::write(out.join(".run.json.indexrank"), "process 1\n").unwrap();
    fs::write(out.join(".unfinished-commit.json.indexrank"), "half").unwrap();
    fs::hard_link(&precious, out.join(".price.json.indexrank")).unwrap();
    let run = ["--from", "replica", "-q"];
    let ran = indexrank(folder.path(), &run);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut expected = RANKINGS.to_vec();
    expected.push("run.json");
    assert_eq!(files(&out), expected);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");

    // A link is not of this program.
    symlink(&precious, out.join(".pe.json.indexrank")).unwrap();
    let ran = indexrank(folder.path(), &run);
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("cannot write rankings/pe.json: .pe.json.indexrank is a link"),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}
