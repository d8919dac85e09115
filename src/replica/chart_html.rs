//! The chart of a company page: a script that names the page and its currency, and one with prices.

use std::fmt::Write;

use fastrand::Rng;

use super::html::push_line;
use super::listing::Listing;

/// Exchanges that a chart can show: the name and its abbreviation.
const EXCHANGES: [(&str, &str); 8] = [
    ("New York", "NYSE"),
    ("Nasdaq", "NAS"),
    ("Frankfurt", "FSE"),
    ("Düsseldorf", "DUS"),
    ("Stuttgart", "STU"),
    ("London", "LSE"),
    ("SIX Swiss", "SWX"),
    ("Tradegate", "TGT"),
];

/// Appends both scripts. They must directly follow the price sections, as on the real site: there the
/// currency comes about 2 % of the page after the name.
pub(super) fn chart(page: &mut String, company: &Listing, rng: &mut Rng) {
    settings(page, company, rng);
    prices(page, rng);
}

/// The settings of the chart, one line of JSON with spaces around the colons.
fn settings(page: &mut String, company: &Listing, rng: &mut Rng) {
    let instrument = rng.u32(100_000..30_000_000);
    let exchanges = EXCHANGES.map(|(name, short)| {
        format!(
            "{{ \"TKData\" : \"1,{instrument},{},333\", \"ExchangeName\" : \"{name}\", \"ExchangeNameShort\" : \"{short}\" }}",
            rng.u16(1..7_000)
        )
    });
    let currency = company.stated_currency();
    let currency = currency.map_or(String::new(), |code| format!("\"Currency\" : \"{code}\", "));
    let slug = company.path.trim_start_matches("/stocks/");
    let slug = slug.strip_suffix("-stock").unwrap_or(slug);
    push_line!(
        page,
        "<div class=\"responsivePosition\" id=\"DetailChart\">\n<script>\n\tvar detailChartViewmodel = {{ \
        \"TKData\" : \"1,{instrument},65,333\", \"PushIdentifier\" : \"Y{instrument:017}\", \"PushDataField\" : null, \
        \"StockUrl\" : \"/stocks/{slug}/price\", {currency}\"StockMarketsExchanges\" : [{}], \
        \"ActiveTab\" : \"OneYear\" }};\n</script>\n</div>",
        exchanges.join(", ")
    );
}

/// The daily prices of two years.
fn prices(page: &mut String, rng: &mut Rng) {
    push_line!(page, "<script>\n\tvar chartData = [");
    let mut close = rng.f64() * 300.0 + 20.0;
    for day in 0..500 {
        close *= 0.98 + rng.f64() * 0.04;
        push_line!(
            page,
            "{{\"Close\":{close:.2},\"Open\":{:.2},\"High\":{:.2},\"Low\":{:.2},\"Volume\":{},\"Date\":\"202{}-{:02}-{:02} 00:00\"}},",
            close * 0.99,
            close * 1.01,
            close * 0.98,
            rng.u32(100_000..90_000_000),
            day / 365,
            day / 31 % 12 + 1,
            day % 28 + 1
        );
    }
    push_line!(page, "\t];\n</script>");
}
