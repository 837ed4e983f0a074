//! How large compressed metadata gets, found out without keeping it.

use flate2::{Decompress, FlushDecompress, Status};

use super::at_most;
use crate::sandbox::limits::Limits;
use crate::verdict::Refusal;

/// What a block counts for at least: starting an inflater costs, however little comes out of it.
const LEAST: u64 = 1024;

/// Counts inflated metadata of one file against `inflated_metadata`.
pub(super) struct Meter {
    total: u64,
    allowed: u64,
    inflater: Decompress,
    sink: Box<[u8]>,
}

impl Meter {
    pub(super) fn new(limits: &Limits) -> Self {
        let sink = vec![0; 16 * 1024].into_boxed_slice();
        Self {
            total: 0,
            allowed: limits.inflated_metadata.as_u64(),
            inflater: Decompress::new(true),
            sink,
        }
    }

    /// Bytes counted so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Counts metadata that is stored as it is.
    pub(super) fn stored(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.total = self.total.saturating_add(bytes);
        at_most("inflated_metadata", self.total, self.allowed)
    }

    /// Counts a zlib stream by what it inflates to. A broken one counts as far as it goes: decoders ignore it.
    pub(super) fn compressed(&mut self, mut stream: &[u8]) -> Result<(), Refusal> {
        self.stored(LEAST)?;
        self.inflater.reset(true);
        let mut spare = LEAST;
        loop {
            let (before_in, before_out) = (self.inflater.total_in(), self.inflater.total_out());
            let status = self.inflater.decompress(stream, &mut self.sink, FlushDecompress::None);
            let taken = (self.inflater.total_in() - before_in) as usize;
            let made = self.inflater.total_out() - before_out;
            stream = stream.get(taken..).unwrap_or_default();
            let free = made.min(spare);
            spare -= free;
            self.stored(made - free)?;
            let stuck = taken == 0 && made == 0;
            if stuck || !matches!(status, Ok(Status::Ok)) {
                return Ok(());
            }
        }
    }
}
