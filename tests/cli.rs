//! The program as its users meet it: commands, exit codes, the service on its spool, and workers that are killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod cli {
    mod asked;
    mod buckets;
    mod configuration;
    mod convert;
    mod dead;
    mod fair;
    mod health;
    mod loss;
    mod postgres;
    mod quarantine;
    mod reload;
    mod serve;
    mod tenant;
    mod world;
}
