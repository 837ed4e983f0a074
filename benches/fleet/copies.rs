//! Copies of one CPU bomb, enqueued at once: one attempt in the fleet, a result each.

use std::time::Duration;

use super::client::{Client, Wish};
use super::field::Field;
use super::figures::{Figures, seconds};
use super::ledger::Ledger;
use super::options::Options;
use super::uploads::{BOMB, digest, fixture};

/// Runs it; how many promises are broken.
pub async fn run(options: &Options) -> usize {
    let jobs = options.get("jobs", 1000);
    let field = Field::new("copies", None, "", "");
    let bomb = fixture(BOMB);
    field.upload("bomb.jpg", &bomb);
    let workers = [field.serve().await, field.serve().await];
    let client = Client::collecting(&field.clients()).await;
    let wishes: Vec<Wish> = (0..jobs)
        .map(|number| Wish::new(format!("copy-{number}"), &format!("t{}", number % 7), "bomb.jpg"))
        .collect();
    let since = client.publish(&wishes).await[0];
    client.answers.reach(jobs, Duration::from_secs(300)).await;
    let took = client.clock.elapsed() - since;
    for worker in workers {
        worker.stop().await;
    }
    let ledger = Ledger::open(&field.path("state/ledger.sqlite")).await;
    let mut figures = Figures::of(&format!("copies: {jobs} copies of one CPU bomb, two workers"));
    let answers = client.answers.so_far().clone();
    let guilty = answers
        .values()
        .filter(|answer| answer.verdicts.iter().eq(["quarantined cpu"]));
    figures.exactly("jobs answered", answers.len(), jobs);
    figures.exactly("of them quarantined: cpu", guilty.count(), jobs);
    figures.exactly("attempts", ledger.attempts(&digest(&bomb)).await, 1);
    figures.show("until the last result", seconds(took));
    figures.broken()
}
