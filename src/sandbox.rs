//! The sandbox: one child per attempt, behind layers, under limits, watched; and what came of it.
//!
//! In: the bytes of an upload, as an unlinked file, and a recipe. Out: an [`Attempted`]: the outcome, the evidence, and the output
//! file. The supervising side ([`supervise`]) parses nothing of an upload; the child ([`child`]) is trusted until it has read the
//! first byte, and never after.

pub mod child;
pub mod control;
pub mod doctor;
pub mod drill;
pub mod host;
pub mod layers;
pub mod limits;
pub mod outcome;
pub mod protocol;
mod seccomp;
pub mod supervise;
pub mod sys;

pub use supervise::{Attempted, Sandbox, Watch};
