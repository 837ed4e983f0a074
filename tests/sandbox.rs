//! The sandbox, tried from inside: each misbehaviour behind its guard, and once without it, to prove that the test can fail.
//!
//! What needs root, or what a host forbids to set up, is left out there, and says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod sandbox {
    #[cfg(feature = "avif-out")]
    mod avif;
    mod bench;
    mod calls;
    mod corpus;
    mod crowd;
    mod disk;
    mod escapes;
    mod estimate;
    mod inherited;
    mod limits;
    mod lockdown;
    mod orphans;
    mod privileges;
    mod reports;
}
