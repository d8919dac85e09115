//! One company of the embedded market.

/// A company and its figures, each as the digits that its pages show.
///
/// Figures have a decimal point and no thousands separators. A missing figure is an empty string.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Listing {
    /// Ticker symbol, like `MMM`.
    pub code: String,
    /// Path of the company page, like `/stocks/mmm-stock`, percent-encoded as in links.
    pub path: String,
    pub name: String,
    /// Price of a share in the currency.
    pub price: String,
    /// Price/earnings ratio; negative after a loss.
    pub pe: String,
    /// Lowest price of the last 52 weeks, in the currency.
    pub low52: String,
    /// Highest price of the last 52 weeks, in the currency.
    pub high52: String,
    /// Change of the price over one year, in per cent.
    pub growth: String,
    /// Code of the currency, as the page states it: `GBX` for pence. Empty stands for `USD`, and `-`
    /// for a page that states none.
    #[serde(default)]
    pub currency: String,
}

impl Listing {
    /// The currency that the page states, or `None`.
    pub fn stated_currency(&self) -> Option<&str> {
        match self.currency.as_str() {
            "" => Some("USD"),
            "-" => None,
            code => Some(code),
        }
    }
}
