//! The landmarks of the site: what its pages are recognised by.
//!
//! Landmarks are class tokens and header texts, never exact class strings and never positions: these
//! have changed with every generation of the site. Another layout of the site starts here.

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
}

/// The index page.
pub mod index {
    /// The header of the column with the growth. The table that has it lists the companies; other
    /// tables with links to companies may come before it.
    pub const YEAR_HEADER: &str = "1 Year";
    /// The first generation of the site has a second "1 Year" column, with pictures.
    pub const CHART_HEADER: &str = "Chart";
    pub const PAGER: &str = "finando_paging";
    /// Every index page links its letter pages: "ALL", "0-9", "A" to "Z". The footer of every page
    /// links letters too, but in lower case and of the S&P 500 only.
    pub const FIRST_AND_LAST_LETTER: [&str; 2] = ["A", "Z"];
    /// A company's row has 8 cells, in the first generation 11. A row that says that the table is empty
    /// would have one.
    pub const MIN_CELLS: usize = 6;
}

/// Where each figure is found, as messages describe it.
pub mod places {
    pub const PRICE: &str = "price-section__current-value";
    pub const PE: &str = "snapshot__header \"P/E Ratio\"";
    pub const LOW: &str = "snapshot__header \"52 Week Low\" with a value";
    pub const HIGH: &str = "snapshot__header \"52 Week High\" with a value";
    pub const RANGE: &str = "snapshot__header \"52 Week Low\" and \"52 Week High\"";
    pub const GROWTH: &str = "the index column \"1 Year\"";
}
