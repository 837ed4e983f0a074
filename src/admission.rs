//! Who may use how much memory at once: many small uploads side by side, a large one with a large share, the reserve always free.
//!
//! The budget is what is available at start less a reserve. Shares are handed out in the order they were asked for, so that a large
//! upload is not overtaken for ever by small ones.

use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::sandbox::host;

/// Shares are counted in these.
const UNIT: u64 = 1 << 20;
/// Smallest reserve.
pub const LEAST_RESERVE: ByteSize = ByteSize::mib(512);
/// How often the host is asked again whether it has room.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Memory of this host that children may use. Clones share one budget.
#[derive(Debug, Clone)]
pub struct Budget {
    shares: Arc<Semaphore>,
    total: u64,
    reserve: u64,
}

/// A share of the budget; given back when dropped.
#[derive(Debug)]
pub struct Share {
    _permit: OwnedSemaphorePermit,
}

/// The budget does not have the share, now or ever.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// More than the whole budget.
    #[error("{} needed, the memory budget of this host is {}", ByteSize(*asked), ByteSize(*total))]
    Never {
        /// Bytes asked for.
        asked: u64,
        /// The whole budget, in bytes.
        total: u64,
    },
    /// Not within the time.
    #[error("{} did not become free within {} s", ByteSize(*asked), waited.as_secs())]
    NotNow {
        /// Bytes asked for.
        asked: u64,
        /// How long it waited.
        waited: Duration,
    },
}

/// The reserve that stays free for the admin and the worker itself: 20 % of what is available, at least 512 MiB.
pub fn reserve(available: u64) -> u64 {
    (available / 5).max(LEAST_RESERVE.as_u64())
}

impl Budget {
    /// The budget of this host: what is available now, less the reserve.
    pub fn of_this_host() -> Self {
        let available = host::available_memory();
        let reserve = reserve(available);
        Self::new(available.saturating_sub(reserve), reserve)
    }

    /// A budget of `total` bytes that leaves `reserve` bytes of the host free.
    pub fn new(total: u64, reserve: u64) -> Self {
        let units = (total / UNIT).min(Semaphore::MAX_PERMITS as u64);
        Self {
            shares: Arc::new(Semaphore::new(units as usize)),
            total: units * UNIT,
            reserve,
        }
    }

    /// The whole budget, in bytes.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// What of it is free now, in bytes.
    pub fn free(&self) -> u64 {
        self.shares.available_permits() as u64 * UNIT
    }

    /// Waits for a share, and until the host really has that much beside its reserve.
    pub async fn take(&self, bytes: u64, longest: Duration) -> Result<Share, NoRoom> {
        if bytes > self.total {
            return Err(NoRoom::Never {
                asked: bytes,
                total: self.total,
            });
        }
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let wait = async {
            let permit = Arc::clone(&self.shares).acquire_many_owned(units).await;
            while host::available_memory() < bytes.saturating_add(self.reserve) {
                sleep(ASK_AGAIN).await;
            }
            permit
        };
        match timeout(longest, wait).await {
            Ok(Ok(permit)) => Ok(Share { _permit: permit }),
            Ok(Err(_)) | Err(_) => Err(NoRoom::NotNow {
                asked: bytes,
                waited: longest,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const SOON: Duration = Duration::from_millis(30);

    #[test]
    fn the_reserve_is_a_fifth_and_at_least_half_a_gibibyte() {
        assert_eq!(reserve(10 << 30), 2 << 30);
        assert_eq!(reserve(1 << 30), 512 * MIB);
    }

    #[tokio::test]
    async fn small_shares_run_side_by_side_and_a_large_one_waits() {
        let budget = Budget::new(100 * MIB, 0);
        let small: Vec<_> = [budget.take(30 * MIB, SOON).await, budget.take(30 * MIB, SOON).await].into();
        assert!(small.iter().all(Result::is_ok));
        assert!(matches!(budget.take(80 * MIB, SOON).await, Err(NoRoom::NotNow { .. })));
        drop(small);
        assert!(budget.take(80 * MIB, SOON).await.is_ok());
    }

    #[tokio::test]
    async fn more_than_the_whole_budget_is_never_there() {
        let refused = Budget::new(100 * MIB, 0).take(101 * MIB, SOON).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "101.0 MiB needed, the memory budget of this host is 100.0 MiB"
        );
    }

    #[tokio::test]
    async fn the_whole_reserve_stays_free() {
        let (gib, available) = (1 << 30, host::available_memory());
        // There is a gibibyte, but not beside a reserve of all that is available.
        assert!(Budget::new(2 * gib, 0).take(gib, SOON).await.is_ok());
        let refused = Budget::new(2 * gib, available).take(gib, SOON).await;
        assert!(matches!(refused, Err(NoRoom::NotNow { .. })), "{refused:?}");
    }

    #[tokio::test]
    async fn a_large_share_is_not_overtaken() {
        let budget = Budget::new(100 * MIB, 0);
        let held = budget.take(60 * MIB, SOON).await.unwrap();
        let large = tokio::spawn({
            let budget = budget.clone();
            async move { budget.take(90 * MIB, Duration::from_secs(5)).await }
        });
        sleep(SOON).await;
        // 40 MiB are free, but the large share asked first.
        assert!(budget.take(10 * MIB, SOON).await.is_err());
        drop(held);
        assert!(large.await.unwrap().is_ok());
    }
}
