//! Drills that take memory. All are bounded: without a guard they must end too, and not hurt the host.

use std::hint::black_box;
use std::time::Duration;

use super::time::burn;
use crate::sandbox::protocol::FromChild;
use crate::sandbox::sys;

/// More than a drill's limits allow, beside all margins.
const MUCH: usize = 256 << 20;
/// Stack that a recursion takes: more than a child has.
const DEEP: usize = 32 << 20;

pub(super) fn allocate() -> FromChild {
    let mut blocks = Vec::new();
    for _ in 0..16 * 1024 {
        blocks.push(vec![1u8; 64 * 1024]);
    }
    FromChild::Escaped(format!("allocated {} MiB", blocks.len() / 16))
}

pub(super) fn allocate_small() -> FromChild {
    let blocks: Vec<Box<[u8; 128]>> = (0..1_000_000).map(|_| Box::new(black_box([1; 128]))).collect();
    FromChild::Escaped(format!("allocated {} blocks", blocks.len()))
}

/// Misbehaves between declaration and grant.
pub fn jump_the_gun() {
    sys::map_until_refused();
}

pub(super) fn map_shared() -> FromChild {
    if sys::attack::map_shared(MUCH).is_err() {
        // As a C library's caller would: what the kernel refused is a refusal of memory.
        sys::heap::record_refusal(MUCH as u64);
        std::process::abort();
    }
    // The supervisor looks every 10 ms.
    burn(Duration::from_secs(1));
    FromChild::Escaped(format!("shares {} MiB with nobody", MUCH >> 20))
}

pub(super) fn memfd() -> FromChild {
    super::told(sys::attack::fill_memfd(MUCH), "filled a file without a name")
}

pub(super) fn recurse() -> FromChild {
    let bottom = deeper(0, 0);
    FromChild::Escaped(format!("came back from {} MiB deep, with {bottom}", DEEP >> 20))
}

/// Each call takes a kilobyte of stack, which nobody may optimise away.
fn deeper(depth: usize, sum: u64) -> u64 {
    let frame = black_box([sum; 128]);
    if depth * size_of_val(&frame) >= DEEP {
        return sum;
    }
    let below = deeper(depth + 1, frame[depth % 128] + 1);
    below + black_box(frame)[0]
}
