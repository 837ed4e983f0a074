//! How buckets are spoken to.

use std::time::Duration;

/// Times and rates; from `[buckets]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Longest wait for a connection.
    pub connect: Duration,
    /// Longest wait for an answer, tries that failed included.
    pub patience: Duration,
    /// Longest time for one object to be read or written.
    pub deadline: Duration,
    /// Fewest bytes per second that a bucket may send; 0: any.
    pub slowest: u64,
    /// How long an address is good under which anybody may read a rendition; none: no such addresses.
    pub presign: Option<Duration>,
}
