//! Runs with proxies: variables that cannot be used, and requests through real proxies.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::run::market;
use crate::support::{
    MARKET, Ran, Reply, TestServer, assert_expected_rankings, command, files, indexrank,
};

/// Runs the binary with these variables. Fails if its output contains a part of a password.
fn run_with(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut command = command(folder, arguments);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ran = Ran {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    assert!(!ran.stderr.contains("sEc"), "{}", ran.stderr);
    ran
}

#[test]
fn an_invalid_proxy_variable_fails_before_the_first_request() {
    let folder = tempfile::tempdir().unwrap();
    for value in [
        "foo://me:sEcReT@127.0.0.1:1",
        "http://",
        "sEcReT:notaport",
        "me:sEc ReT@127.0.0.1:1",
        "me:1/sEcReT@127.0.0.1:1",
    ] {
        for (variable, from) in [
            ("http_proxy", "http://no-such-host.invalid"),
            ("HTTP_PROXY", "http://no-such-host.invalid"),
            ("https_proxy", "https://no-such-host.invalid"),
            ("HTTPS_PROXY", "https://no-such-host.invalid"),
            ("all_proxy", "https://no-such-host.invalid"),
            ("ALL_PROXY", "http://no-such-host.invalid"),
            ("ALL_PROXY", "live"),
            ("https_proxy", "live"),
        ] {
            for more in [&[][..], &["--dry-run"], &["check"]] {
                let arguments = [more, &["--from", from]].concat();
                let ran = run_with(folder.path(), &[(variable, value)], &arguments);
                let message = format!(
                    "indexrank: {variable} in the environment is not the address of a proxy; "
                );
                assert!(
                    ran.stderr.starts_with(&message),
                    "{arguments:?}: {}",
                    ran.stderr
                );
                assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
                assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
            }
        }
    }
    // Of the two live sites, either may be the one that the variable is for.
    for direct in ["businessinsider.com", "cbr.ru"] {
        let bad = [("all_proxy", "foo://x:1"), ("no_proxy", direct)];
        let ran = run_with(folder.path(), &bad, &["--max-time", "1"]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
    }
    assert!(files(folder.path()).is_empty());
}

#[test]
#[cfg(unix)]
fn a_variable_that_is_not_utf_8_is_an_error_if_it_matters() {
    use std::os::unix::ffi::OsStringExt;
    let folder = tempfile::tempdir().unwrap();
    for (variable, proxy) in [
        ("http_proxy", None),
        ("ALL_PROXY", None),
        ("no_proxy", Some("127.0.0.1:1")),
        ("NO_PROXY", Some("127.0.0.1:1")),
    ] {
        let mut command = command(folder.path(), &["--from", "http://no-such-host.invalid"]);
        command.env(
            variable,
            OsString::from_vec(b"http://p\xff.example:1".to_vec()),
        );
        let output = command
            .envs(proxy.map(|proxy| ("http_proxy", proxy)))
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let message = format!(
            "indexrank: {variable} in the environment is not UTF-8: correct or unset it, or use --proxy\n"
        );
        assert_eq!((output.status.code(), stderr), (Some(2), message));
    }
    // Without a proxy, there are no exceptions.
    let mut command = command(folder.path(), &["--from", &MARKET.address()]);
    command.env("no_proxy", OsString::from_vec(b"\xff".to_vec()));
    assert!(command.output().unwrap().status.success());
}

/// The embedded market, an archive, this machine, a host in the list, another scheme, or `--proxy`.
#[test]
fn ignores_invalid_proxy_variables_that_no_request_needs() {
    let folder = tempfile::tempdir().unwrap();
    let record = ["--from", &*MARKET.address(), "--record", "run.warc", "-q"];
    assert_eq!(indexrank(folder.path(), &record).code, 0);
    let tunnel = Tunnel::start(MARKET.address());
    for (variables, arguments) in [
        (
            &[("ALL_PROXY", "foo://x:1")][..],
            &["--from", "replica"][..],
        ),
        (
            &[("HTTP_PROXY", "foo://x:1")],
            &["--from", "replica", "--proxy", "127.0.0.1:1"],
        ),
        (&[("ALL_PROXY", "foo://x:1")], &["--from", "run.warc"]),
        (
            &[("all_proxy", "foo://x:1"), ("no_proxy", "y")],
            &["--from", &MARKET.address()],
        ),
        (
            &[
                ("https_proxy", "foo://x:1"),
                ("http_proxy", &tunnel.address),
            ],
            &["--from", "http://site.example"],
        ),
        (
            &[("ALL_PROXY", "foo://x:1"), ("NO_PROXY", "*")],
            &["--from", "http://site.example", "--proxy", &tunnel.address],
        ),
    ] {
        let ran = run_with(folder.path(), variables, &[arguments, &["-q"]].concat());
        assert_eq!(ran.code, 0, "{variables:?} {arguments:?}: {}", ran.stderr);
        assert_expected_rankings(&folder.path().join("rankings"));
    }
    // A host in the list is asked for directly, so the error does not speak of a proxy.
    let bad = [
        ("ALL_PROXY", "foo://x:1"),
        ("NO_PROXY", "b.invalid, .invalid"),
    ];
    let ran = run_with(
        folder.path(),
        &bad,
        &["--from", "http://no-such-host.invalid"],
    );
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("no-such-host.invalid cannot be resolved; check"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("proxy"), "{}", ran.stderr);
}

/// A proxy that passes every connection on to one server, whatever host is asked for.
struct Tunnel {
    /// `127.0.0.1:PORT`.
    address: String,
    /// The first line of each request for a connection, or the host and the port of a SOCKS request.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnel {
    /// `server` is an address like `http://127.0.0.1:8000`.
    fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (log, server) = (Arc::clone(&log), server.clone());
                thread::spawn(move || pass_on(client, &server["http://".len()..], &log));
            }
        });
        Tunnel { address, asked }
    }

    /// What clients have asked for, each once.
    fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

