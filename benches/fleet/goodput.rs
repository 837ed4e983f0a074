//! Good jobs alone, and with hostile ones mixed in, each from a tenant of its own, so that neither probation nor fairness helps: what is left
//! of the rate, once the processor time that the hostile ones were granted is subtracted, and what good jobs wait.

use std::time::Duration;

use tokio::time::sleep;

use super::client::{Client, Wish};
use super::field::Field;
use super::figures::{Figures, percentile, seconds};
use super::ledger::Ledger;
use super::options::Options;
use super::uploads::{PHOTO, fixture, hostile, variant};

/// Honest tenants.
const TENANTS: usize = 20;
/// Attempts at once, and processors that they are given.
const SLOTS: usize = 2;
/// Share of the undisturbed rate at which good jobs come where waits are measured, in percent: with as many hostile ones, most of what two slots can do.
const LOAD: f64 = 15.0;

/// Runs it; how many promises are broken.
pub async fn run(options: &Options) -> usize {
    let (good, pace) = (options.get("good", 400), options.get("seconds", 20));
    let shares = options.get("hostile", "10,50,90".to_owned());
    let alone = Mix::new("alone", good, 0).await.drain().await;
    let mut broken = alone.tell(None);
    for share in shares.split(',') {
        let share: usize = share.parse().unwrap_or_else(|_| panic!("--hostile: {share:?}"));
        assert!(share < 100, "--hostile: {share} % leaves no good jobs");
        let mixed = Mix::new(&format!("hostile-{share}"), good, good * share / (100 - share)).await;
        broken += mixed.drain().await.tell(Some(alone.rate()));
    }
    for share in [0, 50] {
        broken += steady(alone.rate() * LOAD / 100.0, share, Duration::from_secs(pace)).await;
    }
    broken
}

/// Jobs whose uploads lie in the store: good ones, with hostile ones between them.
struct Mix {
    field: Field,
    wishes: Vec<Wish>,
    good: usize,
}

/// What became of a mix.
struct Drained {
    good: usize,
    hostile: usize,
    converted: usize,
    answered: usize,
    took: Duration,
    hostile_cpu: Duration,
}

impl Mix {
    async fn new(name: &str, good: usize, hostile: usize) -> Self {
        let field = Field::new(
            &format!("goodput-{name}"),
            None,
            "",
            &format!("[worker]\nslots = {SLOTS}"),
        );
        let mut wishes = Vec::with_capacity(good + hostile);
        let (mut photos, mut bombs) = (0, 0);
        for _ in 0..good + hostile {
            // As evenly as whole numbers allow.
            if photos * hostile <= bombs * good && photos < good {
                wishes.push(photo(&field, photos));
                photos += 1;
            } else {
                wishes.push(bomb(&field, bombs));
                bombs += 1;
            }
        }
        Self { field, wishes, good }
    }

    /// All of it at once, until the last one is answered.
    async fn drain(self) -> Drained {
        let worker = self.field.serve().await;
        let client = Client::collecting(&self.field.clients()).await;
        let since = client.publish(&self.wishes).await[0];
        client.answers.reach(self.wishes.len(), Duration::from_secs(1800)).await;
        worker.stop().await;
        let answers = client.answers.so_far().clone();
        let goods = answers.iter().filter(|(job, _)| job.starts_with("good"));
        let converted = goods.filter(|(_, answer)| answer.verdicts.iter().eq(["converted"]));
        let ledger = Ledger::open(&self.field.path("state/ledger.sqlite")).await;
        Drained {
            good: self.good,
            hostile: self.wishes.len() - self.good,
            converted: converted.count(),
            answered: answers.len(),
            took: answers.values().map(|answer| answer.first).max().unwrap_or_default() - since,
            hostile_cpu: Duration::from_millis(ledger.cpu_ms_of_all("hostile-").await as u64),
        }
    }
}

impl Drained {
    /// Good jobs per second of the time that was not the hostile ones'.
    fn rate(&self) -> f64 {
        let theirs = self.hostile_cpu.as_secs_f64() / SLOTS as f64;
        self.good as f64 / (self.took.as_secs_f64() - theirs)
    }

    /// Prints it; how many promises are broken.
    fn tell(&self, undisturbed: Option<f64>) -> usize {
        let Self { good, hostile, .. } = self;
        let mut figures = Figures::of(&format!(
            "goodput: {good} good jobs, {hostile} hostile ones, {SLOTS} slots"
        ));
        figures.exactly("good jobs converted", self.converted, *good);
        figures.exactly("jobs answered", self.answered, good + hostile);
        figures.show("until the last answer", seconds(self.took));
        figures.show("CPU time of hostile uploads", seconds(self.hostile_cpu));
        let plain = *good as f64 / self.took.as_secs_f64();
        figures.show("good jobs per second", format!("{plain:.1}"));
        if let Some(undisturbed) = undisturbed {
            let left = self.rate() / undisturbed * 100.0;
            figures.show(
                "left of the rate alone, hostile CPU time subtracted",
                format!("{left:.0} %"),
            );
        }
        figures.broken()
    }
}

/// Good jobs at a steady rate, and so many percent of all jobs hostile: what good ones wait.
async fn steady(rate: f64, share: usize, lasts: Duration) -> usize {
    let field = Field::new(
        &format!("steady-{share}"),
        None,
        "",
        &format!("[worker]\nslots = {SLOTS}"),
    );
    let worker = field.serve().await;
    let client = Client::collecting(&field.clients()).await;
    let mut sent = Vec::new();
    let mut bombs = 0;
    while client.clock.elapsed() < lasts {
        let wish = photo(&field, sent.len());
        let time = client.publish(std::slice::from_ref(&wish)).await[0];
        sent.push((wish.job, time));
        while bombs * (100 - share) < sent.len() * share {
            client.publish(&[bomb(&field, bombs)]).await;
            bombs += 1;
        }
        let due = Duration::from_secs_f64(sent.len() as f64 / rate);
        sleep(due.saturating_sub(client.clock.elapsed())).await;
    }
    client.answers.reach(sent.len() + bombs, Duration::from_secs(600)).await;
    worker.stop().await;
    let answers = client.answers.so_far().clone();
    let wait = |(job, time): &(String, Duration)| Some(answers.get(job)?.first.saturating_sub(*time));
    let mut waits: Vec<Duration> = sent.iter().filter_map(wait).collect();
    let mut figures = Figures::of(&format!(
        "steady: {rate:.1} good jobs per second, {bombs} hostile ones beside"
    ));
    figures.exactly("good jobs answered", waits.len(), sent.len());
    figures.show("good jobs: wait p50", seconds(percentile(&mut waits, 50)));
    figures.show("good jobs: wait p99", seconds(percentile(&mut waits, 99)));
    figures.broken()
}

fn photo(field: &Field, number: usize) -> Wish {
    let key = format!("good-{number}.jpg");
    field.upload(&key, &variant(&fixture(PHOTO), number));
    Wish::new(format!("good-{number}"), &format!("quiet-{}", number % TENANTS), &key)
}

fn bomb(field: &Field, number: usize) -> Wish {
    let all = hostile();
    let key = format!("hostile-{number}");
    field.upload(&key, &variant(&all[number % all.len()], number));
    Wish::new(key.clone(), &key, &key)
}
