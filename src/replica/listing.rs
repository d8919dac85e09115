//! One company of the embedded market.

/// A company and its figures, each as the digits that its pages show.
///
/// Figures have a decimal point and no thousands separators. A missing figure is an empty string.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Listing {
    /// Ticker symbol, like `MMM`.
    pub code: String,
    /// Path of the company page, like `/stocks/mmm-stock`.
    pub path: String,
    pub name: String,
    /// US dollars a share.
    pub price: String,
    /// Price/earnings ratio; negative after a loss.
    pub pe: String,
    /// Lowest price of the last 52 weeks, in US dollars.
    pub low52: String,
    /// Highest price of the last 52 weeks, in US dollars.
    pub high52: String,
    /// Change of the price over one year, in per cent.
    pub growth: String,
}
