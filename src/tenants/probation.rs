//! Probation: what is left to a tenant whose uploads were convicted one after another. `[pure]`
//!
//! At most one of its attempts runs at a time in the whole fleet, and only one whose declared need is small; what declares more is
//! refused. Grants are reckoned as always: under a smaller one, an honest photo would trip and be convicted.
//! So its damage is at most one small grant after another.

use bytesize::ByteSize;

use super::{Limits, Standing};
use crate::sandbox::limits::Ceiling;

/// Attempts of a tenant on probation at once, in the whole fleet.
pub const AT_ONCE: u32 = 1;
/// Most that an attempt of a tenant on probation may declare: 25 megapixels of work are 2.5 s of CPU time by default.
pub const CEILING: Ceiling = Ceiling {
    work: 25_000_000,
    memory: ByteSize::mib(256),
};

/// A tenant's probation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probation {
    /// When it ends; milliseconds since 1970.
    pub until_ms: u64,
    /// What an attempt may declare meanwhile.
    pub ceiling: Ceiling,
}

/// Whether a tenant is on probation now.
#[must_use]
pub fn probation(standing: &Standing, now_ms: u64) -> Option<Probation> {
    let until_ms = standing.probation_until_ms.filter(|until| *until > now_ms)?;
    Some(Probation {
        until_ms,
        ceiling: CEILING,
    })
}

impl Limits {
    /// These limits under a standing: an operator's over them, and on probation one attempt at a time.
    #[must_use]
    pub fn under(self, standing: &Standing, now_ms: u64) -> Self {
        let limits = self.with(&standing.limits);
        match probation(standing, now_ms) {
            Some(_) => Self {
                in_flight: AT_ONCE,
                ..limits
            },
            None => limits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::SomeLimits;

    fn until(probation_until_ms: Option<u64>) -> Standing {
        Standing {
            probation_until_ms,
            limits: SomeLimits {
                in_flight: Some(8),
                ..SomeLimits::default()
            },
            ..Standing::default()
        }
    }

    #[test]
    fn it_ends_at_its_time() {
        assert_eq!(probation(&until(None), 0), None);
        assert_eq!(
            probation(&until(Some(1000)), 999).map(|probation| probation.until_ms),
            Some(1000)
        );
        assert_eq!(probation(&until(Some(1000)), 1000), None);
    }

    #[test]
    fn one_at_a_time_whatever_an_operator_allowed() {
        let in_flight = |now_ms| Limits::default().under(&until(Some(1000)), now_ms).in_flight;
        assert_eq!((in_flight(999), in_flight(1000)), (1, 8));
    }
}
