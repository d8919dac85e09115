//! The head of a request.

use percent_encoding::percent_decode_str;

pub(super) struct Request {
    /// Path and query as the client spells them, to find the page.
    pub target: String,
    /// Path and query, percent-decoded with invalid UTF-8 replaced, for delays and fault rules.
    pub path: String,
    /// Whether the method is HEAD.
    pub head_only: bool,
    pub keep_alive: bool,
    /// Whether the client accepts gzip.
    pub gzip: bool,
}

impl Request {
    /// Parses a head. The error is the status line's code and reason for the refusal.
    pub fn parse(head: &[u8]) -> Result<Self, &'static str> {
        let mut slots = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut slots);
        parsed.parse(head).map_err(|_| "400 Bad Request")?;
        let (Some(method), Some(target), Some(version)) =
            (parsed.method, parsed.path, parsed.version)
        else {
            return Err("400 Bad Request");
        };
        if method != "GET" && method != "HEAD" {
            return Err("405 Method Not Allowed");
        }
        // Repeated headers are joined with commas, all in lower case.
        let header = |name: &str| {
            let named = parsed
                .headers
                .iter()
                .filter(move |header| header.name.eq_ignore_ascii_case(name));
            named
                .map(|header| String::from_utf8_lossy(header.value).to_ascii_lowercase())
                .collect::<Vec<_>>()
                .join(",")
        };
        let connection = header("connection");
        let keep_alive = if version == 1 {
            !connection.contains("close")
        } else {
            connection.contains("keep-alive")
        };
        let gzip = header("accept-encoding").split(',').any(accepts_gzip);
        Ok(Request {
            target: target.to_owned(),
            path: decoded(target),
            head_only: method == "HEAD",
            keep_alive,
            gzip,
        })
    }
}

fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// Whether one coding of `Accept-Encoding` allows gzip; a weight of 0 forbids it (RFC 9110, 12.5.3).
fn accepts_gzip(coding: &str) -> bool {
    let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
    let weight = weight.trim().strip_prefix("q=").unwrap_or("1").trim();
    matches!(name.trim(), "gzip" | "*") && weight.parse().is_ok_and(|weight: f32| weight > 0.0)
}
