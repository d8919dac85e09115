//! What a request of ureq costs while other connections of its agent are idle or in use:
//! `cargo bench --bench ureq_pool`. `http::tcp` is written because of it.
//!
//! For each request, `Pool::purge` goes twice through all connections of the agent (`shutdown_handles`) and
//! through all idle ones (`update_position_per_host`), under the lock of the pool.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ureq::{Agent, Body, http::Response};

fn answer(stream: TcpStream) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream).lines();
    loop {
        while !lines.next()?.ok()?.is_empty() {}
        out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
            .ok()?;
    }
}

fn start_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of 127.0.0.1");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(|| answer(stream));
        }
    });
    address
}

fn get(agent: &Agent, address: &str) -> Response<Body> {
    agent.get(address).call().expect("a response")
}

fn read(response: Response<Body>) {
    let mut body = Vec::new();
    let mut reader = response.into_body().into_reader();
    reader.read_to_end(&mut body).expect("a body");
}

fn pool(criterion: &mut Criterion) {
    let address = start_server();
    let mut group = criterion.benchmark_group("ureq request");
    for others in [0, 128, 1024] {
        for are_idle in [false, true] {
            let config = Agent::config_builder()
                .max_idle_connections(2048)
                .max_idle_connections_per_host(2048);
            let agent: Agent = config.build().into();
            // A connection is in use until its body is read.
            let mut in_use: Vec<_> = (0..others).map(|_| get(&agent, &address)).collect();
            if are_idle {
                in_use.drain(..).for_each(read);
            }
            let state = ["in use", "idle"][usize::from(are_idle)];
            let id = BenchmarkId::new(format!("other connections {state}"), others);
            group.bench_function(id, |bench| bench.iter(|| read(get(&agent, &address))));
        }
    }
}

criterion_group!(benches, pool);
criterion_main!(benches);
