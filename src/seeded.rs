//! Random draws that depend on a key alone.

use std::hash::{DefaultHasher, Hash, Hasher};

use fastrand::Rng;

/// A share in `[0, 1)`: uniform over the keys, equal for equal keys.
///
/// A key starts with the seed, as in `(seed, path)` or `(seed, path, attempt)`. A share may change with
/// the Rust release, because `std` leaves the algorithm of [`DefaultHasher`] open.
pub fn share(key: impl Hash) -> f64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    Rng::with_seed(hasher.finish()).f64()
}
