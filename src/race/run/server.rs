//! A handle to the server process.

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};

use crate::race::run::child::{ServeOptions, ServerStatus};
use crate::replica::Counts;

/// A running server process. Dropping the handle kills it.
pub struct Server {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    /// Scheme, host and port.
    pub address: String,
}

impl Server {
    pub fn start(options: &ServeOptions) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["race", "serve", &serde_json::to_string(options)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C in a terminal does not reach it: the race still reads its counters.
            .process_group(0)
            .spawn()?;
        let stdin = child.stdin.take().expect("piped");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address = stdout.next().context("the server process ended")??;
        Ok(Server {
            child,
            stdin,
            stdout,
            address,
        })
    }

    /// The number of the server's process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// The counters since the server started.
    pub fn counts(&mut self) -> Result<Counts> {
        Ok(self.status()?.counts)
    }

    /// The counters and the CPU time since the server started.
    pub fn status(&mut self) -> Result<ServerStatus> {
        let asked = self.stdin.write_all(b"\n");
        asked.context("the server process ended")?;
        let line = self.stdout.next().context("the server process ended")??;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
