//! Turns a page into its row. The parsers call it.

use std::borrow::Cow;
use std::str;

use crossbeam_channel::Sender;

use crate::http::decode::{self, Inflater};
use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::lists::file_name::file_name;
use crate::lists::message::{Finished, Message};
use crate::lists::row::Row;
use crate::lists::settings::Extract;
use crate::pipeline::task::{Seen, Target};
use crate::site::page_text::PageText;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::Phase;

/// Maximum size of a body without its Content-Encoding, in bytes. Each parser keeps a buffer of the largest
/// so far.
const MAX_INFLATED: usize = 32 << 20;

/// What makes rows of pages, and where they go.
pub struct Rows<'a> {
    pub extract: &'a Extract,
    pub messages: Sender<Message>,
}

impl Rows<'_> {
    /// Makes the row of a page and hands it over. An error, such as a status of 400 and more, may be
    /// transient; the target then knows what the response was.
    pub fn of_page(
        &self,
        target: &mut Target,
        page: &Page,
        inflater: &mut Inflater,
        lane: &mut Lane,
    ) -> Result<(), PageError> {
        let Target::Listed(listed) = target else {
            let detail = "no page of a list";
            return Err(PageError::new(Reason::Unrecognised, detail));
        };
        inflater.limit = MAX_INFLATED;
        let body = lane.time(Phase::Inflating, || page.inflate(inflater));
        let bytes = match (&page.saved, &body) {
            (Some(saved), _) => saved.bytes,
            (None, Ok(body)) => body.len() as u64,
            (None, Err(_)) => page.body.len() as u64,
        };
        let seen = listed.seen.insert(Seen {
            reached: page.reached.clone(),
            status: page.status,
            elapsed: page.elapsed,
            content_type: page.header("content-type").map(|value| value.into_owned()),
            bytes,
        });
        require_success(page)?;
        let mut row = Row::of_page(listed.position, &listed.address, seen);
        let objects = match &page.saved {
            Some(saved) => {
                let disposition = page.headers.get("content-disposition");
                let disposition = disposition.map(|value| value.as_bytes());
                let address = page.reached.as_deref().unwrap_or(&listed.address);
                row.file = Some(file_name(disposition, address));
                row.sha256 = Some(saved.sha256.clone());
                None
            }
            None => {
                let body = body?;
                lane.counters.bytes_decoded.add(body.len() as u64);
                lane.time(Phase::Reading, || self.read(page, body, &mut row))?
            }
        };
        // Without a receiver, the run has ended.
        let _ = self
            .messages
            .send(Message::Finished(Finished { row, objects }));
        Ok(())
    }

    /// Adds what the text of a page says to its row. Returns the text if it goes into a database.
    fn read(&self, page: &Page, body: &[u8], row: &mut Row) -> Result<Option<Vec<u8>>, PageError> {
        let bytes = decode::to_utf8(body, page.charset().as_deref());
        let content_type = row.content_type.as_deref();
        let decoded = match str::from_utf8(&bytes) {
            Ok(text) => Cow::Borrowed(text),
            // A page in a charset that it does not state.
            Err(_) if content_type.is_some_and(is_text) => String::from_utf8_lossy(&bytes),
            // An image, an archive.
            Err(_) => return Ok(self.extract.objects.then(|| body.to_owned())),
        };
        let decoded = &*decoded;
        let text = if self.extract.headings {
            let text = PageText::with_headings(decoded, content_type);
            text.map_err(|error| PageError::new(Reason::TooLarge, error.to_string()))?
        } else {
            PageText::with_title(decoded, content_type)
        };
        row.chars = Some(text.chars);
        row.title = text.title;
        row.headings = self.extract.headings.then_some(text.headings);
        row.counts = self.extract.words.as_ref().map(|words| {
            let counts = words.count_in(decoded);
            words.words().iter().cloned().zip(counts).collect()
        });
        Ok(self.extract.objects.then(|| decoded.as_bytes().to_owned()))
    }
}

/// Whether a media type is one of text.
fn is_text(content_type: &str) -> bool {
    let name = content_type.to_ascii_lowercase();
    name.starts_with("text/")
        || ["html", "xml", "json"]
            .iter()
            .any(|part| name.contains(part))
}

/// Fails unless the status is one of success, 200 to 299.
fn require_success(page: &Page) -> Result<(), PageError> {
    match &page.not_followed {
        Some(error) => Err((**error).clone()),
        None if (200..300).contains(&page.status) => Ok(()),
        None => {
            let detail = format!("HTTP status {}", page.status);
            Err(PageError::new(Reason::of_status(page.status), detail))
        }
    }
}
