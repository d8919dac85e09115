//! Gives the results to the user: tables and sentences on stdout, files after every condition.

use std::collections::HashSet;
use std::io::{self, Write, stdout};
use std::path::PathBuf;

use anyhow::Result;

use crate::disk::output::OutputError;
use crate::disk::staging::StagedFile;
use crate::race::board::Board;
use crate::race::export;
use crate::race::findings::round_set::RoundSet;
use crate::race::findings::verdict;
use crate::race::options::RaceArgs;
use crate::race::page;
use crate::race::start::Start;
use crate::race::terminal;
use crate::race::validate::Outputs;
use crate::results::report;
use crate::site::text::visible;
use crate::telemetry::screen;
use crate::words;

/// What became of stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stdout {
    Open,
    /// The reader, such as `head`, has closed the pipe, which is no error.
    Closed,
    Failed,
}

pub struct Publisher<'a> {
    args: &'a RaceArgs,
    start: Start,
    outputs: Outputs,
    /// The results so far.
    pub sets: Vec<RoundSet>,
    stdout: Stdout,
    /// Files whose last content is not that of all results.
    outdated: HashSet<PathBuf>,
}

impl<'a> Publisher<'a> {
    pub fn new(args: &'a RaceArgs, start: Start, outputs: Outputs) -> Self {
        Publisher {
            args,
            start,
            outputs,
            sets: Vec::new(),
            stdout: Stdout::Open,
            outdated: HashSet::new(),
        }
    }

    /// Prints the results under a condition, and rewrites all files.
    pub fn add(&mut self, set: RoundSet, board: &mut Board) {
        let columns = screen::size(stdout()).map_or(80, |size| size.columns);
        self.print(&terminal::report(self.args, &set, columns), board);
        self.sets.push(set);
        self.write_files(board);
    }

    /// Prints the table of the best and the sentences.
    pub fn finish(&mut self, board: &mut Board) {
        let size = screen::size(stdout());
        let columns = size.map_or(80, |size| size.columns);
        let mut text = terminal::bests(self.args, &self.sets, columns);
        for sentence in verdict::sentences(self.args, &self.sets) {
            text += &screen::fit(&sentence, size);
            text.push('\n');
        }
        self.print(&text, board);
    }

    /// Whether stdout or a file takes further results.
    pub fn has_reader(&self) -> bool {
        let args = self.args;
        let files = [&args.html, &args.json, &args.csv, &args.trace];
        self.stdout == Stdout::Open || files.iter().any(|file| file.is_some())
    }

    /// Whether stdout and all files have all results. A closed pipe counts as complete.
    pub fn is_complete(&self) -> bool {
        self.stdout != Stdout::Failed && self.outdated.is_empty()
    }

    pub fn print(&mut self, text: &str, board: &mut Board) {
        if self.stdout != Stdout::Open {
            return;
        }
        board.erase();
        let lines: Vec<_> = text.split('\n').map(visible).collect();
        let mut stdout = stdout().lock();
        let written = stdout.write_all(lines.join("\n").as_bytes());
        match written.and_then(|()| stdout.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.stdout = Stdout::Closed;
            }
            Err(error) => {
                self.stdout = Stdout::Failed;
                let error = words::of_system(&error);
                board.say(&format!("cannot write to stdout: {error}"));
            }
        }
    }

    fn write_files(&mut self, board: &mut Board) {
        for (path, written) in self.written_files() {
            match written {
                Ok(()) => {
                    self.outdated.remove(&path);
                }
                Err(error) => {
                    if self.outdated.insert(path) {
                        board.say(&format!("{error:#}; the race continues"));
                    }
                }
            }
        }
    }

    /// Writes all files, and returns what became of each.
    fn written_files(&mut self) -> Vec<(PathBuf, Result<()>)> {
        let (args, sets, outputs) = (self.args, &self.sets, &mut self.outputs);
        let needs_report = args.html.is_some() || args.json.is_some();
        let report = needs_report.then(|| export::json(args, sets));
        let report = report.unwrap_or_default();
        let mut written = Vec::new();
        if let Some((path, file)) = args.html.as_ref().zip(outputs.html.as_mut()) {
            let page = page::page(args, &self.start, sets, &report);
            written.push((
                path.clone(),
                file.replace(page.as_bytes()).map_err(Into::into),
            ));
        }
        if let Some((path, file)) = args.json.as_ref().zip(outputs.json.as_mut()) {
            let json = report::json(&report);
            written.push((path.clone(), file.replace(&json).map_err(Into::into)));
        }
        if let Some((path, file)) = args.csv.as_ref().zip(outputs.csv.as_mut()) {
            let replaced = export::csv(sets).and_then(|csv| Ok(file.replace(&csv)?));
            written.push((path.clone(), replaced));
        }
        // The traces of earlier conditions are written.
        if let Some((folder, set)) = args.trace.as_ref().zip(sets.last()) {
            for (name, timeline) in export::traces(set) {
                let path = folder.join(name);
                let write = || -> Result<(), OutputError> {
                    let file = StagedFile::create(&path)?;
                    file.write(|out| timeline.write_chrome(out))?;
                    file.publish()
                };
                let result = write().map_err(Into::into);
                written.push((path, result));
            }
        }
        written
    }
}
