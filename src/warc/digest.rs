//! Digests of records: the writer adds them, the reader verifies them.
//!
//! Every record of this program has a [`RECORD_DIGEST`], a CRC-32 of all that a replay uses. The records
//! of a recording also have the SHA-1 digests of the format, for other tools.

use data_encoding::{BASE32, HEXLOWER_PERMISSIVE};
use flate2::Crc;
use sha1::{Digest, Sha1};

use crate::warc::record::{REDIRECTED_TO, Record, SECOND_LOOK, field};
use crate::warc::stored_response::{StoredResponse, join_chunks};

/// The field with the CRC-32 of a record. The format has digests of the block only, which do not show
/// a damaged address.
pub const RECORD_DIGEST: &str = "X-Record-Digest";
/// The field of the first record that says: each response has a [`RECORD_DIGEST`]. So a record
/// without one is damaged.
pub const EACH_RECORD: &str = "record-digest";
/// The fields of a record that a replay uses.
const COVERED: [&str; 4] = ["WARC-Date", "WARC-Target-URI", REDIRECTED_TO, SECOND_LOOK];

/// The [`RECORD_DIGEST`] of a record: CRC-32 of the values of the [`COVERED`] fields in its head, each
/// followed by a line feed, and of its block, which is given in parts. Other fields may change.
pub fn of_record(head: &[u8], block: &[&[u8]]) -> String {
    let mut crc = Crc::new();
    for name in COVERED {
        crc.update(&field(head, name).unwrap_or_default());
        crc.update(b"\n");
    }
    block.iter().for_each(|part| crc.update(part));
    format!("crc32:{:08x}", crc.sum())
}

/// A SHA-1 as other tools expect it. `warcio check` (PyPI) verifies those of block and payload.
pub fn sha1(parts: &[&[u8]]) -> String {
    format!("sha1:{}", BASE32.encode(&sha1_bytes(parts)))
}

/// Whether the [`RECORD_DIGEST`] of a record matches. `None` if it has none.
pub fn matches_record(record: &Record) -> Option<bool> {
    let stated = record.field(RECORD_DIGEST)?;
    Some(stated == of_record(record.head, &[record.block]))
}

/// Whether the SHA-1 of a block or payload matches, in a record of another tool. `None` if the record
/// has none; digests of other algorithms are ignored.
///
/// The digest of the block is preferred, because it covers the HTTP head. Of a chunked payload, some
/// tools digest the chunks and some the joined content. Of several heads, some digest all but the first.
pub fn matches_sha1(record: &Record, response: &StoredResponse) -> Option<bool> {
    let stated = |name| stated_sha1(&record.field(name)?);
    if let Some(stated) = stated("WARC-Block-Digest") {
        return Some(stated == sha1_bytes(&[record.block]));
    }
    let stated = stated("WARC-Payload-Digest")?;
    let is_joined = || {
        let mut joined = Vec::new();
        join_chunks(response.body, &mut joined).is_some() && stated == sha1_bytes(&[&joined])
    };
    let payloads = [response.body, response.after_first_head];
    let is_stored = payloads
        .iter()
        .any(|payload| stated == sha1_bytes(&[payload]));
    Some(is_stored || is_joined())
}

fn sha1_bytes(parts: &[&[u8]]) -> Vec<u8> {
    let mut sha1 = Sha1::new();
    parts.iter().for_each(|part| sha1.update(part));
    sha1.finalize().to_vec()
}

/// The bytes of a SHA-1 in base 32 or hex; empty if its digits are invalid. `None` for another algorithm
/// or notation.
fn stated_sha1(digest: &str) -> Option<Vec<u8>> {
    let (algorithm, digits) = digest.split_once(':')?;
    if !["sha1", "sha-1"].contains(&&*algorithm.to_ascii_lowercase()) {
        return None;
    }
    let bytes = match digits.len() {
        32 => BASE32.decode(digits.to_ascii_uppercase().as_bytes()),
        40 => HEXLOWER_PERMISSIVE.decode(digits.as_bytes()),
        _ => return None,
    };
    Some(bytes.unwrap_or_default())
}
