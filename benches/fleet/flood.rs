//! One tenant's flood beside quiet tenants that send a job a second each; then its purge.

use std::collections::HashMap;
use std::time::Duration;

use lazaret::broker::Lane;
use lazaret::broker::topology::{SIDELINES, lane_queue, side_queue};
use tokio::time::sleep;

use super::client::{Client, Wish};
use super::field::{Field, Worker};
use super::figures::{Figures, jain, percentile, seconds};
use super::options::Options;
use super::uploads::{TINY, fixture, variant};

/// Quiet tenants.
const TENANTS: usize = 20;
/// Files of the flood; each is asked for in many widths.
const FILES: usize = 1000;
/// A lane with fewer messages is short again.
const SHORT: u32 = 256;

/// What was seen while it lasted.
#[derive(Default)]
struct Seen {
    /// When each quiet job was sent.
    sent: HashMap<String, Duration>,
    /// When the lane was short again.
    aside: Option<Duration>,
    /// Most resident memory of a worker, in kibibytes.
    resident: u64,
}

/// Runs it; how many promises are broken.
pub async fn run(options: &Options) -> usize {
    let (jobs, lasts) = (options.get("jobs", 140_000), options.get("seconds", 120));
    let mut broken = 0;
    for order in options.get("order", "fair,arrival".to_owned()).split(',') {
        broken += one(order, jobs, Duration::from_secs(lasts)).await;
    }
    broken
}

async fn one(order: &str, jobs: usize, lasts: Duration) -> usize {
    let tables = format!("[fairness]\norder = \"{order}\"\n[tenants.default]\njobs_per_minute = 0");
    let field = Field::new(&format!("flood-{order}"), None, "", &tables);
    for number in 0..FILES {
        field.upload(&format!("flood-{number}.jpg"), &variant(&fixture(TINY), number));
    }
    let wish = |number: usize| Wish {
        width: 1 + number / FILES,
        ..Wish::new(
            format!("flood-{number}"),
            "flood",
            &format!("flood-{}.jpg", number % FILES),
        )
    };
    let wishes: Vec<Wish> = (0..jobs).map(wish).collect();
    let workers = [field.serve().await, field.serve().await];
    let client = Client::collecting(&field.clients()).await;
    let since = client.publish(&wishes).await[0];
    let published = client.clock.elapsed();
    let seen = watch(&field, &client, &workers, lasts).await;
    let until = client.clock.elapsed();

    let title = format!(
        "flood: {jobs} jobs of one tenant, then {TENANTS} quiet ones for {} s, order {order}",
        lasts.as_secs()
    );
    let mut figures = Figures::of(&title);
    let fair = order == "fair";
    figures.show("flood published in", seconds(published - since));
    let aside = seen
        .aside
        .map_or("never".to_owned(), |at| seconds(at.saturating_sub(published)));
    figures.show("and moved aside after", aside);
    let calm = seen.aside.unwrap_or(until);
    waits(&mut figures, &client, &seen, fair, [published, calm, until]);
    shares(&mut figures, &client, &seen, fair);
    let resident = seen.resident as f64 / 1024.0;
    figures.promise(
        "most memory of a worker",
        format!("{resident:.0} MiB"),
        "at most 80",
        resident <= 80.0,
    );
    if fair {
        purge(&mut figures, &field, &client).await;
    }
    figures.broken()
}

