//! Drills at the kernel's other doors, and with memory that holds code.

use std::io;

use super::told;
use crate::sandbox::protocol::FromChild;
use crate::sandbox::sys;

pub(super) fn call_32() -> FromChild {
    let me = i64::from(std::process::id());
    told(
        sys::attack::call_32().and_then(|id| must_be(me, id)),
        "called by the 32-bit entry",
    )
}

pub(super) fn make_executable() -> FromChild {
    let said = sys::attack::run_what_was_written();
    told(said.and_then(|said| must_be(42, said)), "ran code of its own")
}

fn must_be<T: PartialEq + std::fmt::Display>(wanted: T, said: T) -> io::Result<()> {
    if said == wanted {
        Ok(())
    } else {
        Err(io::Error::other(format!("{said} instead of {wanted}")))
    }
}