fn pass_on(mut client: TcpStream, server: &str, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut first = [0];
    client.read_exact(&mut first).ok()?;
    let (asked, accepted) = match first {
        [4] => accept_socks4(&mut client)?,
        [5] => accept_socks5(&mut client)?,
        _ => {
            let mut head = first.to_vec();
            while !head.ends_with(b"\r\n\r\n") {
                client.read_exact(&mut first).ok()?;
                head.extend(first);
            }
            let head = String::from_utf8(head).ok()?;
            let credentials = head
                .lines()
                .find(|line| line.starts_with("Proxy-Authorization"));
            let line = [head.lines().next()?, credentials.unwrap_or("")].join(" ");
            (
                line.trim_end().to_owned(),
                b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
            )
        }
    };
    log.lock().unwrap().push(asked);
    client.write_all(&accepted).ok()?;
    let mut upstream = TcpStream::connect(server).ok()?;
    let (mut from_client, mut to_server) = (client.try_clone().ok()?, upstream.try_clone().ok()?);
    thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
    std::io::copy(&mut upstream, &mut client).ok()?;
    None
}

/// The host and the port that a client asks for, and the answer that grants them.
fn accept_socks4(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = [0; 7];
    client.read_exact(&mut head).ok()?;
    let mut text = || {
        let mut text = Vec::new();
        let mut byte = [0];
        while client
            .read_exact(&mut byte)
            .ok()
            .filter(|()| byte != [0])
            .is_some()
        {
            text.extend(byte);
        }
        String::from_utf8(text).unwrap()
    };
    let user = text();
    let [_, high, low, a, b, c, d] = head;
    let host = match [a, b, c] {
        [0, 0, 0] => text(),
        _ => format!("{a}.{b}.{c}.{d}"),
    };
    let port = u16::from_be_bytes([high, low]);
    let granted = vec![0, 90, 0, 0, 0, 0, 0, 0];
    Some((
        format!("{host}:{port} {user}").trim_end().to_owned(),
        granted,
    ))
}

