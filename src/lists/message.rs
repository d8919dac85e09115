//! What the recorder receives.

use crate::disk::output::OutputError;
use crate::lists::journal::Part;
use crate::lists::row::Row;

/// What the other threads send.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are of the large one")]
pub enum Message {
    Finished(Finished),
    /// A download that a later run may continue.
    Part(Part),
    /// The disk does not take a body.
    Unwritable(OutputError),
}

/// A row, and what goes into the database.
#[derive(Debug)]
pub struct Finished {
    pub row: Row,
    /// The text of a page of JSON.
    pub objects: Option<Vec<u8>>,
}

impl Finished {
    pub fn row(row: Row) -> Self {
        Finished { row, objects: None }
    }
}
