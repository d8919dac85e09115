//! robots.txt: the paths that it allows a robot, and the minimum time between requests
//! (RFC 9309, <https://www.rfc-editor.org/rfc/rfc9309>, and the older extension `Crawl-delay`).

use std::time::Duration;

use crate::site::paths;

/// The rules beyond these bytes of a robots.txt do not count (RFC 9309, 2.5). The line that crosses the
/// limit does not either.
pub const MAX_BYTES: usize = robotxt::BYTE_LIMIT;
/// Overwrites a longer crawl delay, in seconds. The library ignores delays that exceed a `Duration`, such as
/// `1e30` and `inf`, as if there were none. Every longer delay has at least three bytes, so this fits into
/// its place.
const LONGEST_DELAY: &[u8; 3] = b"1e9";

/// The rules of one robots.txt for one robot.
#[derive(Debug)]
pub struct Rules(robotxt::Robots);

impl Rules {
    /// Parses the first [`MAX_BYTES`] of a robots.txt. The robot's name is the product token of
    /// `user_agent`: `indexrank` for `indexrank/1.0 (+https://…)`.
    pub fn parse(text: &[u8], user_agent: &str) -> Self {
        // One byte more shows whether the last line ends at the limit.
        let mut text = text[..text.len().min(MAX_BYTES + 1)].to_vec();
        for line in text.split_mut(|byte| b"\r\n\0".contains(byte)) {
            normalize(line);
        }
        let name = &user_agent[..token_length(user_agent.as_bytes())];
        Rules(robotxt::Robots::parse(&text, name))
    }

    /// The rules of a site without robots.txt.
    pub fn allow_all() -> Self {
        Rules(robotxt::Robots::allow_all())
    }

    /// The pattern of the rule that forbids a path, if one does.
    pub fn forbidden_by(&self, path: &str) -> Option<&str> {
        let forbidden = |path: &str| {
            let rule = self.0.matching_rule(path)?;
            (!rule.is_allow()).then(|| rule.pattern())
        };
        // For the library, `^` and `%5E` are two paths. The one is listed, the other is sent.
        forbidden(path).or_else(|| forbidden(&paths::encoded(path)))
    }

    /// The minimum time between two requests, if robots.txt demands one. A delay that is negative or
    /// no number is none.
    pub fn crawl_delay(&self) -> Option<Duration> {
        self.0.crawl_delay()
    }
}

/// The spellings of a key that the library knows.
const AGENT_KEYS: [&str; 3] = ["user-agent", "user agent", "useragent"];
const DELAY_KEYS: [&str; 3] = ["crawl-delay", "crawl delay", "crawldelay"];

/// Rewrites a line in its place, so that the library understands it: a crawl delay that is too long, and
/// a user agent with more than its product token.
fn normalize(line: &mut [u8]) {
    const BOM: &[u8] = b"\xef\xbb\xbf";
    let start = if line.starts_with(BOM) { BOM.len() } else { 0 };
    let spaces = |bytes: &[u8]| {
        bytes
            .iter()
            .take_while(|byte| b" \t".contains(byte))
            .count()
    };
    let start = start + spaces(&line[start..]);
    let line = &mut line[start..];
    for key in AGENT_KEYS.iter().chain(&DELAY_KEYS) {
        let after = match line.split_at_mut_checked(key.len()) {
            Some((start, after)) if start.eq_ignore_ascii_case(key.as_bytes()) => after,
            _ => continue,
        };
        let mut start = spaces(after);
        if after.get(start) == Some(&b':') {
            start += 1;
            start += spaces(&after[start..]);
        }
        let value = &mut after[start..];
        let end = value.iter().position(|byte| *byte == b'#');
        let end = end.unwrap_or(value.len());
        let value = &mut value[..end];
        if AGENT_KEYS.contains(key) {
            cut_to_token(value);
        } else {
            shorten_delay(value);
        }
        return;
    }
}

/// Makes a comment of what follows the product token in a value.
fn cut_to_token(value: &mut [u8]) {
    let length = token_length(value);
    if let Some(after) = value.get_mut(length) {
        *after = b'#';
    }
}

