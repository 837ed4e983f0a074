//! The program as its users meet it: commands, exit codes, the service on its spool, and workers that are killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]
#![allow(
    clippy::duplicate_mod,
    reason = "certificates are made as those of a private server are"
)]

mod cli {
    mod asked;
    mod buckets;
    mod configuration;
    mod convert;
    mod dead;
    mod fair;
    mod health;
    #[allow(dead_code, reason = "the impostor serves several suites")]
    #[path = "../desk/impostor.rs"]
    mod impostor;
    mod loss;
    mod notices;
    mod postgres;
    #[allow(dead_code, reason = "what servers of tests have in common serves several suites")]
    #[path = "../servers/private.rs"]
    mod private;
    mod quarantine;
    mod reload;
    mod renewals;
    mod serve;
    mod tenant;
    #[cfg(feature = "otel")]
    mod traces;
    mod world;
}
