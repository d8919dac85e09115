//! How often words occur in a page or in a large local file.
//! Which files and pages are counted, and how counts are shown, is not in here.
//! Another way to match goes into `words`, another encoding into `block`, another compression into `stream`.
//!
//! A file is read in blocks, and several threads search different blocks. Behind each block, a thread also
//! reads the beginning of the next one, so that it finds occurrences across the border. The counts do not
//! depend on the size of the blocks or the number of threads.

mod block;
mod file;
mod positioned;
mod reading;
mod stream;
mod sum;
#[cfg(test)]
mod tests;
mod waiting;
mod words;

pub use file::FileCount;
pub use words::{MAX_WORD, WordError, Words};