/// Sends the quiet tenants' jobs, and looks.
async fn watch(field: &Field, client: &Client, workers: &[Worker], lasts: Duration) -> Seen {
    let photo = fixture(TINY);
    let start = client.clock.elapsed();
    let pace = Duration::from_secs(1) / TENANTS as u32;
    let mut seen = Seen::default();
    let mut number = 0;
    loop {
        let now = client.clock.elapsed() - start;
        if now > lasts {
            return seen;
        }
        while pace * number < now {
            let key = format!("quiet-{number}.jpg");
            field.upload(&key, &variant(&photo, FILES + number as usize));
            let tenant = format!("quiet-{}", number as usize % TENANTS);
            let wish = Wish::new(format!("{tenant}:{number}"), &tenant, &key);
            let times = client.publish(std::slice::from_ref(&wish)).await;
            seen.sent.insert(wish.job, times[0]);
            number += 1;
        }
        if seen.aside.is_none() && client.depth(&lane_queue(Lane::Interactive)).await < SHORT {
            seen.aside = Some(client.clock.elapsed());
        }
        let resident = workers.iter().map(Worker::resident).max().unwrap();
        seen.resident = seen.resident.max(resident);
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits of the quiet tenants. A job without an answer waited until now at least.
fn waits(figures: &mut Figures, client: &Client, seen: &Seen, fair: bool, [_, calm, until]: [Duration; 3]) {
    let answers = client.answers.so_far();
    let wait = |(job, sent): (&String, &Duration)| {
        let first = answers.get(job).map_or(until, |answer| answer.first);
        (*sent, first.saturating_sub(*sent))
    };
    let all: Vec<(Duration, Duration)> = seen.sent.iter().map(wait).collect();
    let mut every: Vec<Duration> = all.iter().map(|(_, wait)| *wait).collect();
    let mut after: Vec<Duration> = all
        .iter()
        .filter(|(sent, _)| *sent > calm)
        .map(|(_, wait)| *wait)
        .collect();
    figures.show("quiet tenants: wait p50", seconds(percentile(&mut every, 50)));
    let p99 = percentile(&mut every, 99);
    let name = "quiet tenants: wait p99";
    match fair {
        true => figures.promise(name, seconds(p99), "at most 2 s", p99 <= Duration::from_secs(2)),
        false => figures.show(name, format!("≥ {}", seconds(p99))),
    }
    figures.show(
        "once the flood was aside: wait p50",
        seconds(percentile(&mut after, 50)),
    );
    figures.show(
        "once the flood was aside: wait p99",
        seconds(percentile(&mut after, 99)),
    );
}

/// Who got how much.
fn shares(figures: &mut Figures, client: &Client, seen: &Seen, fair: bool) {
    let mut answered: HashMap<String, f64> = HashMap::new();
    let mut flood: f64 = 0.0;
    for job in client.answers.so_far().keys() {
        match job.split_once(':') {
            Some((tenant, _)) => *answered.entry(tenant.to_owned()).or_default() += 1.0,
            None => flood += 1.0,
        }
    }
    let quiet = answered.values().fold(0.0, |sum, count| sum + count);
    figures.show("quiet jobs: sent, answered", format!("{}, {quiet}", seen.sent.len()));
    figures.show("flood jobs answered meanwhile", flood);
    let mut counts: Vec<f64> = answered.into_values().collect();
    counts.resize(TENANTS, 0.0);
    let index = jain(&counts);
    match fair {
        true => figures.promise(
            "Jain's index of the quiet tenants",
            format!("{index:.3}"),
            "≥ 0.95",
            index >= 0.95,
        ),
        false => figures.show("Jain's index of the quiet tenants", format!("{index:.3}")),
    }
    // Of what each asked for, the flood at most what a quiet tenant did.
    counts.push(flood.min(seen.sent.len() as f64 / TENANTS as f64));
    figures.show(
        "Jain's index, the flood up to a quiet tenant's share",
        format!("{:.3}", jain(&counts)),
    );
}

async fn purge(figures: &mut Figures, field: &Field, client: &Client) {
    let before = sidelines(client).await;
    let since = client.clock.elapsed();
    field.run(&["tenant", "purge", "flood", "--yes"]);
    let command = client.clock.elapsed() - since;
    while sidelines(client).await > 0 && client.clock.elapsed() - since < Duration::from_secs(60) {
        sleep(Duration::from_millis(5)).await;
    }
    let took = client.clock.elapsed() - since;
    figures.show("in the sideline before the purge", before);
    figures.show("`lazaret tenant purge` took", seconds(command));
    figures.promise(
        "sideline empty after",
        seconds(took),
        "at most 2 s",
        took <= Duration::from_secs(2),
    );
}

async fn sidelines(client: &Client) -> u32 {
    let mut sum = 0;
    for line in 0..SIDELINES {
        sum += client.depth(&side_queue(line)).await;
    }
    sum
}
