//! RabbitMQ: a real node of the tests' own, and networks that fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on fails"
)]
#![allow(clippy::duplicate_mod, reason = "private servers have the same things in common")]

#[allow(dead_code, reason = "the node and the world serve several suites")]
mod rabbit {
    #[path = "../cli/asked.rs"]
    mod asked;
    mod bad_days;
    mod check;
    mod client;
    mod compose;
    mod dead;
    mod examples;
    mod health;
    mod node;
    mod orders;
    mod permissions;
    #[path = "../servers/relay.rs"]
    mod relay;
    mod stage;
    mod submit;
    mod tenants;
    mod tls;
    mod topology;
    #[cfg(feature = "otel")]
    mod traces;
    mod worker;
    #[path = "../cli/world.rs"]
    mod world;
}