fn accept_socks5(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut count = [0];
    client.read_exact(&mut count).ok()?;
    let mut methods = vec![0; count[0].into()];
    client.read_exact(&mut methods).ok()?;
    client.write_all(&[5, 0]).ok()?;
    let mut head = [0; 4];
    client.read_exact(&mut head).ok()?;
    let length = match head[3] {
        1 => 4,
        _ => {
            client.read_exact(&mut count).ok()?;
            count[0].into()
        }
    };
    let mut host = vec![0; length];
    client.read_exact(&mut host).ok()?;
    let host = match head[3] {
        1 => host.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        _ => String::from_utf8(host).ok()?,
    };
    let mut port = [0; 2];
    client.read_exact(&mut port).ok()?;
    let granted = vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    Some((format!("{host}:{}", u16::from_be_bytes(port)), granted))
}

/// SOCKS 4 and 5 get an address, so this machine resolves the name; the other protocols get the name.
#[test]
fn a_run_through_each_kind_of_proxy_gives_the_same_rankings() {
    for (proxy, from, asked) in [
        (
            "http://P",
            "http://site.example",
            "CONNECT site.example:80 HTTP/1.1",
        ),
        (
            "P",
            "http://site.example:8080",
            "CONNECT site.example:8080 HTTP/1.1",
        ),
        (
            "http://me:s%40Ec@P",
            "http://site.example",
            "CONNECT site.example:80 HTTP/1.1 Proxy-Authorization: Basic bWU6c0BFYw==",
        ),
        ("socks4://P", "http://10.1.2.3:81", "10.1.2.3:81"),
        ("socks://P", "http://10.1.2.3:81", "10.1.2.3:81"),
        ("socks4a://P", "http://site.example", "site.example:80"),
        ("socks5://P", "http://10.1.2.3:81", "10.1.2.3:81"),
        ("socks5h://P", "http://site.example", "site.example:80"),
    ] {
        for is_option in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let tunnel = Tunnel::start(MARKET.address());
            let proxy = proxy.replace('P', &tunnel.address);
            let ran = if is_option {
                run_with(folder.path(), &[], &["--from", from, "--proxy", &proxy])
            } else {
                run_with(folder.path(), &[("http_proxy", &proxy)], &["--from", from])
            };
            assert_eq!(ran.code, 0, "{proxy}: {}", ran.stderr);
            assert_eq!(tunnel.asked(), [asked], "{proxy}");
            assert_expected_rankings(&folder.path().join("rankings"));
        }
    }
}

/// A redirect from http to https stays on the host, and the other scheme has its own variable.
#[test]
fn the_scheme_of_each_request_decides_after_a_redirect_too() {
    let server = TestServer::start(market(), |path, _| {
        let to = format!(
            "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\nLocation: https://site.example{path}\r\n\r\n"
        );
        Some(Reply::Raw(to.into_bytes()))
    });
    let http = Tunnel::start(server.address().to_owned());
    let https = Tunnel::start("http://127.0.0.1:1".to_owned());
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--from", "http://site.example", "--retry-pause", "0"];
    let variables = [
        ("http_proxy", &*http.address),
        ("https_proxy", &https.address),
    ];
    let ran = run_with(folder.path(), &variables, &arguments);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains(&format!("through the proxy {}", https.address)),
        "{}",
        ran.stderr
    );
    assert_eq!(http.asked(), ["CONNECT site.example:80 HTTP/1.1"]);
    assert_eq!(https.asked(), ["CONNECT site.example:443 HTTP/1.1"]);

    let variables = [
        ("http_proxy", &*http.address),
        ("HTTPS_PROXY", "foo://me:sEcReT@x:1"),
    ];
    let ran = run_with(folder.path(), &variables, &arguments);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("HTTPS_PROXY in the environment is not the address of a proxy"),
        "{}",
        ran.stderr
    );
}
