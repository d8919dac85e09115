//! The command line that continues a run: a shell reads the same words, and no password is in it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::{Command, Stdio};

use indexrank::http::proxy::{without_credentials, without_secrets};
use indexrank::job::shell::{quote, resume_command};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{command, indexrank};

/// The words that bash makes of a line.
fn words_of_bash(line: &str) -> Vec<OsString> {
    let script = format!("printf '%s\\0' {line}");
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{line}");
    let words = output.stdout.split(|byte| *byte == 0);
    let mut words: Vec<OsString> = words
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect();
    words.pop();
    words
}

#[test]
fn quotes_words_for_a_shell() {
    for (word, quoted) in [
        ("s&p_500", "'s&p_500'"),
        ("rankings/a-b_c.json", "rankings/a-b_c.json"),
        ("", "''"),
        ("it's", r"'it'\''s'"),
        ("$HOME `id` \"x\" ~ *", "'$HOME `id` \"x\" ~ *'"),
        ("a\u{202e}b\n1", r"$'a\342\200\256b\0121'"),
        ("\u{1b}'\\", r"$'\033\'\\'"),
        ("Größe", "'Größe'"),
    ] {
        assert_eq!(quote(OsStr::new(word)), quoted);
        assert_eq!(words_of_bash(quoted), [word], "{quoted}");
    }
    assert_eq!(quote(OsStr::from_bytes(b"r\xff7")), r"$'r\3777'");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_shell_reads_the_same_words(words in vec(vec(1_u8..=255, 0..12), 1..5), text in "\\PC{0,20}") {
        let mut words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
        words.push(text.into());
        let line = resume_command(words.clone()).line;
        words.push("--resume".into());
        prop_assert_eq!(words_of_bash(&line), words, "{}", line);
    }
}

#[test]
fn leaves_out_the_user_and_the_password_of_a_proxy() {
    for (address, shown) in [
        (
            "http://me:sEcReT@127.0.0.1:3128",
            Some("http://USER:PASSWORD@127.0.0.1:3128"),
        ),
        (
            "socks5://sEcReT@host:1080",
            Some("socks5://USER:PASSWORD@host:1080"),
        ),
        ("me:sEcReT@host:1080", Some("USER:PASSWORD@host:1080")),
        (
            "http://me:sEc@ReT@host:1",
            Some("http://USER:PASSWORD@host:1"),
        ),
        (
            "http://me:sEc/ReT@host:1",
            Some("http://USER:PASSWORD@host:1"),
        ),
        ("http://127.0.0.1:3128", None),
        ("host:3128", None),
    ] {
        assert_eq!(without_credentials(address).as_deref(), shown);
        let joined = format!("--proxy={address}");
        for arguments in [&["x", "--proxy", address, "-q"][..], &["x", &joined, "-q"]] {
            let command = resume_command(arguments.iter().map(OsString::from));
            assert!(!command.line.contains("sEc"), "{command:?}");
            assert_eq!(
                command.placeholder.is_some(),
                shown.is_some(),
                "{command:?}"
            );
            let address = shown.unwrap_or(address);
            assert!(command.line.contains(address), "{command:?}");
            assert!(command.line.ends_with(" -q --resume"), "{command:?}");
        }
    }
    for (value, printed) in [
        ("me:sEcReT", "USER:PASSWORD"),
        ("http://me:sEcReT%40host:1", "http://USER:PASSWORD"),
        ("me:sEc@ReT:x", "USER:PASSWORD@ReT:x"),
        ("foo://host:1/", "foo://host:1/"),
        ("http://[::1]:x", "http://USER:PASSWORD"),
        ("http://[::1]:1", "http://[::1]:1"),
        ("::", "::"),
    ] {
        assert_eq!(without_secrets(value), printed);
    }
    // Other options may have an @ in their value.
    let agent = ["x", "--user-agent", "me@example.org", "--resume"];
    let command = resume_command(agent.map(OsString::from));
    assert_eq!(command.line, agent.join(" "));
    assert_eq!(command.placeholder, None);
}

/// The embedded market needs no proxy, so the printed line works with the placeholder too.
#[test]
fn a_run_prints_a_line_without_the_password_that_resumes_it() {
    let folder = tempfile::tempdir().unwrap();
    let proxy = "http://me:sEcReT@127.0.0.1:1";
    let options = [
        "--from", "replica", "--proxy", proxy, "--out", "o'ut $x", "-v",
    ];
    let limits = ["--rps", "60", "--max-time", "1.5"];
    let mut first = command(folder.path(), &[&options[..], &limits].concat());
    let first = first.env("ALL_PROXY", proxy).output().unwrap();
    let stderr = String::from_utf8(first.stderr).unwrap();
    assert_eq!(first.status.code(), Some(4), "{stderr}");
    let hint = "indexrank: to resume, with your own USER:PASSWORD: ";
    let line = stderr.lines().find_map(|line| line.strip_prefix(hint));
    let line = line.unwrap_or_else(|| panic!("no {hint:?} in {stderr}"));
    assert!(!stderr.contains("sEcReT"), "{stderr}");

    // Without its limits, the line completes the run.
    let line = line.replace(" --rps 60 --max-time 1.5", "");
    let resumed = Command::new("bash")
        .args(["-c", &line])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8(resumed.stderr).unwrap();
    assert_eq!(resumed.status.code(), Some(0), "{line}: {stderr}");
    let report = fs::read_to_string(folder.path().join("o'ut $x/run.json")).unwrap();
    assert!(!report.contains("\"resumed\": 0"), "{report}");
    assert!(!report.contains("PASSWORD"), "{report}");
}

#[test]
fn an_error_about_the_proxy_has_no_password() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["--proxy", "ftp://me:sEcReT@host:1"][..],
        &["--proxy=me:sEcReT@"],
        &["--proxy", "http://me:sEc ReT@host:1"],
        &["check", "--proxy", "http://me:sEc/ReT@host:1"],
        &["--from", "http://me:sEcReT@host:1"],
    ] {
        let ran = indexrank(folder.path(), arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("sEc"), "{}", ran.stderr);
        assert!(ran.stderr.contains("USER:PASSWORD@"), "{}", ran.stderr);
    }
}
