//! robots.txt: the paths that it allows a robot, and the minimum time between requests
//! (RFC 9309, <https://www.rfc-editor.org/rfc/rfc9309>, and the older extension `Crawl-delay`).

use std::time::Duration;

/// The rules of one robots.txt for one robot.
#[derive(Debug)]
pub struct Rules(robotxt::Robots);

impl Rules {
    /// Parses a robots.txt. The robot's name is `user_agent` up to the first slash or space.
    pub fn parse(text: &[u8], user_agent: &str) -> Self {
        let name = user_agent.split(['/', ' ']).next().unwrap_or(user_agent);
        Rules(robotxt::Robots::parse(text, name))
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

    /// The minimum time between two requests, if robots.txt demands one.
    pub fn crawl_delay(&self) -> Option<Duration> {
        self.0.crawl_delay()
    }
}
