//! Synthetic companies, for a market with more companies than the crawl had.

use fastrand::Rng;

use super::html;
use super::listing::Listing;

/// A company with average figures. Its code has five letters, from `ZAAAA` on, and no real company has
/// such a code.
pub(super) fn synthetic_company(number: usize, rng: &mut Rng) -> Listing {
    let mut letters = [b'Z', b'A', b'A', b'A', b'A'];
    let mut rest = number;
    for letter in letters.iter_mut().rev() {
        *letter = letter.wrapping_add((rest % 26) as u8).min(b'Z');
        rest /= 26;
    }
    let code = String::from_utf8_lossy(&letters).into_owned();
    let low = rng.u64(1_000..20_000);
    // Growth stays below 70 %, because the tenth company of the real ranking grew by 84 %.
    let high = low + rng.u64(0..low * 7 / 10);
    let (price, year_ago) = (rng.u64(low..=high), rng.u64(low..=high));
    let growth = 100.0 * (price as f64 / year_ago as f64 - 1.0);
    let money = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
    Listing {
        path: format!("/stocks/{}-stock", code.to_lowercase()),
        name: format!(
            "{} {}",
            html::capitalized(html::random_word(rng)),
            rng.choice(["Inc.", "Corp.", "Group PLC", "Co."])
                .unwrap_or("")
        ),
        price: money(price),
        pe: money(rng.u64(1_000..8_000)),
        low52: money(low),
        high52: money(high),
        growth: format!("{growth:.2}"),
        currency: "USD".to_owned(),
        code,
    }
}
