//! Removes the content encodings of archived bodies.
//!
//! A live site is asked for gzip only, and another encoding of it is an error. Archives of other programs
//! have bodies of browsers, which ask for more.

use std::io::Read;

use brotli_decompressor::Decompressor;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, FrameHeaderError, ReadFrameHeaderError};

use crate::http::decode::{self, Inflater, MAX_INFLATED};
use crate::http::error::{PageError, Reason};

/// Maximum number of encodings of one body. Each may take [`MAX_INFLATED`] bytes.
const MAX_ENCODINGS: usize = 2;
/// Maximum window of a zstd frame in bytes, that of RFC 9659 for HTTP.
const MAX_WINDOW: u64 = 8 << 20;
/// Number of encodings that an error names. Some bodies list thousands.
const MAX_NAMED: usize = 4;
/// Size of the buffer of compressed bytes.
const BUFFER: usize = 4 << 10;
/// Number of bytes at the start of a body that must be text.
const SAMPLE: usize = 512;

/// Removes encodings from a body; `encodings` are their names in lower case, in the order in which they
/// were applied. `None` if the body is text already, because the program that stored it has removed them.
///
/// The error is [`Reason::UnsupportedEncoding`] for more than two encodings, for an unknown one, and
/// for a zstd window over 8 MiB, [`Reason::BadEncoding`] for a damaged body, and [`Reason::TooLarge`] above
/// [`MAX_INFLATED`].
pub fn decode(encodings: &[String], body: &[u8]) -> Result<Option<Vec<u8>>, PageError> {
    let mut decoded = None;
    for encoding in encodings.iter().rev() {
        let encoded = decoded.as_deref().unwrap_or(body);
        let result = if encodings.len() > MAX_ENCODINGS {
            Err(too_many(encodings))
        } else {
            decode_one(encoding, encoded)
        };
        match result {
            Ok(next) => decoded = Some(next),
            // Also reached if the program removed all but one of the encodings that it lists.
            Err(error) if error.reason != Reason::TooLarge && is_text(encoded) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(decoded)
}

fn too_many(encodings: &[String]) -> PageError {
    let number = encodings.len();
    let names = encodings[..number.min(MAX_NAMED)].join(", ");
    let more = if number > MAX_NAMED { ", …" } else { "" };
    let detail =
        format!("the body has {number} encodings ({names}{more}), and at most two are removed");
    PageError::new(Reason::UnsupportedEncoding, detail)
}

fn decode_one(encoding: &str, body: &[u8]) -> Result<Vec<u8>, PageError> {
    let mut inflater = Inflater::default();
    match encoding {
        "gzip" | "x-gzip" => inflater.gunzip(body).map(<[u8]>::to_vec),
        "deflate" => inflater.inflate_deflate(body).map(<[u8]>::to_vec),
        "br" => read(encoding, Decompressor::new(body, BUFFER)),
        "zstd" => unzstd(body),
        _ => {
            let detail =
                format!("the body has the encoding {encoding:?}, which indexrank cannot remove");
            Err(PageError::new(Reason::UnsupportedEncoding, detail))
        }
    }
}

/// Decodes all frames. Skippable ones are passed over.
fn unzstd(mut body: &[u8]) -> Result<Vec<u8>, PageError> {
    let mut decoded = Vec::new();
    loop {
        match StreamingDecoder::new_with_max_window_size(&mut body, MAX_WINDOW) {
            Ok(mut frame) => {
                decoded.extend(read("zstd", &mut frame)?);
                let stated = frame.decoder.get_checksum_from_data();
                if stated.is_some() && stated != frame.decoder.get_calculated_checksum() {
                    return Err(damaged("zstd"));
                }
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => body = body.get(length as usize..).ok_or_else(|| damaged("zstd"))?,
            Err(FrameDecoderError::WindowSizeTooBig { requested, .. }) => {
                return Err(window_too_large(requested));
            }
            Err(FrameDecoderError::FrameHeaderError(FrameHeaderError::WindowTooBig { got })) => {
                return Err(window_too_large(got));
            }
            Err(_) => return Err(damaged("zstd")),
        }
        if decoded.len() > MAX_INFLATED {
            return Err(decode::too_large(MAX_INFLATED));
        }
        if body.is_empty() {
            return Ok(decoded);
        }
    }
}

fn window_too_large(window: u64) -> PageError {
    let (needed, limit) = (window.div_ceil(1 << 20), MAX_WINDOW >> 20);
    let detail =
        format!("the zstd body needs a window of {needed} MiB, and {limit} MiB is the limit");
    PageError::new(Reason::UnsupportedEncoding, detail)
}

/// Reads a whole decoded body.
fn read(encoding: &str, decoder: impl Read) -> Result<Vec<u8>, PageError> {
    let mut decoded = Vec::new();
    let mut limited = decoder.take(MAX_INFLATED as u64 + 1);
    match limited.read_to_end(&mut decoded) {
        Ok(length) if length <= MAX_INFLATED => Ok(decoded),
        Ok(_) => Err(decode::too_large(MAX_INFLATED)),
        Err(_) => Err(damaged(encoding)),
    }
}

fn damaged(encoding: &str) -> PageError {
    let detail = format!("the {encoding} body does not decode: it is damaged or cut short");
    PageError::new(Reason::BadEncoding, detail)
}

/// Whether a body begins with text: without control characters other than white space.
fn is_text(body: &[u8]) -> bool {
    let start = &body[..body.len().min(SAMPLE)];
    !start
        .iter()
        .any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace())
}
