//! Currencies as pages and the Bank of Russia spell them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::site::landmarks::company::CURRENCY;
use crate::site::scan;

/// A currency code of three letters (ISO 4217), or the code of a minor unit such as `GBX`. Case
/// matters: `GBp` are pence, `GBP` are pounds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Codes of minor units, and the currency that each is a hundredth of.
const MINOR_UNITS: [(Currency, Currency); 4] = [
    (Currency(*b"GBX"), Currency(*b"GBP")),
    (Currency(*b"GBp"), Currency(*b"GBP")),
    (Currency(*b"ZAc"), Currency(*b"ZAR")),
    (Currency(*b"ILA"), Currency(*b"ILS")),
];

impl Currency {
    pub const USD: Self = Currency(*b"USD");
    pub const RUB: Self = Currency(*b"RUB");
    /// The code of ISO 4217 for no currency: the page states one that is no code.
    pub const UNKNOWN: Self = Currency(*b"XXX");

    /// The currency that exchange rates are quoted for, and how many of this unit are one of it: (`GBP`,
    /// 100) for `GBX`, (`USD`, 1) for `USD`.
    pub fn main_unit(self) -> (Self, u32) {
        MINOR_UNITS
            .iter()
            .find(|(minor, _)| *minor == self)
            .map_or((self, 1), |(_, main)| (*main, 100))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("ASCII letters")
    }
}

/// A text that is not three ASCII letters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a currency code of three letters, like USD")]
pub struct NotACurrency;

impl FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(text: &str) -> Result<Self, NotACurrency> {
        let code = text
            .trim()
            .as_bytes()
            .try_into()
            .map_err(|_| NotACurrency)?;
        let code: [u8; 3] = code;
        let is_code = code.iter().all(u8::is_ascii_alphabetic);
        is_code.then_some(Currency(code)).ok_or(NotACurrency)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text of the currency that a company page states, `"Currency" : "USD"`. `None` if it states none.
/// `html` begins before the script of the chart; the nearer, the faster.
pub(crate) fn stated(html: &[u8]) -> Option<String> {
    let values = memchr::memmem::find_iter(html, CURRENCY)
        .filter_map(|at| scan::json_text(&html[at + CURRENCY.len()..]));
    values
        .map(|text| text.trim().to_owned())
        .find(|text| !text.is_empty())
}
