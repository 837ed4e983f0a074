//! One tenant sends CPU bombs that differ in one byte; others send photos steadily. With probation, and without.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::sleep;

use super::client::{Client, Wish};
use super::field::Field;
use super::figures::{Figures, percentile, seconds};
use super::ledger::Ledger;
use super::options::Options;
use super::uploads::{BOMB, PHOTO, digest, fixture, variant};

/// Honest tenants.
const TENANTS: usize = 20;
/// Between two photos of all of them.
const PACE: Duration = Duration::from_millis(250);
/// How long the bombs' arrival counts: until their tenant is on probation.
const BURST: Duration = Duration::from_secs(15);
/// After so long it is not over any more.
const PATIENCE: Duration = Duration::from_secs(1200);
/// Small grants: minutes, not an hour.
const LIMITS: &str = "[limits]\ncpu_base = \"100ms\"\ncpu_per_megapixel = \"20ms\"";

/// Runs it; how many promises are broken.
pub async fn run(options: &Options) -> usize {
    let count = options.get("count", 500);
    let mut broken = 0;
    for probation in ["on", "off"] {
        broken += one(probation, count).await;
    }
    broken
}

async fn one(probation: &str, count: usize) -> usize {
    let tables = format!("{LIMITS}\n[fairness]\nprobation = \"{probation}\"");
    let field = Field::new(&format!("variants-{probation}"), None, "", &tables);
    let bomb = fixture(BOMB);
    let mut bombs = Vec::new();
    let mut wishes = Vec::new();
    for number in 0..count {
        let bytes = variant(&bomb, number);
        let key = format!("bomb-{number}.tiff");
        field.upload(&key, &bytes);
        bombs.push(digest(&bytes));
        wishes.push(Wish::new(format!("bomb-{number}"), "bomber", &key));
    }
    let workers = [field.serve().await, field.serve().await];
    let client = Client::collecting(&field.clients()).await;
    let since = client.publish(&wishes).await[0];
    let sent = photos(&field, &client, count).await;
    client.answers.reach(count + sent.len(), Duration::from_secs(60)).await;
    let last = |name: &str| {
        let answers = client.answers.so_far();
        let of = answers.iter().filter(|(job, _)| job.starts_with(name));
        of.map(|(_, answer)| answer.first).max().unwrap_or_default()
    };
    let took = last("bomb").saturating_sub(since);
    for worker in workers {
        worker.stop().await;
    }

    let ledger = Ledger::open(&field.path("state/ledger.sqlite")).await;
    let answers = client.answers.so_far().clone();
    let title = format!("variants: {count} bombs that differ in one byte, probation {probation}, two workers");
    let mut figures = Figures::of(&title);
    let convicted = ledger.convicted().await;
    let guilty = bombs.iter().filter(|digest| convicted.contains(*digest)).count();
    figures.exactly("bombs convicted", guilty, count);
    figures.exactly("others convicted", convicted.len() - guilty, 0);
    let cpu = Duration::from_millis(ledger.cpu_ms("bomber").await as u64);
    figures.show("CPU time given to bombs", seconds(cpu));
    figures.show("until the last bomb was answered", seconds(took));
    let share = cpu.as_secs_f64() / took.as_secs_f64() / 2.0;
    figures.show("share of both processors meanwhile", format!("{:.0} %", share * 100.0));
    let wait = |(job, sent): (&String, &Duration)| Some((*sent - since, answers.get(job)?.first.saturating_sub(*sent)));
    let all: Vec<(Duration, Duration)> = sent.iter().filter_map(wait).collect();
    let mut waits: Vec<Duration> = all.iter().map(|(_, wait)| *wait).collect();
    let later = all.iter().filter(|(sent, _)| *sent > BURST);
    let mut later: Vec<Duration> = later.map(|(_, wait)| *wait).collect();
    figures.exactly("photos answered", waits.len(), sent.len());
    figures.show("photos: wait p50", seconds(percentile(&mut waits, 50)));
    figures.show("photos: wait p99", seconds(percentile(&mut waits, 99)));
    figures.show(
        "photos sent after the burst: wait p99",
        seconds(percentile(&mut later, 99)),
    );
    figures.show("longest", seconds(percentile(&mut later, 100)));
    figures.broken()
}

/// Sends photos for as long as bombs are unanswered: when each was sent.
async fn photos(field: &Field, client: &Client, bombs: usize) -> HashMap<String, Duration> {
    let photo = fixture(PHOTO);
    let mut sent = HashMap::new();
    loop {
        let answered = client
            .answers
            .so_far()
            .keys()
            .filter(|job| job.starts_with("bomb"))
            .count();
        if answered == bombs || client.clock.elapsed() > PATIENCE {
            return sent;
        }
        let number = sent.len();
        let key = format!("photo-{number}.jpg");
        field.upload(&key, &variant(&photo, number));
        let wish = Wish::new(format!("photo-{number}"), &format!("quiet-{}", number % TENANTS), &key);
        let times = client.publish(std::slice::from_ref(&wish)).await;
        sent.insert(wish.job, times[0]);
        sleep(PACE).await;
    }
}