/// Replaces a delay that is longer than [`LONGEST_DELAY`].
fn shorten_delay(value: &mut [u8]) {
    let delay = std::str::from_utf8(value).ok();
    let delay = delay.and_then(|delay| delay.trim().parse::<f64>().ok());
    if delay.is_some_and(|delay| delay > 1e9) {
        value.fill(b' ');
        value[..LONGEST_DELAY.len()].copy_from_slice(LONGEST_DELAY);
    }
}

/// The length of the product token at the start of a user agent (RFC 9309, 2.2.1). A lone `*` is one.
fn token_length(user_agent: &[u8]) -> usize {
    let ends = |byte: &u8| b"/ \t(),;*".contains(byte);
    let start = usize::from(user_agent.starts_with(b"*"));
    let after = &user_agent[start..];
    start + after.iter().position(ends).unwrap_or(after.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule that forbids a path to a robot of this user agent.
    #[track_caller]
    fn check(text: impl AsRef<[u8]>, user_agent: &str, path: &str, expected: Option<&str>) {
        let text = text.as_ref();
        let rules = Rules::parse(text, user_agent);
        let start = String::from_utf8_lossy(&text[..text.len().min(200)]);
        assert_eq!(
            rules.forbidden_by(path),
            expected,
            "{user_agent}, {path}: {start:?}"
        );
    }

    const US: &str = "indexrank/1.2 (+https://site.example/indexrank)";

    #[test]
    fn finds_its_group_by_the_product_token() {
        for group in [
            "User-agent: indexrank",
            "User-agent: indexrank/1.0",
            "User-agent: IndexRank/1.2",
            "USER-AGENT:INDEXRANK/9",
            "user-agent : indexrank/1.0  ",
            "\tUser-agent:\tindexrank/1.0\t# all of it",
            "User-agent: indexrank/1.0#x",
            "User-agent: indexrank/",
            "User-agent: indexrank # me",
            "User-agent: indexrank (all versions)",
            "User-agent: indexrank/1.0 (+https://site.example; x)",
            "User-agent: indexrank 1.0",
            "User-agent: indexrank, other",
            "User-agent: indexrank; other",
            "User-agent: indexrank*",
            "User-agent: indexrank/*",
            "User Agent: indexrank/1.0",
            "UserAgent indexrank/1.0",
            "User-agent: other/2\nUser-agent: indexrank/1.0\nUser-agent: third",
            "User-agent: other\nUser-agent: third/3\nUser-agent: indexrank",
            "\u{feff}User-agent: indexrank/1.0",
            "User-agent: indexrank/1.0\r\nUser-agent: x\r\n",
            "User-agent: indexrank/1.0\rUser-agent: x",
            "# User-agent: other\n\nUser-agent: indexrank/1.0\n\n# none",
        ] {
            // The group for all would forbid nothing.
            for text in [
                format!("{group}\nDisallow: /x\n\nUser-agent: *\nDisallow:\n"),
                format!("{group}\nDisallow: /x"),
            ] {
                check(&text, US, "/x", Some("/x"));
                check(&text, US, "/y", None);
            }
        }
        let latin =
            b"User-agent: indexrank/1.0 # f\xfcr uns\nDisallow: /x\nUser-agent: *\nAllow: /";
        check(latin, US, "/x", Some("/x"));
    }

    #[test]
    fn leaves_other_groups_alone() {
        for group in [
            "User-agent: indexrank-news",
            "User-agent: indexrank-news/1.0",
            "User-agent: indexrank_2",
            "User-agent: indexranker",
            "User-agent: index",
            "User-agent: my indexrank",
            "User-agent: my/indexrank",
            "User-agent: other # indexrank",
            "User-agent: /indexrank",
            "User-agent: *indexrank",
            "User-agent: \"indexrank\"",
            "User-agent: other/1.0\nUser-agent: indexrank-news",
            "User-agentx: indexrank",
            "User-agent:",
            "# User-agent: indexrank",
        ] {
            let text = format!("{group}\nDisallow: /x\n\nUser-agent: *\nDisallow: /y\n");
            check(&text, US, "/x", None);
            check(&text, US, "/y", Some("/y"));
        }
        for all in ["*", " * ", "* # all", "*/2", "* (all)"] {
            check(
                format!("User-agent: {all}\nDisallow: /x"),
                US,
                "/x",
                Some("/x"),
            );
        }
        // Groups of one robot are one, whatever the version that they name.
        let two =
            "User-agent: indexrank/1\nDisallow: /x\n\nUser-agent: indexrank/2\nDisallow: /y\n";
        check(two, US, "/x", Some("/x"));
        check(two, US, "/y", Some("/y"));
    }

    #[test]
    fn takes_the_product_token_of_its_own_name() {
        let text = "User-agent: mybot\nDisallow: /x\nUser-agent: *\nDisallow: /y";
        for own in [
            "mybot",
            "MyBot/2",
            "mybot/2 (me@example.org)",
            "mybot (me@example.org)",
            "mybot;2",
            "mybot*",
        ] {
            check(text, own, "/x", Some("/x"));
            check(text, own, "/y", None);
        }
        for own in ["mybot-2", "my bot", "bot", "/mybot", " ", "*"] {
            check(text, own, "/x", None);
            check(text, own, "/y", Some("/y"));
        }
    }

    #[test]
    fn counts_rules_in_the_first_500_kib() {
        let group = "User-agent: *\n";
        let rule = "Disallow: /last\n";
        let filled = |length: usize| {
            let comment = format!("#{}\n", "x".repeat(99));
            let mut text = group.to_owned() + &comment.repeat(length / comment.len() + 1);
            text.truncate(length - 1);
            text + "\n"
        };
        for (before, expected) in [
            (1000, Some("/last")),
            (MAX_BYTES - rule.len(), Some("/last")),
            // Without its line break.
            (MAX_BYTES - rule.len() + 1, Some("/last")),
            (MAX_BYTES - rule.len() + 2, None),
            (MAX_BYTES - 12, None),
            (MAX_BYTES, None),
        ] {
            for after in ["", "Allow: /\n", &filled(10 << 20)] {
                let text = filled(before) + rule + after;
                check(&text, US, "/last", expected);
                // A rule that is cut would forbid more.
                check(&text, US, "/la", None);
            }
        }
    }

    #[test]
    fn limits_endless_crawl_delays() {
        for (line, seconds) in [
            ("Crawl-delay: 2", 2.0),
            ("crawl delay : 0.5 # s", 0.5),
            ("crawldelay 1e9", 1e9),
            ("Crawl-delay: 2e9", 1e9),
            ("Crawl-delay:inf", 1e9),
            ("Crawl-delay: +Infinity\t", 1e9),
            ("crawl-delay 1e30", 1e9),
            ("Crawl-delay: 99999999999999999999 # never", 1e9),
        ] {
            let rules = Rules::parse(format!("User-agent: *\n{line}\n").as_bytes(), US);
            let delay = rules.crawl_delay().map(|delay| delay.as_secs_f64());
            assert_eq!(delay, Some(seconds), "{line}");
        }
        for line in [
            "Crawl-delay: -1",
            "Crawl-delay: NaN",
            "Crawl-delay: -inf",
            "Crawl-delay: x",
            "Crawl-delay:",
        ] {
            let rules = Rules::parse(format!("User-agent: *\n{line}\n").as_bytes(), US);
            assert_eq!(rules.crawl_delay(), None, "{line}");
        }
    }

    #[test]
    fn matches_every_spelling_of_a_path() {
        for (rule, path) in [
            ("/a^b", "/a^b"),
            ("/a^b", "/a^bc"),
            ("/a%5Eb", "/a^b"),
            ("/a%7cb", "/a|b"),
            ("/m%C3%BCn", "/münchen"),
            ("/mün", "/münchen"),
            ("/mün", "/m%c3%bcnchen"),
            ("/a%20b", "/a b"),
            ("/*?p=", "/index/components/s&p_500?p=1"),
            ("/*/*?p=*", "/index/components/s&p_500?p=1"),
            ("*/*?p=*", "/index/components/s&p_500?p=12"),
            ("/index/*?p=2$", "/index/components/s&p_500?p=2"),
        ] {
            let rules = Rules::parse(format!("User-agent: *\nDisallow: {rule}").as_bytes(), US);
            assert!(rules.forbidden_by(path).is_some(), "{rule} {path}");
            assert_eq!(rules.forbidden_by("/index/components/s&p_500/A"), None);
        }
    }
}
