//! A compact set of addresses, or of the parts that distinguish them. Each takes its text and 8 bytes.

use std::hash::RandomState;

use string_interner::StringInterner;
use string_interner::backend::BufferBackend;

/// A set of addresses in insertion order.
#[derive(Debug, Clone)]
pub struct Addresses(StringInterner<BufferBackend, RandomState>);

impl Addresses {
    /// Adds an address. Returns false if the set contains it already.
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

    /// The addresses that `other` does not contain.
    pub fn difference(&self, other: &Addresses) -> impl Iterator<Item = &str> {
        let addresses = self.0.iter().map(|(_, address)| address);
        addresses.filter(|address| other.0.get(address).is_none())
    }
}

impl Default for Addresses {
    fn default() -> Self {
        // A hostile server chooses the addresses. With random hash keys, it cannot make them collide.
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
    fn keeps_each_address_once_in_insertion_order() {
        let mut seen = Addresses::default();
        assert!(seen.is_empty());
        let inserted: Vec<bool> = ["/b", "", "/a", "/b", ""]
            .iter()
            .map(|address| seen.insert(address))
            .collect();
        assert_eq!(inserted, [true, true, true, false, false]);
        assert_eq!(seen.len(), 3);
        let others: Addresses = ["/a", "/c"].into_iter().collect();
        assert_eq!(seen.difference(&others).collect::<Vec<_>>(), ["/b", ""]);
        assert_eq!(others.difference(&seen).collect::<Vec<_>>(), ["/c"]);
    }
}
