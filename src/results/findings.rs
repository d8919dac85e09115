//! What became of the companies of a run, as `run.json` lists it.
//!
//! The lists are complete, because other programs search them for single companies. [`Findings`] does not
//! build them: it makes each entry when it is written. The lists of 100,000 companies would take several
//! times the memory of the companies.

use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;

use crate::http::error::PageError;
use crate::pipeline::harvest::{Failure, Harvest, Ledger};
use crate::results::layout_check::FIGURES;
use crate::results::plausibility::{self, Contradiction};
use crate::results::prices::Prices;
use crate::site::company::Company;
use crate::source::archives::Bases;

/// The companies of a run, and what is listed of them.
///
/// Serializes as the fields `ledger`, `walks`, `failures`, `duplicates`, `missing`, `notes` and
/// `suspicious` of `run.json`.
#[derive(Debug)]
pub struct Findings {
    pub harvest: Harvest,
    pub prices: Prices,
    pub bases: Bases,
}

/// A company without a usable page.
#[derive(serde::Serialize)]
struct FailureEntry<'a> {
    path: &'a str,
    address: String,
    #[serde(flatten)]
    error: &'a PageError,
}

/// A figure that a page shows in an unusable form or that cannot be ranked, or a currency that it does
/// not state.
#[derive(serde::Serialize)]
struct Note<'a> {
    code: &'a str,
    note: String,
}

impl Findings {
    pub fn ledger(&self) -> Ledger {
        self.harvest.ledger()
    }

    /// The address of the page that failed.
    pub fn address(&self, failure: &Failure) -> String {
        self.bases.address(&failure.path)
    }

    /// Figures that contradict each other. They are ranked unchanged.
    pub fn contradictions(&self) -> impl Iterator<Item = Contradiction> {
        plausibility::check_all(&self.harvest.companies)
    }

    /// The figures that companies lack, by their names in messages, and the number of these companies.
    pub fn missing_counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let counts = (0..FIGURES.len()).map(|at| (FIGURES[at].name, self.lacking(at).count()));
        counts.filter(|(_, companies)| *companies > 0)
    }

    /// The companies that lack one of [`FIGURES`].
    fn lacking(&self, figure: usize) -> impl Iterator<Item = &Company> {
        let companies = self.harvest.companies.iter();
        companies.filter(move |company| !(FIGURES[figure].is_there)(company))
    }

    fn failures(&self) -> impl Iterator<Item = FailureEntry<'_>> {
        self.harvest.failures.iter().map(|failure| FailureEntry {
            path: &failure.path,
            address: self.address(failure),
            error: &failure.error,
        })
    }

    fn notes(&self) -> impl Iterator<Item = Note<'_>> {
        self.harvest.companies.iter().flat_map(|company| {
            let notes = company.notes().map(Cow::into_owned);
            let notes = notes.chain(self.prices.note(company));
            let code = &company.page.code;
            notes.map(move |note| Note { code, note })
        })
    }
}

impl Serialize for Findings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("ledger", &self.ledger())?;
        // The companies that the numbered and the letter pages listed, and how the two lists differ.
        fields.serialize_entry("walks", &self.harvest.walks)?;
        fields.serialize_entry("failures", &Each(|| self.failures()))?;
        fields.serialize_entry("duplicates", &self.harvest.duplicates)?;
        fields.serialize_entry("missing", &Missing(self))?;
        fields.serialize_entry("notes", &Each(|| self.notes()))?;
        fields.serialize_entry("suspicious", &Each(|| self.contradictions()))?;
        fields.end()
    }
}

/// For each of [`FIGURES`], the codes of the companies that lack it.
struct Missing<'a>(&'a Findings);

impl Serialize for Missing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map((0..FIGURES.len()).map(|figure| {
            let codes = move || self.0.lacking(figure).map(|one| &one.page.code);
            (FIGURES[figure].key, Each(codes))
        }))
    }
}

/// An array whose elements are made one after the other.
struct Each<F>(F);

impl<F, I> Serialize for Each<F>
where
    F: Fn() -> I,
    I: Iterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}
