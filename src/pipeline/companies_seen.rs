//! The companies that an index walk has listed, by their paths.

use std::collections::HashMap;
use std::sync::Arc;

use crate::pipeline::series::Paths;
use crate::site::paths;

/// Paths of companies, each in the spelling seen first. An index may link `ü` here and `%C3%BC` there.
#[derive(Debug, Default)]
pub struct CompaniesSeen {
    paths: Paths,
    /// Paths that are not in canonical spelling, by their canonical one. Empty on the real site.
    respelled: HashMap<Box<str>, Arc<str>>,
}

impl CompaniesSeen {
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// The path of the same company, if it is listed.
    pub fn get(&self, path: &str) -> Option<&Arc<str>> {
        self.paths.get(path).or_else(|| {
            let path = &*paths::canonical(path);
            self.paths.get(path).or_else(|| self.respelled.get(path))
        })
    }

    /// Returns false if the company is listed already.
    pub fn insert(&mut self, path: Arc<str>) -> bool {
        if self.get(&path).is_some() {
            return false;
        }
        let canonical = paths::canonical(&path);
        if *canonical != *path {
            self.respelled.insert(canonical.into(), path.clone());
        }
        self.paths.insert(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_spellings_of_one_path_for_one_company() {
        let spellings = [
            "/ü|-a",
            "/%C3%BC%7C-a",
            "/%c3%bc%7c-a",
            "/%C3%BC|-a",
            "/ü|%2da",
        ];
        for first in spellings {
            let mut seen = CompaniesSeen::default();
            assert!(seen.insert(first.into()));
            for other in spellings {
                assert!(!seen.insert(other.into()), "{first} {other}");
                assert_eq!(seen.get(other).map(|path| &**path), Some(first));
            }
            assert_eq!(seen.len(), 1);
        }
        let mut seen = CompaniesSeen::default();
        for other in [
            "/a%2fb", "/a%2Fb", "/a%26b", "/a&b", "/%e8", "/%e9", "/è", "/%25", "/%",
        ] {
            assert!(seen.insert(other.into()), "{other}");
        }
    }
}
