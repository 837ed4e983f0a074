//! The fleet's promises as figures: a private RabbitMQ, real workers, jobs published and every result collected.
//!
//! `cargo bench --bench fleet -- NAME [--option value]…`; without a name, the list. Exits 1 where a promise is broken. Figures of one run
//! are to be compared with each other, not with another machine's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot go on stops"
)]
#![allow(clippy::duplicate_mod, reason = "two private servers are kept the same way")]

mod fleet {
    #[allow(dead_code, reason = "made for the tests")]
    #[path = "../../tests/cli/asked.rs"]
    mod asked;
    pub mod bare;
    pub mod chaos;
    pub mod claims;
    mod client;
    pub mod copies;
    pub mod cost;
    mod field;
    mod figures;
    pub mod flood;
    pub mod goodput;
    pub mod hosts;
    mod ledger;
    #[allow(dead_code, reason = "made for the tests")]
    #[path = "../../tests/rabbit/node.rs"]
    mod node;
    pub mod options;
    pub mod poison;
    #[allow(dead_code, reason = "made for the tests")]
    #[path = "../../tests/servers/postgres.rs"]
    mod postgres;
    #[allow(dead_code, reason = "made for the tests")]
    #[path = "../../tests/servers/relay.rs"]
    mod relay;
    pub mod release;
    pub mod repeats;
    #[allow(dead_code, reason = "made for the tests")]
    #[path = "../../tests/servers/s3.rs"]
    mod s3;
    pub mod scale;
    pub mod spread;
    mod uploads;
    pub mod variants;
}

use fleet::options::Options;

const SCENARIOS: &str = "\
chaos    [--jobs 5000] [--kills 10] [--seed 1]     a network that cuts and freezes, workers killed: nothing lost, nobody blamed
hosts    [--jobs 20000] [--minutes 15] [--hosts 4] [--tenants 50] [--seed 1] [--stores both|buckets|folders]
                                                   hosts cut off, switched off and upgraded, PostgreSQL, RabbitMQ, buckets and disks in
                                                   trouble; as root
copies   [--jobs 1000]                             copies of one CPU bomb at once: one attempt, a result each
variants [--count 500]                             CPU bombs that differ in one byte, with probation and without, beside photos
flood    [--jobs 140000] [--seconds 120] [--order fair,arrival]
                                                   one tenant's flood beside 20 quiet tenants
repeats  [--seconds 10] [--rounds 2] [--prefetch 64]
                                                   repeats of a quarantined upload per second, beside a bare loop
release  [--rounds 30]                             pressed at one worker's desk: how soon it holds on another
spread   [--rounds 30]                             convicted on one worker: how soon it is refused on another
poison   [--innocents 20] [--runs 1]               an upload whose worker is killed each time, among innocents
goodput  [--good 120] [--hostile 10,50,90] [--seconds 20]
                                                   good jobs alone, and among hostile ones: rate and waits
scale    [--jobs 200] [--slots 1,2,4,8] [--large 10] [--megapixels 1,4,12,24,48,99]
                                                   the same photos with more and more slots, then larger and larger ones
cost     [--jobs 400]                              of each job beside its conversion: CPU time, statements, bytes
claims   [--workers 1,4] [--seconds 5] [--digests 100000]
                                                   SQLite and PostgreSQL: claims per second, size of what is remembered";

#[tokio::main(flavor = "multi_thread")]
async fn main() -> std::process::ExitCode {
    let options = Options::of(std::env::args().skip(1));
    let broken = match options.name.as_str() {
        "chaos" => fleet::chaos::run(&options).await,
        "hosts" => fleet::hosts::run(&options).await,
        "copies" => fleet::copies::run(&options).await,
        "variants" => fleet::variants::run(&options).await,
        "flood" => fleet::flood::run(&options).await,
        "repeats" => fleet::repeats::run(&options).await,
        "release" => fleet::release::run(&options).await,
        "spread" => fleet::spread::run(&options).await,
        "poison" => fleet::poison::run(&options).await,
        "goodput" => fleet::goodput::run(&options).await,
        "scale" => fleet::scale::run(&options).await,
        "cost" => fleet::cost::run(&options).await,
        "claims" => fleet::claims::run(&options).await,
        // This program again, beside the broker: what `repeats` compares with.
        "bare" => fleet::bare::run(&options).await,
        _ => {
            println!("{SCENARIOS}");
            0
        }
    };
    u8::from(broken > 0).into()
}
