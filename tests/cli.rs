//! The program as its users meet it: commands, exit codes, the service on its spool, and workers that are killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod cli {
    mod configuration;
    mod convert;
    mod loss;
    mod quarantine;
    mod serve;
    mod world;
}
