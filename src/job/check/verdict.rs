//! The verdicts of a check, and the text that it prints.

use std::fmt::Write;

use memchr::memmem;
use serde::Serialize;

use crate::results::grid::shorten;
use crate::site::text::visible;
use crate::words::count;

/// Terminal columns of a line.
const WIDTH: usize = 80;
/// Terminal columns of a state and of the name of a check, each with the space behind it.
const STATE_WIDTH: usize = 9;
const CHECK_WIDTH: usize = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ok,
    /// Not on the page; a run can do without.
    Absent,
    /// Not on the page, and a run needs it.
    Missing,
    /// The page could not be had.
    Failed,
    /// Not checked, because something before it is missing or failed.
    Skipped,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Absent => "absent",
            State::Missing => "missing",
            State::Failed => "failed",
            State::Skipped => "skipped",
        }
    }
}

/// What came of one check.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// The name of the check; those of a part of a page begin with two spaces in the text, not here.
    pub check: &'static str,
    pub verdict: State,
    pub detail: String,
}

/// The verdicts of a check, in the order of its pages.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Verdicts(Vec<Verdict>);

impl Verdicts {
    pub fn add(&mut self, check: &'static str, verdict: State, detail: impl AsRef<str>) {
        self.0.push(Verdict {
            check,
            verdict,
            detail: detail.as_ref().to_owned(),
        });
    }

    pub fn ok(&mut self, check: &'static str, detail: impl AsRef<str>) {
        self.add(check, State::Ok, detail);
    }

    pub fn skip(&mut self, check: &'static str, why: &str) {
        self.add(check, State::Skipped, why);
    }

    /// The verdict on a landmark of a page that does not parse, by its text alone.
    pub fn unparsed(
        &mut self,
        Landmark {
            check,
            is_there,
            place,
        }: Landmark,
    ) {
        if is_there {
            self.skip(check, &format!("its text is there: {place}"));
        } else {
            self.add(check, State::Missing, place);
        }
    }

    /// The checks with a missing landmark.
    pub fn missing(&self) -> Vec<&'static str> {
        let missing = self.0.iter().filter(|one| one.verdict == State::Missing);
        missing.map(|one| one.check).collect()
    }
}

/// Whether the text of a landmark is anywhere on a page.
#[derive(Debug, Clone, Copy)]
pub struct Landmark {
    pub check: &'static str,
    pub is_there: bool,
    pub place: &'static str,
}

impl Landmark {
    pub fn find(check: &'static str, html: &[u8], texts: &[&str], place: &'static str) -> Self {
        let is_in_page = |text: &&str| memmem::find(html, text.as_bytes()).is_some();
        Landmark {
            check,
            is_there: texts.iter().all(is_in_page),
            place,
        }
    }
}

/// The result of a check, as `--json` prints it.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// The site, the archive or the embedded market.
    pub source: String,
    pub index: String,
    /// In the order of the requests.
    pub checks: Verdicts,
    /// Requests sent, redirects included; pages looked up, if the source is an archive.
    pub requests: u64,
    pub seconds: f64,
    /// Why the archive is only partly readable, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// What is wrong, if anything is, and what to do next.
    pub next: String,
}

/// The checks of a whole page; all others belong to the page before them.
const PAGES: [&str; 4] = ["robots.txt", "index page", "company page", "exchange rate"];

impl Checked {
    /// One line for each check, at most 80 columns wide, between the source and a closing line of any
    /// length.
    pub fn text(&self) -> String {
        let mut text = format!("{}, index {}\n", self.source, self.index);
        for Verdict {
            check,
            verdict,
            detail,
        } in &self.checks.0
        {
            let indent = if PAGES.contains(check) { "" } else { "  " };
            let check = format!("{indent}{check}");
            let detail = shorten(&visible(detail), WIDTH - STATE_WIDTH - CHECK_WIDTH);
            let line = format!(
                "{:STATE_WIDTH$}{check:CHECK_WIDTH$}{detail}",
                verdict.name()
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        if let Some(warning) = &self.warning {
            let _ = writeln!(text, "warning: {}", visible(warning));
        }
        let requests = count(self.requests as usize, "request", "requests");
        let _ = writeln!(text, "{requests} in {:.1} s; {}", self.seconds, self.next);
        text
    }
}
