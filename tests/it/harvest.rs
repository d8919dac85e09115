//! The harvest merges duplicates, and the layout check judges it.

use indexrank::http::error::{PageError, Reason};
use indexrank::pipeline::harvest::{Duplicate, Failure, Harvest};
use indexrank::results::layout_check;
use indexrank::site::company::CompanyPage;
use indexrank::site::index::Link;

fn link(slug: &str) -> Link {
    Link {
        path: format!("/stocks/{slug}-stock").into(),
        name: String::new(),
        growth: Some(1.into()),
        note: None,
    }
}

fn page(code: &str) -> CompanyPage {
    let one = Some(1.into());
    CompanyPage {
        code: code.to_owned(),
        price: one,
        pe: one,
        low52: one,
        high52: one,
        ..CompanyPage::default()
    }
}

fn error(reason: Reason) -> PageError {
    PageError::new(reason, "because")
}

#[test]
fn merges_and_reports_two_addresses_of_one_company() {
    let mut harvest = Harvest {
        listed: 5,
        ..Harvest::default()
    };
    for (slug, code) in [("uaa", "UA"), ("b", "B"), ("ua", "UA")] {
        harvest.add_company(link(slug), page(code));
    }
    harvest.failures.push(Failure {
        path: "/stocks/c-stock".into(),
        error: error(Reason::Gone),
    });
    harvest.settle();
    let codes: Vec<_> = harvest
        .companies
        .iter()
        .map(|company| (company.page.code.clone(), company.path.to_string()))
        .collect();
    assert_eq!(
        codes,
        [("B", "/stocks/b-stock"), ("UA", "/stocks/ua-stock")]
            .map(|(code, path)| (code.to_owned(), path.to_owned()))
    );
    let duplicate = Duplicate {
        path: "/stocks/uaa-stock".into(),
        code: "UA".into(),
        same_as: "/stocks/ua-stock".into(),
    };
    assert_eq!(harvest.duplicates, [duplicate]);
    let ledger = harvest.ledger();
    assert_eq!(
        (
            ledger.ok,
            ledger.failed,
            ledger.skipped,
            ledger.not_attempted
        ),
        (2, 1, 1, 1)
    );
}

/// A figure gets a warning when more than 5 % of the companies beyond its usual share lack it, unless
/// fewer than five companies do.
#[test]
fn warns_about_figures_missing_more_often_than_usual() {
    type Spoil = fn(&mut CompanyPage);
    let no_price: Spoil = |page| page.price = None;
    let no_pe: Spoil = |page| page.pe = None;
    let no_range: Spoil = |page| (page.low52, page.high52) = (None, None);
    for (pages, odd, spoil, warns) in [
        (496, 82, no_pe, true),
        (496, 11, no_pe, false),
        (500, 40, no_pe, false),
        (500, 41, no_pe, true),
        (500, 30, no_range, false),
        (500, 31, no_range, true),
        (500, 25, no_price, false),
        (500, 26, no_price, true),
        (30, 1, no_price, false),
        (30, 4, no_price, false),
        (30, 5, no_price, true),
        (0, 0, no_price, false),
    ] {
        let mut harvest: Harvest = Harvest::default();
        for number in 0..pages {
            let mut page = page(&number.to_string());
            if number < odd {
                spoil(&mut page);
            }
            harvest.add_company(link("x"), page);
        }
        let warnings = layout_check::unusually_missing(&harvest.companies);
        assert_eq!(
            warnings.len(),
            usize::from(warns),
            "{odd} of {pages}: {warnings:?}"
        );
        assert_eq!(layout_check::change(&harvest), None, "{odd} of {pages}");
    }
}

/// A layout counts as changed when more than 20 % of the pages lack a figure. Fewer than five such
/// pages count only if no page has the figure.
#[test]
fn detects_a_changed_layout() {
    let harvest_of = |pages: usize, odd: usize, spoil: fn(&mut CompanyPage)| {
        let mut harvest: Harvest = Harvest::default();
        for number in 0..pages {
            let mut page = page(&number.to_string());
            if number < odd {
                spoil(&mut page);
            }
            harvest.add_company(link("x"), page);
        }
        harvest
    };
    let no_pe: fn(&mut CompanyPage) = |page| page.pe = None;
    for (pages, odd, changed) in [
        (100, 20, false),
        (100, 21, true),
        (10, 4, false),
        (10, 5, true),
        (3, 2, false),
        (3, 3, true),
        (0, 0, false),
    ] {
        let change = layout_check::change(&harvest_of(pages, odd, no_pe));
        assert_eq!(change.is_some(), changed, "{odd} of {pages}: {change:?}");
    }
    let change = layout_check::change(&harvest_of(100, 30, |page| page.low52 = None)).unwrap();
    assert!(
        change.contains("30 of 100 pages show no 52-week range"),
        "{change}"
    );
    assert!(change.contains("52 Week Low"), "{change}");

    let mut harvest = harvest_of(10, 0, no_pe);
    for _ in 0..6 {
        harvest.failures.push(Failure {
            path: "/stocks/y-stock".into(),
            error: error(Reason::Unrecognised),
        });
    }
    assert!(
        layout_check::change(&harvest)
            .unwrap()
            .contains("6 of 16 pages cannot be parsed as company pages")
    );
}
