//! The operators' desk as browsers meet it, honest ones and others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

#[allow(dead_code, reason = "the world and the questions serve several suites")]
mod desk {
    mod api;
    #[path = "../cli/asked.rs"]
    mod asked;
    mod browser;
    mod chromium;
    mod course;
    mod entrance;
    mod hostile;
    mod impostor;
    mod intake;
    mod many;
    mod many_at_once;
    #[path = "../servers/private.rs"]
    mod private;
    mod program;
    mod quarantine;
    mod retest;
    #[path = "../servers/s3.rs"]
    mod s3;
    mod server;
    mod shell;
    mod stranger;
    mod tenants;
    #[path = "../cli/world.rs"]
    mod world;
}
