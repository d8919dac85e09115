//! Journals: what a run goes on from, and what it does not.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use indexrank::replica::{Line, Pages, Plan, Server};
use nix::sys::signal::Signal;

use crate::interrupted::{cut_short, ended, leftovers, resumed, signal, slow_market};
use crate::support::{
    Reply, TestServer, assert_expected_rankings, command, indexrank, json, ledger,
};

#[test]
fn a_recording_that_was_cut_short_goes_on_and_is_whole() {
    for name in ["run.warc", "run.warc.gz"] {
        let server = slow_market(40);
        let folder = tempfile::tempdir().unwrap();
        cut_short(folder.path(), &server, &["--record", name]);
        let unfinished = folder.path().join(format!("unfinished-{name}"));
        assert!(unfinished.exists() && !folder.path().join(name).exists());
        // As a kill in the middle of a record leaves it.
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
fn pages_that_are_too_old_are_asked_for_again() {
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

/// A page that came and turned out to be no good is asked for again.
#[test]
fn a_page_of_the_journal_that_is_no_good_is_asked_for_again() {
    let server = TestServer::start(crate::run::market(), |path, before| {
        (path == crate::run::COMPANY && before < 5).then(|| {
            let page = crate::run::page_of(path);
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
fn a_journal_of_another_run_is_refused() {
    let server = slow_market(40);
    let address = server.address();
    let folder = tempfile::tempdir().unwrap();
    cut_short(folder.path(), &server, &[]);
    let journal = folder.path().join("rankings/unfinished.warc");
    let kept = fs::read(&journal).unwrap();
    let refused = |arguments: &[&str], words: &[&str]| {
        let ran = indexrank(folder.path(), &[&["--resume"], arguments].concat());
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        for words in words
            .iter()
            .chain(&["unfinished.warc cannot be resumed", "leave out --resume"])
        {
            assert!(ran.stderr.contains(words), "{words:?} in {}", ran.stderr);
        }
    };
    refused(
        &["--from", &address, "--index", "dax"],
        &["its index is \"s&p_500\", not \"dax\""],
    );
    refused(
        &["--from", "http://127.0.0.1:1"],
        &["its source is", "not \"http://127.0.0.1:1\""],
    );
    assert_eq!(
        fs::read(&journal).unwrap(),
        kept,
        "a journal that is refused stays as it is"
    );

    let version = concat!("indexrank/", env!("CARGO_PKG_VERSION"));
    let at = memchr::memmem::find(&kept, version.as_bytes()).unwrap();
    let mut other = kept.clone();
    other[at + "indexrank/".len()] = b'9';
    fs::write(&journal, &other).unwrap();
    refused(&["--from", &address], &["its software is \"indexrank/9"]);
    fs::write(&journal, "x".repeat(5000)).unwrap();
    refused(&["--from", &address], &["is not a WARC archive"]);
}

/// What a power failure can do to a file: bytes that were never written. Whatever is lost, the run
/// goes on and gives the same.
#[test]
fn a_damaged_journal_costs_pages_and_nothing_else() {
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
        assert_eq!(ran.code, 0, "{round}, at {at}: {}", ran.stderr);
        assert_expected_rankings(&folder.path().join("rankings"));
    }
}

/// A file in another place that this run only reads.
#[test]
fn nothing_is_kept_of_a_run_from_a_file() {
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

/// A hint for a command that has words in it that are no text.
#[test]
fn words_that_are_no_text() {
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
    assert!(ran.stderr.contains("to go on from there"), "{}", ran.stderr);
}

/// What came in the place of a page is not taken for the page a second time.
#[test]
fn a_challenge_that_was_kept_is_no_refusal_the_next_time() {
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

/// A link where the journal or the lock should be leads to a file of somebody else's; so does a name.
#[test]
fn no_file_of_somebody_else_is_written_over() {
    let server = slow_market(0);
    let address = server.address();
    for name in ["unfinished.warc", ".indexrank.lock"] {
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
    let mine = folder.path().join("unfinished-a.warc");
    fs::write(&mine, "something of my own").unwrap();
    let ran = indexrank(folder.path(), &["--from", &address, "--record", "a.warc"]);
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("no journal of this program"),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read_to_string(&mine).unwrap(), "something of my own");
}

/// A run that begins anew and finds nobody there gives up nothing.
#[test]
fn a_journal_is_not_given_up_for_a_run_that_has_no_page() {
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
