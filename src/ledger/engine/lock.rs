//! Locks of writing transactions. `[pure]`
//!
//! A lock stands for a noun that a transaction decides about, whether the database has a row for it or not. Every transaction takes its locks in
//! the order of their declaration here, and those of one kind in the order of their numbers: so no two can wait for each other.
//! Where one writer holds the whole database, they are nothing.

use crate::digest::Digest;
use crate::ledger::WorkerId;

/// Digests and tenants share so many locks of each kind, so that a transaction about thousands of them does not need thousands.
const STRIPES: u32 = 1024;

/// What is locked until the transaction ends. The numbers are drawn from what they stand for; nouns that share one wait in vain, no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::ledger) enum Lock {
    /// A worker records an attempt, beside others of its own.
    Works(i32),
    /// A worker ends, in order or not: it records nothing meanwhile.
    Ends(i32),
    /// All that is known of a digest.
    Digest(i32),
    /// How many attempts a tenant has.
    Tenant(i32),
    /// Who runs alone.
    Solo,
    /// How many renewals there are.
    Renewals,
    /// Whose the sidelines are.
    Sidelines,
    /// What was decided about tenants: revisions come in the order of their commits.
    Standings,
    /// A job that is forgotten.
    Reopening,
}

impl Lock {
    pub(in crate::ledger) fn works(worker: &WorkerId) -> Self {
        Self::Works(number(&worker.0) as i32)
    }

    pub(in crate::ledger) fn ends(worker: &WorkerId) -> Self {
        Self::Ends(number(&worker.0) as i32)
    }

    pub(in crate::ledger) fn digest(digest: &Digest) -> Self {
        Self::Digest((digest.prefix() >> 22) as i32)
    }

    pub(in crate::ledger) fn tenant(tenant: &str) -> Self {
        Self::Tenant((number(tenant) % STRIPES) as i32)
    }

    /// Locks in the order in which they are to be taken, each once.
    pub(in crate::ledger) fn in_order(locks: &[Self]) -> Vec<Self> {
        let mut locks = locks.to_vec();
        locks.sort_unstable();
        locks.dedup();
        locks
    }
}

fn number(name: &str) -> u32 {
    Digest::of(name.as_bytes()).prefix()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_have_one_order() {
        let (cat, dog) = (Digest::of(b"cat"), Digest::of(b"dog"));
        let worker = WorkerId("w1".to_owned());
        let locks = |first: &Digest, second: &Digest| {
            Lock::in_order(&[
                Lock::Standings,
                Lock::digest(first),
                Lock::tenant("acme"),
                Lock::digest(second),
                Lock::works(&worker),
                Lock::digest(first),
            ])
        };
        assert_eq!(locks(&cat, &dog), locks(&dog, &cat));
        assert_eq!(locks(&cat, &dog).len(), 5);
        assert_eq!(locks(&cat, &dog)[0], Lock::works(&worker));
        assert_eq!(locks(&cat, &dog)[4], Lock::Standings);
    }

    #[test]
    fn stripes_are_as_many_as_said() {
        let numbers = (0..50_000_u32).map(|number| Lock::digest(&Digest::of(&number.to_le_bytes())));
        let used: std::collections::HashSet<Lock> = numbers.collect();
        assert_eq!(used.len(), STRIPES as usize);
    }
}
