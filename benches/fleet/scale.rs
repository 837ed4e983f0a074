//! The same photos with more and more slots, then larger and larger photos: jobs per second, and what a job costs.

use std::time::Duration;

use super::client::{Client, Wish};
use super::field::Field;
use super::figures::{Figures, seconds};
use super::ledger::Ledger;
use super::options::Options;
use super::uploads::{SLOW_PHOTO, fixture, photo_of, variant};

/// Slots where photos grow: as many as processors that the other figures are of.
const SLOTS: usize = 2;

/// Runs it; how many promises are broken.
pub async fn run(options: &Options) -> usize {
    let (jobs, slots) = (options.get("jobs", 200), options.get("slots", "1,2,4,8".to_owned()));
    let (large, megapixels) = (
        options.get("large", 10),
        options.get("megapixels", "1,4,12,24,48,99".to_owned()),
    );
    let mut broken = 0;
    let photo = fixture(SLOW_PHOTO);
    for slots in slots.split(',') {
        let slots = slots.parse().unwrap_or_else(|_| panic!("--slots: {slots:?}"));
        let title = format!("scale: {jobs} photos, {slots} slots");
        broken += one(&title, slots, jobs, &photo).await;
    }
    for megapixels in megapixels.split(',') {
        let size = megapixels
            .parse()
            .unwrap_or_else(|_| panic!("--megapixels: {megapixels:?}"));
        let photo = photo_of(size);
        let title = format!(
            "scale: {large} photos of {size} MP, {:.1} MB each, {SLOTS} slots",
            photo.len() as f64 / 1e6
        );
        broken += one(&title, SLOTS, large, &photo).await;
    }
    broken
}

/// So many of a photo at once, with so many slots.
async fn one(title: &str, slots: usize, jobs: usize, photo: &[u8]) -> usize {
    let name = format!("scale-{slots}-{}", photo.len());
    let field = Field::new(&name, None, "", &format!("[worker]\nslots = {slots}"));
    let mut wishes = Vec::with_capacity(jobs);
    for number in 0..jobs {
        let key = format!("photo-{number}.jpg");
        field.upload(&key, &variant(photo, number));
        wishes.push(Wish::new(format!("photo-{number}"), &format!("t{}", number % 20), &key));
    }
    let worker = field.serve().await;
    let client = Client::collecting(&field.clients()).await;
    let since = client.publish(&wishes).await[0];
    client.answers.reach(jobs, Duration::from_secs(600)).await;
    let resident = worker.resident();
    worker.stop().await;
    let answers = client.answers.so_far().clone();
    let converted = answers
        .values()
        .filter(|answer| answer.verdicts.iter().eq(["converted"]));
    let converted = converted.count();
    let took = answers.values().map(|answer| answer.first).max().unwrap_or_default() - since;
    let ledger = Ledger::open(&field.path("state/ledger.sqlite")).await;
    let cpu = ledger.cpu_ms_of_all("t").await as f64 / jobs as f64;
    let mut figures = Figures::of(title);
    figures.exactly("jobs converted", converted, jobs);
    figures.show("until the last answer", seconds(took));
    figures.show("jobs per second", format!("{:.1}", jobs as f64 / took.as_secs_f64()));
    figures.show("CPU time of a child", format!("{cpu:.1} ms"));
    figures.show(
        "peak memory of a child",
        format!("{} MiB", ledger.peak_of_all("t").await >> 20),
    );
    figures.show("resident memory of the worker", format!("{} MiB", resident >> 10));
    figures.broken()
}
