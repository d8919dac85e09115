//! The landmarks of the site: the texts by which its pages and their figures are recognised.
//!
//! Landmarks are class tokens and header texts, never exact class strings and never positions. Both
//! have changed with every generation of the site. To support another layout, start in this file.

use memchr::memmem;

/// Whether a page contains any text that only the site's own pages have.
pub fn any_in(html: &[u8]) -> bool {
    let own = [
        company::NAME,
        company::PRICE,
        company::HEADER,
        index::PAGER,
        identity::STOCK_URL,
        identity::LOGIN_TARGET,
    ];
    own.iter()
        .any(|landmark| memmem::find(html, landmark.as_bytes()).is_some())
}

/// The company page.
pub mod company {
    pub const NAME: &str = "price-section__label";
    pub const CODE: &str = "price-section__category";
    pub const PRICE: &str = "price-section__current-value";
    pub const ITEM: &str = "snapshot__data-item";
    pub const HEADER: &str = "snapshot__header";
    pub const PE: &str = "P/E Ratio";
    pub const LOW: &str = "52 Week Low";
    pub const HIGH: &str = "52 Week High";
    /// Until early 2021 the items of the 52-week range contained `{{…}}`, and only an inline script
    /// contained the figures.
    pub const LOW_IN_SCRIPT: &str = "low52weeks:";
    pub const HIGH_IN_SCRIPT: &str = "high52weeks:";
    /// Key of the currency of the price in the script of the chart. `"currency"`, elsewhere on the
    /// page, is empty.
    pub const CURRENCY: &str = "\"Currency\"";
    /// The element behind the price with its date, `Official Close 6/15/2021`, or its time,
    /// `03:52:05 PM`.
    pub const PRICE_TIME: &str = "price-section__additionals";
    pub const OFFICIAL_CLOSE: &str = "Official Close ";
}

/// The index page.
pub mod index {
    /// The header of the column with the growth. It marks the table that lists the companies. Other
    /// tables with links to companies may come before that table.
    pub const YEAR_HEADER: &str = "1 Year";
    /// The first generation of the site has a second "1 Year" column, with pictures.
    pub const CHART_HEADER: &str = "Chart";
    pub const PAGER: &str = "finando_paging";
    /// Every index page links its letter pages: "ALL", "0-9", "A" to "Z". The footer of every page
    /// links letters too, but in lower case and of the S&P 500 only.
    pub const FIRST_AND_LAST_LETTER: [&str; 2] = ["A", "Z"];
    /// A company's row has 8 cells, in the first generation 11. A row with the message that the table
    /// is empty would have one.
    pub const MIN_CELLS: usize = 6;
}

/// Where a page names its own address.
pub mod identity {
    /// Key of the company's address in the script of the chart.
    pub const STOCK_URL: &str = "\"StockUrl\"";
    /// Start of the page's own address in the link to log in.
    pub const LOGIN_TARGET: &str = "mymarkets?r=";
    pub const CANONICAL: &str = "canonical";
}

/// The place of each figure on its page, as messages describe it.
pub mod places {
    pub const PRICE: &str = "price-section__current-value";
    pub const PE: &str = "snapshot__header \"P/E Ratio\"";
    pub const LOW: &str = "snapshot__header \"52 Week Low\" with a value";
    pub const HIGH: &str = "snapshot__header \"52 Week High\" with a value";
    pub const RANGE: &str = "snapshot__header \"52 Week Low\" and \"52 Week High\"";
    pub const GROWTH: &str = "the index column \"1 Year\"";
    pub const PAGER: &str = "finando_paging";
    pub const CANONICAL: &str = "link rel=canonical";
    pub const CURRENCY: &str = "\"Currency\" in the script of the chart";
    pub const ADDRESS: &str = "\"StockUrl\" and \"mymarkets?r=\"";
}
