//! A global allocator that counts, and refuses what is over a grant: the exact half of the memory limit.
//!
//! It costs the supervisor one relaxed load per call, because it counts only once it is armed, which only a child does.
//! A refusal writes one [`MemoryRecord`] with a raw `write`, since nothing can be allocated at that moment, and returns null:
//! Rust then aborts, or a codec that asks politely reports an error. Either way the record is what counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

use crate::sandbox::protocol::MemoryRecord;

/// Where a record goes: the child's control socket.
const CONTROL: i32 = 2;

static ARMED: AtomicBool = AtomicBool::new(false);
static RECORDED: AtomicBool = AtomicBool::new(false);
static USED: AtomicIsize = AtomicIsize::new(0);
static ALLOWED: AtomicIsize = AtomicIsize::new(isize::MAX);

/// The allocator; `main.rs` makes it the global one.
pub struct CountingAllocator;

/// Starts to count, and allows this many bytes. Only in a process with one thread: counters are not read-modify-write.
pub fn arm(allowed: u64) {
    allow(allowed);
    ARMED.store(true, Relaxed);
}

/// Allows this many bytes from now on.
pub fn allow(allowed: u64) {
    ALLOWED.store(isize::try_from(allowed).unwrap_or(isize::MAX), Relaxed);
}

/// Records that memory was refused where this allocator was not asked: by a C library, or by the kernel.
pub fn record_refusal(requested: u64) {
    record(requested, u64::try_from(USED.load(Relaxed)).unwrap_or(0));
}

/// Counts `change` bytes more (or less); false where they are over the grant.
fn count(change: isize) -> bool {
    if !ARMED.load(Relaxed) {
        return true;
    }
    let used = USED.load(Relaxed) + change;
    if change > 0 && used > ALLOWED.load(Relaxed) {
        record(change.unsigned_abs() as u64, (used - change).max(0) as u64);
        return false;
    }
    USED.store(used, Relaxed);
    true
}

#[cold]
fn record(requested: u64, in_use: u64) {
    if !RECORDED.swap(true, Relaxed) {
        let allowed = ALLOWED.load(Relaxed).unsigned_abs() as u64;
        let bytes = MemoryRecord {
            requested,
            in_use,
            allowed,
        }
        .to_bytes();
        // Nothing can be done about an error here: the supervisor then sees an abort and its own memory readings.
        let _ = super::write_all(CONTROL, &bytes);
    }
}

// SAFETY: every call goes to the system allocator with the caller's own arguments, or returns null, which GlobalAlloc allows.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !count(layout.size() as isize) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on.
        refused_by_system(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !count(layout.size() as isize) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on.
        refused_by_system(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !count(size as isize - layout.size() as isize) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on.
        refused_by_system(unsafe { System.realloc(pointer, layout, size) }, size)
    }
}

/// A null from the system is a DATA or AS limit at work: the same verdict, so the same record.
fn refused_by_system(pointer: *mut u8, size: usize) -> *mut u8 {
    if pointer.is_null() && ARMED.load(Relaxed) {
        record_refusal(size as u64);
    }
    pointer
}
