//! The ledger's protocol, simulated: every order of steps of a small fleet, with a crash possible between any two of them, and long
//! random runs beside the real ledgers.
//!
//! The usual run looks at the states nearest to the beginning of each world; `LAZARET_SIMULATION=long` explores all of them, and larger
//! worlds and more seeds. `LAZARET_SEED=n` repeats one random run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

#[path = "servers/postgres.rs"]
#[allow(dead_code, reason = "the server serves several suites")]
mod postgres;

mod simulation {
    mod fleet;
    mod law;
    mod ledger;
    mod mutation;
    mod search;
    mod step;
    mod twin;
    mod walk;
    mod world;
    mod worlds;

    /// Whether the long run was asked for.
    fn is_long() -> bool {
        std::env::var("LAZARET_SIMULATION").is_ok_and(|word| word == "long")
    }
}
