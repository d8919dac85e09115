//! Programs in other languages that race by a short name: `--also python,go`. Their source is in
//! `testdata/rivals` and becomes part of this program.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

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
        source: ("rival.py", include_str!("../../testdata/rivals/rival.py")),
        prepare: "python3 -c 'import aiohttp, uvloop, selectolax.lexbor'",
        run: "exec python3 rival.py",
        install: "pip install aiohttp uvloop selectolax",
    },
    Rival {
        name: "go",
        source: ("rival.go", include_str!("../../testdata/rivals/rival.go")),
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
    /// the command that installs what is missing.
    pub fn prepare(&self, folder: &Path) -> Result<String> {
        let (file, source) = self.source;
        fs::write(folder.join(file), source)?;
        let prepared = Command::new("sh")
            .args(["-c", self.prepare])
            .current_dir(folder)
            .stdin(Stdio::null())
            .output()?;
        if !prepared.status.success() {
            let stderr = String::from_utf8_lossy(&prepared.stderr);
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
