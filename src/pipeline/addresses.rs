//! Which addresses have been seen, or what tells them apart, in little memory: each text and 8 bytes.

use std::hash::RandomState;

use string_interner::StringInterner;
use string_interner::backend::BufferBackend;

/// A set of addresses, which keeps their order.
#[derive(Debug, Clone)]
pub struct Addresses(StringInterner<BufferBackend, RandomState>);

impl Addresses {
    /// Adds one; false if it was there already.
    pub fn insert(&mut self, address: &str) -> bool {
        let before = self.0.len();
        self.0.get_or_intern(address);
        self.0.len() > before
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that another one lacks.
    pub fn beyond(&self, other: &Addresses) -> impl Iterator<Item = &str> {
        let addresses = self.0.iter().map(|(_, address)| address);
        addresses.filter(|address| other.0.get(address).is_none())
    }
}

impl Default for Addresses {
    fn default() -> Self {
        // Whoever serves the addresses may choose them, so their hashes are to be unknown.
        Addresses(StringInterner::with_hasher(RandomState::new()))
    }
}

impl<'a> FromIterator<&'a str> for Addresses {
    fn from_iter<I: IntoIterator<Item = &'a str>>(addresses: I) -> Self {
        let mut set = Addresses::default();
        for address in addresses {
            set.insert(address);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_there_once_and_in_its_place() {
        let mut seen = Addresses::default();
        assert!(seen.is_empty());
        let news: Vec<bool> = ["/b", "", "/a", "/b", ""]
            .iter()
            .map(|address| seen.insert(address))
            .collect();
        assert_eq!(news, [true, true, true, false, false]);
        assert_eq!(seen.len(), 3);
        let others: Addresses = ["/a", "/c"].into_iter().collect();
        assert_eq!(seen.beyond(&others).collect::<Vec<_>>(), ["/b", ""]);
        assert_eq!(others.beyond(&seen).collect::<Vec<_>>(), ["/c"]);
    }
}
