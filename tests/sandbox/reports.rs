//! What a child says, and what is believed of it.

use lazaret::sandbox::drill::Drill;
use lazaret::sandbox::outcome::{End, KilledFor, Outcome, Said};
use lazaret::verdict::Reason;

use super::bench::{Bench, converted, killed_for, story, tripped};

/// The drill's words count as a crash that says `why`.
async fn crashes(drill: Drill, why: &str) {
    let attempted = Bench::new().drill(drill).await;
    match &attempted.outcome {
        Outcome::Crashed(told) => assert!(told.contains(why), "{told}"),
        _ => panic!("{}", story(&attempted)),
    }
}

#[tokio::test]
async fn an_honest_report_is_believed() {
    let attempted = Bench::new().convert_control().await;
    assert!(converted(&attempted), "{}", story(&attempted));
    assert_eq!(attempted.facts.end, End::Exited(0));
}

#[tokio::test]
async fn a_forged_report_does_not_check() {
    crashes(Drill::ForgeReport, "output does not check").await;
}

#[tokio::test]
async fn a_word_that_is_not_of_the_vocabulary_is_a_crash() {
    crashes(Drill::Babble, "malformed report").await;
}

#[tokio::test]
async fn a_packet_that_is_too_long_is_a_crash() {
    crashes(Drill::Shout, "packet of more than").await;
}

#[tokio::test]
async fn an_end_without_a_word_is_a_crash() {
    crashes(Drill::Vanish, "ended without a report").await;
}

#[tokio::test]
async fn a_panic_is_a_crash_with_its_message() {
    crashes(Drill::Panic, "a drill").await;
}

#[tokio::test]
async fn talk_without_end_is_a_crash() {
    let attempted = Bench::new().drill(Drill::Chatter).await;
    assert!(killed_for(&attempted, KilledFor::Settled), "{}", story(&attempted));
    match &attempted.outcome {
        Outcome::Crashed(told) => assert!(told.contains("messages"), "{told}"),
        _ => panic!("{}", story(&attempted)),
    }
}

#[tokio::test]
async fn a_claim_of_success_does_not_outlive_the_limits() {
    let bench = Bench::new().limited(|limits| limits.cpu = std::time::Duration::from_millis(300));
    let attempted = bench.drill(Drill::Linger).await;
    assert!(matches!(attempted.facts.said, Said::Done(_)), "{}", story(&attempted));
    tripped(&attempted, Reason::Cpu);
    assert!(killed_for(&attempted, KilledFor::Cpu), "{}", story(&attempted));
}
