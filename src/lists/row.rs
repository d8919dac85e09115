//! The row of an address: what its page was, or why there is none.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::http::error::PageError;
use crate::pipeline::task::{Listed, Seen};
use crate::site::page_text::Heading;

/// One line of the results. What a page does not have is null; columns that were not asked for are not
/// there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The place in the list, counted from 1.
    pub position: u64,
    /// The address as listed, or the path of a local file.
    pub url: String,
    /// The address that has responded.
    pub final_url: Option<String>,
    pub status: Option<u16>,
    /// Milliseconds from sending the request to the last byte, redirects included. Of a file, the time for
    /// reading it.
    pub ms: Option<f64>,
    /// Length of the body in bytes, without its Content-Encoding.
    pub bytes: Option<u64>,
    /// Length of the text in characters. Null for what is not text.
    pub chars: Option<u64>,
    pub content_type: Option<String>,
    pub title: Option<String>,
    /// The name of the saved file in its folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// SHA-256 of the saved file in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headings: Option<Vec<Heading>>,
    /// How often each word occurs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<BTreeMap<String, u64>>,
    /// Number of rows that the page has in the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Why there is no page, or no usable one.
    pub error: Option<String>,
}

impl Row {
    /// The row of a page, without its text.
    pub fn of_page(position: u64, address: &str, seen: &Seen) -> Self {
        let reached = seen.reached.as_deref();
        Row {
            position,
            url: address.to_owned(),
            final_url: Some(reached.unwrap_or(address).to_owned()),
            status: Some(seen.status),
            ms: Some(milliseconds(seen.elapsed)),
            bytes: Some(seen.bytes),
            content_type: seen.content_type.clone(),
            ..Row::default()
        }
    }

    /// The row of an address without a usable page. It has what the last response was, if there was one.
    pub fn of_failure(listed: &Listed, error: &PageError) -> Self {
        let row = match &listed.seen {
            Some(seen) => Row::of_page(listed.position, &listed.address, seen),
            None => Row {
                position: listed.position,
                url: listed.address.to_string(),
                ..Row::default()
            },
        };
        Row {
            error: Some(error.to_string()),
            ..row
        }
    }
}

/// In milliseconds with one decimal.
pub fn milliseconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}
