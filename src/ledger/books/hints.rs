//! Digests that were found listed of late: whoever claims one is answered by the write that refuses it, without a look before it.
//!
//! A hint decides nothing. One that is wrong costs a write lock that was taken in vain, and is forgotten.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::digest::Digest;

/// Most digests that are remembered; then it begins anew.
const MOST: usize = 4096;

/// Shared by all callers of one file.
#[derive(Clone, Default)]
pub(super) struct Hints(Arc<Mutex<HashSet<Digest>>>);

impl Hints {
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.lock().contains(digest)
    }

    pub(super) fn listed(&self, digest: Digest) {
        let mut digests = self.lock();
        if digests.len() >= MOST {
            digests.clear();
        }
        digests.insert(digest);
    }

    pub(super) fn not_listed(&self, digest: &Digest) {
        self.lock().remove(digest);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Digest>> {
        // Any set of digests is a good one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_and_can_be_forgotten() {
        let hints = Hints::default();
        for number in 0..=MOST {
            hints.listed(Digest::of(&number.to_le_bytes()));
        }
        assert_eq!(hints.lock().len(), 1);
        let last = Digest::of(&MOST.to_le_bytes());
        assert!(hints.has(&last));
        hints.not_listed(&last);
        assert!(!hints.has(&last));
    }
}
