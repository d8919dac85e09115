//! A company of the market, as its pages show it.

/// A company as the market lists it; figures are texts, as the pages show them without their commas,
/// and empty where they are missing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Listing {
    pub code: String,
    pub path: String,
    pub name: String,
    pub price: String,
    pub pe: String,
    pub low52: String,
    pub high52: String,
    pub growth: String,
}
