//! Programs in other languages that race by a short name: `--also python,go`. Their source is in
//! `testdata/rivals` and becomes part of this program.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};
use crossbeam_channel::Receiver;

use crate::job::advice::Stop;
use crate::race::run::processes;

const POLL: Duration = Duration::from_millis(20);

/// A program that does the job in another language.
#[derive(Debug, PartialEq, Eq)]
pub struct Rival {
    pub name: &'static str,
    /// File name and content.
    source: (&'static str, &'static str),
    /// Shell command that fails if something is missing, and compiles where that is needed.
    prepare: &'static str,
    /// Shell command of a run, in the folder of the source.
    run: &'static str,
    /// Shell command that installs what is needed.
    install: &'static str,
}

pub const ALL: [Rival; 2] = [
    Rival {
        name: "python",
        source: (
            "rival.py",
            include_str!("../../../testdata/rivals/rival.py"),
        ),
        prepare: "python3 -c 'import aiohttp, uvloop, selectolax.lexbor'",
        run: "exec python3 rival.py",
        install: "pip install aiohttp uvloop selectolax",
    },
    Rival {
        name: "go",
        source: (
            "rival.go",
            include_str!("../../../testdata/rivals/rival.go"),
        ),
        // Debian's packages of Go libraries are in /usr/share/gocode.
        prepare: "go version >/dev/null && GO111MODULE=off GOPATH=\"$(go env GOPATH):/usr/share/gocode\" go build -o rival-go rival.go",
        run: "exec ./rival-go",
        install: "apt-get install golang-go golang-github-puerkitobio-goquery-dev",
    },
];

impl Rival {
    pub fn by_name(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|rival| rival.name == name)
    }

    /// Writes the source to `folder` and prepares it there. Returns the shell command of a run. Fails with
    /// the command that installs what is missing, or with a [`Stop`] after a signal.
    pub fn prepare(&self, folder: &Path, signals: &Receiver<i32>) -> Result<String> {
        let (file, source) = self.source;
        fs::write(folder.join(file), source)?;
        let errors = folder.join("errors");
        let mut preparation = Command::new("sh")
            .args(["-c", self.prepare])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&errors)?)
            .process_group(0)
            .spawn()?;
        let status = loop {
            if let Some(status) = preparation.try_wait()? {
                break status;
            }
            if let Ok(signal) = signals.recv_timeout(POLL) {
                processes::end_all(None);
                bail!(Stop::of_signal(signal));
            }
        };
        if !status.success() {
            let stderr = fs::read(errors)?;
            let stderr = String::from_utf8_lossy(&stderr);
            // Of a traceback of Python, the error itself.
            let is_error =
                |line: &&str| !line.starts_with([' ', '\t']) && !line.ends_with("call last):");
            let error = stderr
                .lines()
                .find(is_error)
                .unwrap_or("no output on stderr");
            bail!(
                "{} cannot race on this machine: {error}; to install what it needs: {}",
                self.name,
                self.install
            );
        }
        let folder = folder.display().to_string().replace('\'', r"'\''");
        Ok(format!("cd '{folder}' && {}", self.run))
    }
}
