//! The participants of a race: contenders of the table and programs of the user.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::race::contenders::task::{Task, Work};

#[derive(Debug, Clone)]
pub enum Participant {
    /// A contender of the table, run by this binary.
    Contender { name: &'static str },
    /// A program of `--also`, run by a shell.
    Program { name: String, command: String },
}

impl Participant {
    pub fn name(&self) -> &str {
        match self {
            Participant::Contender { name, .. } => name,
            Participant::Program { name, .. } => name,
        }
    }

    /// The command of one run, in a process group of its own, so that Ctrl-C in a terminal does not reach it
    /// before the race. Its stderr is a pipe.
    pub fn command(&self, task: &Task, out: &Path) -> Result<Command> {
        let mut command = match self {
            Participant::Contender { name, .. } => {
                let task = Task {
                    name: (*name).to_owned(),
                    out: out.to_owned(),
                    ..task.clone()
                };
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["race", "run", &serde_json::to_string(&task)?]);
                command
            }
            Participant::Program { command: line, .. } => {
                let mut command = Command::new("sh");
                command.args(["-c", line]);
                command
            }
        };
        command
            .env("INDEXRANK_SITE", &task.site)
            .env("INDEXRANK_RATES", &task.site)
            .env("INDEXRANK_IN_FLIGHT", task.workers.to_string())
            .env("INDEXRANK_OUT", out);
        if let Some(authorities) = &task.authorities {
            // OpenSSL, Go and curl read the second.
            command.env("INDEXRANK_CA", authorities);
            command.env("SSL_CERT_FILE", authorities);
        }
        if let Work::Visit { list } = &task.work {
            command.env("INDEXRANK_URLS", list);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        Ok(command)
    }
}
