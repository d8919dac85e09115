//! What a contender keeps of a page.

use serde::{Deserialize, Serialize};

use crate::site::company::CompanyPage;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extract {
    Company(CompanyPage),
    /// Size of the body before inflating; the page is not parsed.
    Fetched {
        bytes: usize,
    },
    /// The headings of the page.
    Headings {
        /// Size of the body after inflating.
        bytes: usize,
        /// The numbers of h1, h2, h3 and h4.
        counts: [usize; 4],
    },
}
