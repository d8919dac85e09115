//! A map from path and query to a value, for lookups that may spell the path in another way.
//!
//! Programs write `s%26p_500` or `s&p_500` for the same page, and `%C3` or `%c3` for the same byte. But
//! two spellings can also be two pages, `a%2fb` and `a/b` for example, and some sites encode other
//! bytes than UTF-8. So an exact match wins, and paths are compared as decoded bytes only without one.
//! [`find_page`](PathMap::find_page) also compares them without the parameters that do not change a page.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::{self, Entry};

use percent_encoding::percent_decode_str;

use crate::site::paths;

/// Values by path and query.
#[derive(Debug)]
pub struct PathMap<T> {
    /// By the path as stored.
    by_spelling: HashMap<String, T>,
    /// Paths with escapes by their decoded bytes: the only spelling, or `None` if there are several.
    /// A path without escapes is its own decoded form, so it needs no second entry.
    by_bytes: HashMap<Vec<u8>, Option<String>>,
    /// Paths with ignored parameters, by their decoded bytes without these: the shortest spelling.
    by_page: HashMap<Vec<u8>, String>,
    /// See [`size`](Self::size).
    size: usize,
}

/// Memory of an entry in a map whose table has just grown to twice its size, in bytes, without the bytes of
/// its path.
const fn size_of_entry<T>() -> usize {
    2 * size_of::<(String, T)>()
}

/// Why a path has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoMatch {
    #[error("does not contain it")]
    Missing,
    #[error(
        "does not contain it, but several pages whose paths differ from it only in percent-encoding"
    )]
    Ambiguous,
}

impl<T> PathMap<T> {
    /// The value of exactly this spelling. Inserts `value` if there is none.
    pub fn or_insert(&mut self, path: &str, value: T) -> &mut T {
        match self.by_spelling.entry(path.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                self.size += size_of_entry::<T>() + path.len();
                if let Cow::Owned(bytes) = decoded(path) {
                    self.size += size_of_entry::<String>() + bytes.len() + path.len();
                    self.by_bytes
                        .entry(bytes)
                        .and_modify(|only| *only = None)
                        .or_insert_with(|| Some(path.to_owned()));
                }
                let page = paths::without_ignored_parameters(path);
                if page != path {
                    self.size += size_of_entry::<String>() + page.len() + path.len();
                    let shortest = self.by_page.entry(decoded(&page).into_owned());
                    let shortest = shortest.or_insert_with(|| path.to_owned());
                    if path.len() < shortest.len() {
                        path.clone_into(shortest);
                    }
                }
                unknown.insert(value)
            }
        }
    }

    /// The value of exactly this spelling, to be changed.
    pub fn get_mut(&mut self, path: &str) -> Option<&mut T> {
        self.by_spelling.get_mut(path)
    }

    /// The path as stored and the value: of exactly this spelling, or else of the only path with the
    /// same decoded bytes.
    pub fn find(&self, path: &str) -> Result<(&str, &T), NoMatch> {
        if let Some(exact) = self.get(path) {
            return Ok(exact);
        }
        let bytes = decoded(path);
        let escaped = self.by_bytes.get(&*bytes);
        let unescaped = std::str::from_utf8(&bytes)
            .ok()
            .filter(|text| matches!(decoded(text), Cow::Borrowed(_)))
            .and_then(|text| self.get(text));
        match (escaped, unescaped) {
            (None, None) => Err(NoMatch::Missing),
            (None, Some(only)) => Ok(only),
            (Some(Some(only)), None) => self.get(only).ok_or(NoMatch::Missing),
            _ => Err(NoMatch::Ambiguous),
        }
    }

    /// The path as stored and the value: those that [`find`](Self::find) returns, or else of the path with
    /// the fewest ignored parameters ([`paths::without_ignored_parameters`]) that is of the same page.
    pub fn find_page(&self, path: &str) -> Result<(&str, &T), NoMatch> {
        let page = paths::without_ignored_parameters(path);
        let found = self.find(path);
        let found = found.or_else(|no_match| match no_match {
            NoMatch::Missing => self.find(&page),
            ambiguous => Err(ambiguous),
        });
        found.or_else(|no_match| {
            let stored = self.by_page.get(&*decoded(&page)).ok_or(no_match)?;
            self.get(stored).ok_or(no_match)
        })
    }

    /// An upper limit of the memory that paths and values take, in bytes. It leaves out what the values
    /// have on the heap.
    pub fn size(&self) -> usize {
        self.size
    }

    fn get(&self, path: &str) -> Option<(&str, &T)> {
        let (path, value) = self.by_spelling.get_key_value(path)?;
        Some((path, value))
    }

    /// All paths as stored and their values, in no order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &T)> {
        let entries = self.by_spelling.iter();
        entries.map(|(path, value)| (path.as_str(), value))
    }
}

impl<T> IntoIterator for PathMap<T> {
    type Item = (String, T);
    type IntoIter = hash_map::IntoIter<String, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.by_spelling.into_iter()
    }
}

impl<T> Default for PathMap<T> {
    fn default() -> Self {
        PathMap {
            by_spelling: HashMap::new(),
            by_bytes: HashMap::new(),
            by_page: HashMap::new(),
            size: 0,
        }
    }
}

/// Of several values for one spelling, the first is kept.
impl<T> FromIterator<(String, T)> for PathMap<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(values: I) -> Self {
        let mut map = PathMap::default();
        for (path, value) in values {
            map.or_insert(&path, value);
        }
        map
    }
}

/// The bytes that a path stands for; borrowed if it has no escapes.
fn decoded(path: &str) -> Cow<'_, [u8]> {
    percent_decode_str(path).into()
}
