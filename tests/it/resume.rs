//! Resuming from a journal, and journals that a run refuses, distrusts or keeps.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use indexrank::replica::{Line, Pages, Plan, Server};
use nix::sys::signal::Signal;

use crate::interrupted::{cut_short, ended, leftovers, resumed, slow_market};
use crate::support::{
    Reply, TestServer, assert_expected_rankings, command, indexrank, json, ledger, signal,
};

#[test]
fn resumes_a_truncated_recording() {
    for name in ["run.warc", "run.warc.gz"] {
        let server = slow_market(40);
        let folder = tempfile::tempdir().unwrap();
        cut_short(folder.path(), &server, &["--record", name]);
        let unfinished = folder.path().join(format!("unfinished-{name}"));
        assert!(unfinished.exists() && !folder.path().join(name).exists());
        // A kill in the middle of a record leaves the file like this.
        let length = fs::metadata(&unfinished).unwrap().len();
        let file = OpenOptions::new().write(true).open(&unfinished).unwrap();
        file.set_len(length - 1000).unwrap();
        let address = server.address();
        let again = ["--from", &*address, "-q", "--record", name, "--resume"];
        let ran = indexrank(folder.path(), &again);
        assert_eq!((ran.code, &*ran.stderr), (0, ""));
        assert!(!unfinished.exists());
        let replay = ["--from", name, "--out", "again"];
        let ran = indexrank(folder.path(), &replay);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_expected_rankings(&folder.path().join("again"));
    }
}

#[test]
fn refetches_pages_older_than_max_age() {
    let server = slow_market(40);
    let folder = tempfile::tempdir().unwrap();
    cut_short(folder.path(), &server, &[]);
    thread::sleep(Duration::from_millis(1100));
    let address = server.address();
    let resume = ["--from", &*address, "-q", "--resume", "--max-age", "1"];
    assert_eq!(indexrank(folder.path(), &resume).code, 0);
    assert_eq!(resumed(folder.path()), 0);
    assert_expected_rankings(&folder.path().join("rankings"));
}

/// The first five responses are cut off after 90,000 bytes. The first run fails after four of them. The
/// resumed run finds the page truncated, requests it, and succeeds with its second attempt.
#[test]
fn refetches_a_truncated_page_of_the_journal() {
    let server = TestServer::start(crate::run::market(), |path, earlier| {
        (path == crate::run::COMPANY && earlier < 5).then(|| {
            let page = crate::run::company_html(path);
            Reply::with_head(crate::run::OK, &page[..90_000])
        })
    });
    let run = crate::run::Run::new(&server, &["--retry-pause", "10"]);
    run.assert_without_the_company("truncated");
    assert!(run.folder.path().join("rankings/unfinished.warc").exists());
    let again = [
        "--from",
        server.address(),
        "--resume",
        "--retry-pause",
        "10",
    ];
    let ran = indexrank(run.folder.path(), &again);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let report = json(&run.folder.path().join("rankings/run.json"));
    assert_eq!(ledger(&report), [60, 60, 0, 0, 0]);
    assert_eq!(server.asked(crate::run::COMPANY), 6);
    assert!(!run.folder.path().join("rankings/unfinished.warc").exists());
}

#[test]
fn refuses_the_journal_of_another_run() {
    let server = slow_market(40);
    let address = server.address();
    let folder = tempfile::tempdir().unwrap();
    cut_short(folder.path(), &server, &[]);
    let journal = folder.path().join("rankings/unfinished.warc");
    let kept = fs::read(&journal).unwrap();
    let assert_refused = |arguments: &[&str], words: &[&str]| {
        let ran = indexrank(folder.path(), &[&["--resume"], arguments].concat());
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        for words in words
            .iter()
            .chain(&["unfinished.warc cannot be resumed", "leave out --resume"])
        {
            assert!(ran.stderr.contains(words), "{words:?} in {}", ran.stderr);
        }
    };
    assert_refused(
        &["--from", &address, "--index", "dax"],
        &["its index is \"s&p_500\", not \"dax\""],
    );
    assert_refused(
        &["--from", "http://127.0.0.1:1"],
        &["its source is", "not \"http://127.0.0.1:1\""],
    );
    assert_eq!(
        fs::read(&journal).unwrap(),
        kept,
        "a refused journal stays unchanged"
    );

    let version = concat!("indexrank/", env!("CARGO_PKG_VERSION"));
    let at = memchr::memmem::find(&kept, version.as_bytes()).unwrap();
    let mut other = kept.clone();
    other[at + "indexrank/".len()] = b'9';
    fs::write(&journal, &other).unwrap();
    assert_refused(&["--from", &address], &["its software is \"indexrank/9"]);
    fs::write(&journal, "x".repeat(5000)).unwrap();
    assert_refused(&["--from", &address], &["is not a WARC archive"]);
}

