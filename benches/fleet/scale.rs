//! The same photos with more and more slots: jobs per second, and what a job costs.

use std::time::Duration;

use super::client::{Client, Wish};
use super::field::Field;
use super::figures::{Figures, seconds};
use super::ledger::Ledger;
use super::options::Options;
use super::uploads::{SLOW_PHOTO, fixture, variant};

/// Runs it; how many promises are broken.
pub async fn run(options: &Options) -> usize {
    let (jobs, slots) = (options.get("jobs", 200), options.get("slots", "1,2,4,8".to_owned()));
    let mut broken = 0;
    for slots in slots.split(',') {
        broken += one(slots, jobs).await;
    }
    broken
}

async fn one(slots: &str, jobs: usize) -> usize {
    let field = Field::new(
        &format!("scale-{slots}"),
        None,
        "",
        &format!("[worker]\nslots = {slots}"),
    );
    let photo = fixture(SLOW_PHOTO);
    let mut wishes = Vec::with_capacity(jobs);
    for number in 0..jobs {
        let key = format!("photo-{number}.jpg");
        field.upload(&key, &variant(&photo, number));
        wishes.push(Wish::new(format!("photo-{number}"), &format!("t{}", number % 20), &key));
    }
    let worker = field.serve().await;
    let client = Client::collecting(&field.clients()).await;
    let since = client.publish(&wishes).await[0];
    client.answered(jobs, Duration::from_secs(600)).await;
    let resident = worker.resident();
    worker.stop().await;
    let answers = client.answers().clone();
    let took = answers.values().map(|answer| answer.first).max().unwrap_or_default() - since;
    let ledger = Ledger::open(&field.path("state/ledger.sqlite")).await;
    let cpu = ledger.cpu_ms_of_all("t").await as f64 / jobs as f64;
    let mut figures = Figures::of(&format!("scale: {jobs} photos, {slots} slots"));
    figures.exactly("jobs answered", answers.len(), jobs);
    figures.show("until the last answer", seconds(took));
    figures.show("jobs per second", format!("{:.1}", jobs as f64 / took.as_secs_f64()));
    figures.show("CPU time of a child", format!("{cpu:.1} ms"));
    figures.show("resident memory of the worker", format!("{} MiB", resident >> 10));
    figures.broken()
}
