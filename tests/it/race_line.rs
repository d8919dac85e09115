//! The connections of a race: TLS, dropped ones, and as many as the system allows.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::race::{Raced, names, race, result};
use crate::support::{files, json};

const BINARY: &str = env!("CARGO_BIN_EXE_indexrank");

#[track_caller]
fn assert_said(raced: &Raced, words: &str) {
    assert!(
        raced.stdout.contains(words),
        "{words:?} in\n{}",
        raced.stdout
    );
}

/// Each connection has a handshake, and the answers are those of the plain server.
#[test]
fn races_over_tls_with_the_same_answers() {
    let folder = tempfile::tempdir().unwrap();
    let only = ["--only", "pipeline,inline"];
    let plain = race(folder.path(), &only);
    assert_eq!(plain.code, Some(0), "{}{}", plain.stdout, plain.stderr);
    assert!(!plain.stdout.contains("TLS"), "{}", plain.stdout);
    let by_option = format!(
        "option=cmp $SSL_CERT_FILE ca.pem && {BINARY} --from $INDEXRANK_SITE --ca-file $INDEXRANK_CA \
         --out $INDEXRANK_OUT --quiet"
    );
    let options = [
        &only[..],
        &["--tls", "--ca-out", "ca.pem", "--csv", "race.csv"],
        &["--also", &by_option],
    ];
    let secure = race(folder.path(), &options.concat());
    assert_eq!(secure.code, Some(0), "{}{}", secure.stdout, secure.stderr);
    assert_eq!(names(&secure.results), ["inline", "option", "pipeline"]);
    assert_said(&secure, "Server waits 0 ms over TLS, 32 pages in flight");
    assert_said(&secure, "TLS handshakes in a run: ");
    for name in ["pipeline", "inline", "option"] {
        let over_tls = result(&secure.results, name);
        let [handshakes, connections] =
            ["handshakes", "connections"].map(|key| over_tls[key].as_f64().unwrap());
        assert!(handshakes >= 1.0 && handshakes == connections, "{over_tls}");
        assert!(over_tls["resumed_handshakes"].is_number(), "{over_tls}");
        assert_said(&secure, &format!("{name} {handshakes:.0}"));
    }
    for name in ["pipeline", "inline"] {
        let one = result(&plain.results, name);
        assert_eq!(one["digest"], result(&secure.results, name)["digest"]);
        assert_eq!(one["handshakes"], 0.0);
    }
    assert_eq!(
        json(&folder.path().join("race.json"))["options"]["tls"],
        true
    );
    assert_eq!(files(folder.path()), ["ca.pem", "race.csv", "race.json"]);
    let authority = fs::read_to_string(folder.path().join("ca.pem")).unwrap();
    assert!(authority.starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert!(!authority.contains("PRIVATE"), "{authority}");
    let csv = fs::read_to_string(folder.path().join("race.csv")).unwrap();
    let header = csv.lines().next().unwrap();
    assert!(
        header.ends_with(",handshakes,resumed_handshakes,dropped_connections"),
        "{header}"
    );
}

#[test]
fn races_over_tls_on_pages_that_are_only_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--tls", "--work", "io", "--only", "inline"];
    let raced = race(folder.path(), &options);
    assert_eq!(raced.code, Some(0), "{}{}", raced.stdout, raced.stderr);
    let refused = race(folder.path(), &["--tls", "--work", "cpu"]);
    assert_eq!(refused.code, Some(2));
    let words = "omit --latency, --jitter, --bandwidth and --tls";
    assert!(refused.stderr.contains(words), "{}", refused.stderr);
}

#[test]
fn an_authority_that_cannot_be_written_is_an_error_before_the_first_run() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("taken"), "").unwrap();
    for (options, code, words) in [
        (
            &["--tls", "--ca-out", "taken/ca.pem"][..],
            7,
            "cannot write taken",
        ),
        (
            &["--tls", "--ca-out", "race.json"],
            2,
            "race.json is used twice",
        ),
        (&["--ca-out", "ca.pem"], 2, "--tls"),
    ] {
        let raced = race(folder.path(), &[&["--only", "inline"], options].concat());
        assert_eq!(
            (raced.code, &*raced.stdout),
            (Some(code), ""),
            "{}",
            raced.stderr
        );
        assert!(
            raced.stderr.contains(words),
            "{options:?}: {}",
            raced.stderr
        );
        assert_eq!(files(folder.path()), ["taken"], "{options:?}");
    }
}

/// A listener that accepts nothing has room for two connections. The system drops the third, which the
/// program opens in each run, and counts it.
#[cfg(target_os = "linux")]
#[test]
fn counts_dropped_connections() {
    let listener = listener_for_one();
    let address = listener.local_addr().unwrap();
    let limit = Duration::from_millis(100);
    let connect = || TcpStream::connect_timeout(&address, limit).ok();
    let _waiting: Vec<TcpStream> = std::iter::from_fn(connect).collect();
    let folder = tempfile::tempdir().unwrap();
    let program = format!(
        "mine=timeout 0.2 bash -c '</dev/tcp/127.0.0.1/{}'; {BINARY} --from $INDEXRANK_SITE --out \
         $INDEXRANK_OUT --quiet",
        address.port()
    );
    let options = ["--only", "inline", "--latency", "5", "--csv", "race.csv"];
    let raced = race(
        folder.path(),
        &[&options[..], &["--also", &program]].concat(),
    );
    assert_eq!(raced.code, Some(0), "{}{}", raced.stdout, raced.stderr);
    let of = |name| result(&raced.results, name)["dropped_connections"].as_u64();
    let dropped = of("mine").unwrap();
    assert!(dropped >= 2, "{}", raced.stdout);
    assert_said(&raced, "The system dropped connections during these runs (");
    assert_said(&raced, &format!("{dropped} in 2 runs of mine"));
    assert_said(&raced, "these times cannot be compared.\n");
    assert_said(
        &raced,
        "mine was timed as a whole process, with its start; contenders from their first request.\n",
    );
    let csv = fs::read_to_string(folder.path().join("race.csv")).unwrap();
    let of_runs = csv
        .lines()
        .filter(|row| row.starts_with("mine,"))
        .map(|row| row.rsplit(',').next().unwrap());
    let of_runs: u64 = of_runs.map(|count| count.parse::<u64>().unwrap()).sum();
    assert_eq!(of_runs, dropped);
}

/// A listener with a backlog of 1.
fn listener_for_one() -> TcpListener {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any_port: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any_port.into()).unwrap();
    socket.listen(1).unwrap();
    socket.into()
}

/// The limit that the message names suffices.
#[cfg(unix)]
#[test]
fn refuses_more_workers_than_open_files() {
    let folder = tempfile::tempdir().unwrap();
    let run = |limit: &str| {
        let options = "race --workers 8,300 --only inline --companies 60 --rounds 1 --latency 0";
        let script = format!("ulimit -n {limit}; exec {BINARY} {options} --json race.json");
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(folder.path())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, stderr) = run("128");
    assert_eq!(code, Some(2), "{stderr}");
    let words =
        "indexrank: --workers 300 needs 324 open files in each process, and the system allows ";
    assert!(stderr.starts_with(words), "{stderr}");
    assert!(files(folder.path()).is_empty());
    let (_, limit) = stderr.split_once("`ulimit -n ").unwrap();
    let (code, stderr) = run(limit.trim_end().trim_end_matches('`'));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stderr.contains("files"), "{stderr}");
    let results = &json(&folder.path().join("race.json"))["results"];
    assert_eq!(results[1]["broken"], Value::Null, "{results}");
}
