//! robots.txt: the paths that it allows a robot, and the minimum time between requests
//! (RFC 9309, <https://www.rfc-editor.org/rfc/rfc9309>, and the older extension `Crawl-delay`).

use std::borrow::Cow;
use std::time::Duration;

/// A longer crawl delay counts as this one. The library ignores delays that exceed a `Duration`, such as
/// `1e30` and `inf`, and a site that states one wants anything but no delay.
const LONGEST_DELAY: f64 = 1e9;

/// The rules of one robots.txt for one robot.
#[derive(Debug)]
pub struct Rules(robotxt::Robots);

impl Rules {
    /// Parses a robots.txt. The robot's name is `user_agent` up to the first slash or space.
    pub fn parse(text: &[u8], user_agent: &str) -> Self {
        let name = user_agent.split(['/', ' ']).next().unwrap_or(user_agent);
        Rules(robotxt::Robots::parse(&with_finite_delays(text), name))
    }

    /// The rules of a site without robots.txt.
    pub fn allow_all() -> Self {
        Rules(robotxt::Robots::allow_all())
    }

    /// The pattern of the rule that forbids a path, if one does.
    pub fn forbidden_by(&self, path: &str) -> Option<&str> {
        let rule = self.0.matching_rule(path)?;
        (!rule.is_allow()).then(|| rule.pattern())
    }

    /// The minimum time between two requests, if robots.txt demands one. A delay that is negative or
    /// no number is none.
    pub fn crawl_delay(&self) -> Option<Duration> {
        self.0.crawl_delay()
    }
}

/// The text with its longer crawl delays replaced by [`LONGEST_DELAY`].
fn with_finite_delays(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|byte| b"\r\n\0".contains(byte));
    let lines = lines.map(|line| match endless_delay(line) {
        Some(key) => format!("{key}:{LONGEST_DELAY}\n").into_bytes().into(),
        None => Cow::Borrowed(line),
    });
    lines.collect::<Vec<_>>().concat()
}

/// The key of a line with a crawl delay over [`LONGEST_DELAY`].
fn endless_delay(line: &[u8]) -> Option<&str> {
    let (key, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    let value = value.split('#').next()?.trim();
    let is_delay = ["crawl-delay", "crawl delay", "crawldelay"]
        .iter()
        .any(|spelling| key.trim().eq_ignore_ascii_case(spelling));
    (is_delay && value.parse::<f64>().ok()? > LONGEST_DELAY).then_some(key)
}
