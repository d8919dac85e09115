//! The robots' rules of a site: what may be asked for, and how often
//! (RFC 9309, <https://www.rfc-editor.org/rfc/rfc9309>, and its old extension `Crawl-delay`).

use std::sync::OnceLock;

use crate::http::decode::Inflater;
use crate::http::page::Reason::{Blocked, Gone, Redirects, Status};
use crate::http::page::{self, PageError, Reason};
use crate::source::Source;
use crate::source::get_with_retries::Patience;
use crate::source::retry;
use crate::telemetry::counters::Meter;
use crate::telemetry::trace::Role;

pub const PATH: &str = "/robots.txt";

/// The rules of a site, which are asked for beside the first page of its index; whoever wants
/// anything else waits for them.
#[derive(Debug)]
pub struct Robots {
    /// Empty until they are known.
    rules: OnceLock<Rules>,
}

#[derive(Debug)]
enum Rules {
    /// As the site has them.
    Known(robotxt::Robots),
    /// They cannot be had.
    Unknown(PageError),
    /// Nobody looks at them.
    Ignored,
}

impl Robots {
    /// Rules that are to be [asked for](Robots::learn).
    pub fn obeyed() -> Self {
        Robots {
            rules: OnceLock::new(),
        }
    }

    pub fn ignored() -> Self {
        Robots {
            rules: Rules::Ignored.into(),
        }
    }

    /// Asks a site for its rules, as the robot of this name, and tells how far apart requests
    /// should be by them.
    ///
    /// As the RFC has it: a site without rules (most of the statuses 400 to 499) allows everything; one
    /// that has rules and cannot show them allows nothing.
    pub fn learn(source: &Source, user_agent: &str, meter: &Meter) {
        if source.robots.rules.get().is_some() {
            return;
        }
        // Whatever happens, somebody waits for the rules.
        let rules = page::guarded("reading", || ask(source, user_agent, meter));
        let _ = source
            .robots
            .rules
            .set(rules.unwrap_or_else(Rules::Unknown));
    }

    /// Whether a path may be asked for by who has this role. The rules themselves may, and the rates
    /// are another site's. The first page of the index is asked for beside the rules and
    /// [checked](Robots::check) when it is there.
    pub fn allow(&self, path: &str, role: Role) -> Result<(), PageError> {
        match role {
            Role::Rules | Role::Rate => Ok(()),
            // Where the rules cannot be had, the index may not be there either, which is the news.
            Role::Index if !matches!(self.rules.get(), Some(Rules::Known(_))) => Ok(()),
            _ => self.check(path),
        }
    }

    /// Whether a path may be asked for. Waits until the rules are known.
    pub fn check(&self, path: &str) -> Result<(), PageError> {
        match self.rules.wait() {
            Rules::Known(rules) => match rules.matching_rule(path) {
                Some(rule) if !rule.is_allow() => {
                    let rule = rule.pattern();
                    let detail = format!("the site's robots.txt forbids it (Disallow: {rule})");
                    Err(PageError::new(Reason::Robots, detail))
                }
                _ => Ok(()),
            },
            Rules::Unknown(error) => {
                let detail = format!(
                    "the site's robots.txt cannot be obeyed ({error}), so nobody knows what may be asked for"
                );
                Err(PageError::new(Reason::Robots, detail))
            }
            Rules::Ignored => Ok(()),
        }
    }
}

fn ask(source: &Source, user_agent: &str, meter: &Meter) -> Result<Rules, PageError> {
    let name = user_agent.split(['/', ' ']).next().unwrap_or(user_agent);
    let mut page = Patience::new(source, PATH.to_owned());
    let rules = page.get(&mut meter.lane(Role::Rules), |page, _| {
        let mut inflater = Inflater::default();
        Ok(robotxt::Robots::parse(page.inflate(&mut inflater)?, name))
    });
    let rules = match rules {
        Err(error) if matches!(error.reason, Gone | Blocked | Status | Redirects) => {
            robotxt::Robots::allow_all()
        }
        rules => rules?,
    };
    match rules.crawl_delay() {
        Some(delay) if delay > retry::LONGEST_ASKED => {
            let why = format!("it wants {} s between requests", delay.as_secs());
            return Err(PageError::new(Reason::Robots, why));
        }
        Some(delay) => {
            meter.apart.set(delay.as_millis() as u64);
            source.gate.keep_apart(delay);
        }
        None => {}
    }
    Ok(Rules::Known(rules))
}
