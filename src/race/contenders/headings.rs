//! The headings of an HTML page.

use std::sync::LazyLock;

use scraper::{Html, Selector};

static LEVELS: LazyLock<[Selector; 4]> = LazyLock::new(|| {
    ["h1", "h2", "h3", "h4"].map(|level| Selector::parse(level).expect("a valid selector"))
});

/// Counts the headings of levels 1 to 4 in the DOM that a browser builds without scripts.
pub fn count(html: &[u8]) -> [usize; 4] {
    let html = Html::parse_document(&String::from_utf8_lossy(html));
    std::array::from_fn(|level| html.select(&LEVELS[level]).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_headings_of_levels_1_to_4() {
        for (html, expected) in [
            ("", [0, 0, 0, 0]),
            ("<h1>a</h1><h2>b<h2>c<H4>d", [1, 2, 0, 1]),
            (
                "<!-- <h1>a</h1> --><script>'<h2>'</script><h5>b</h5><p>h3",
                [0; 4],
            ),
            ("{\"h1\": 1}", [0; 4]),
        ] {
            assert_eq!(count(html.as_bytes()), expected, "{html}");
        }
    }
}