/// A power failure can leave zeros in place of bytes that were never written. The run continues and
/// gives the same rankings, wherever the zeros are.
#[test]
fn a_damaged_journal_costs_only_refetched_pages() {
    let server = slow_market(20);
    let address = server.address();
    let folder = tempfile::tempdir().unwrap();
    cut_short(folder.path(), &server, &[]);
    let journal = folder.path().join("rankings/unfinished.warc");
    let kept = fs::read(&journal).unwrap();
    for round in 0..8 {
        fs::write(&journal, &kept).unwrap();
        let mut file = OpenOptions::new().write(true).open(&journal).unwrap();
        let at = 2000 + fastrand::u64(..kept.len() as u64 - 10_000);
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&vec![0; 1 + fastrand::usize(..8000)])
            .unwrap();
        drop(file);
        let ran = indexrank(folder.path(), &["--from", &address, "-q", "--resume"]);
        assert_eq!(
            ran.code, 0,
            "round {round}, zeros at byte {at}: {}",
            ran.stderr
        );
        assert_expected_rankings(&folder.path().join("rankings"));
    }
}

/// The run only reads the archive and leaves it unchanged.
#[test]
fn a_run_from_an_archive_keeps_no_journal() {
    let folder = tempfile::tempdir().unwrap();
    let record = ["--from", "replica", "-q", "--record", "run.warc"];
    assert_eq!(indexrank(folder.path(), &record).code, 0);
    let mut content = Vec::new();
    File::open(folder.path().join("run.warc"))
        .unwrap()
        .read_to_end(&mut content)
        .unwrap();
    let ran = indexrank(folder.path(), &["--from", "run.warc", "-q"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(leftovers(&folder.path().join("rankings")), [""; 0]);
    assert_eq!(fs::read(folder.path().join("run.warc")).unwrap(), content);
}

/// The hint repeats the command line, whose output folder is not UTF-8 here.
#[test]
fn suggests_resuming_despite_non_utf8_arguments() {
    use std::os::unix::ffi::OsStrExt;
    let server = slow_market(40);
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path(), &["--from", &server.address(), "--out"]);
    command
        .arg(std::ffi::OsStr::from_bytes(b"r\xff"))
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    thread::sleep(Duration::from_millis(400));
    signal(&child, Signal::SIGINT);
    let (_, ran) = ended(child);
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    assert!(ran.stderr.contains("to resume"), "{}", ran.stderr);
}

/// The journal holds block pages and wrong pages. The resumed run requests these addresses again
/// instead of counting another refusal.
#[test]
fn refetches_block_pages_kept_in_the_journal() {
    for spec in [
        "challenge@/stocks/*",
        "challenge@/index/*",
        "other-page@/scripts/*,cut@/scripts/*",
    ] {
        let pages = Pages::of_market(&crate::run::market());
        let server = Server::start(pages, 0, Line::default(), None).unwrap();
        server.misbehave(Plan::new(spec.parse().unwrap(), 1));
        let folder = tempfile::tempdir().unwrap();
        let address = server.address();
        let run = ["--from", &*address, "--retry-pause", "10", "--workers", "2"];
        let first = indexrank(folder.path(), &run);
        assert!([4, 6].contains(&first.code), "{spec}: {}", first.stderr);
        server.misbehave(Plan::new("503@=1000000".parse().unwrap(), 1));
        let again = indexrank(folder.path(), &[&run[..], &["--resume"]].concat());
        assert_eq!(again.code, 0, "{spec}: {}", again.stderr);
        let report = json(&folder.path().join("rankings/run.json"));
        assert_eq!(ledger(&report), [60, 60, 0, 0, 0], "{spec}");
    }
}

/// A symbolic link in place of the journal or the lock leads to a foreign file. A foreign file can also
/// have the name of the journal.
#[test]
fn does_not_overwrite_files_of_other_programs() {
    let server = slow_market(0);
    let address = server.address();
    for name in ["unfinished.warc", ".unfinished.warc.indexrank"] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("rankings");
        fs::create_dir(&out).unwrap();
        let precious = folder.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        std::os::unix::fs::symlink(&precious, out.join(name)).unwrap();
        for more in [&[][..], &["--resume"]] {
            let ran = indexrank(folder.path(), &[&["--from", &*address], more].concat());
            assert_ne!(ran.code, 0, "{name}");
            assert!(ran.stderr.contains(name), "{}", ran.stderr);
            assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("unfinished-a.warc");
    fs::write(&foreign, "not a journal").unwrap();
    let ran = indexrank(folder.path(), &["--from", &address, "--record", "a.warc"]);
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("not a journal of this program"),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read_to_string(&foreign).unwrap(), "not a journal");
}

/// A run without `--resume` replaces the journal only once it has fetched a page.
#[test]
fn keeps_the_journal_when_a_fresh_run_fetches_nothing() {
    let server = slow_market(40);
    let folder = tempfile::tempdir().unwrap();
    cut_short(folder.path(), &server, &[]);
    let journal = folder.path().join("rankings/unfinished.warc");
    let kept = fs::read(&journal).unwrap();
    let ran = indexrank(
        folder.path(),
        &["--from", "http://127.0.0.1:1", "--retry-pause", "10"],
    );
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert_eq!(fs::read(&journal).unwrap(), kept);
    assert_eq!(
        leftovers(&folder.path().join("rankings")),
        ["unfinished.warc"]
    );
}
