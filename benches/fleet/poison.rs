//! An upload whose worker is killed whenever it runs, among innocents: few workers are lost, and nobody is convicted for company.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use super::client::{Client, Wish};
use super::field::{Field, Worker};
use super::figures::{Figures, percentile, seconds};
use super::ledger::Ledger;
use super::options::Options;
use super::uploads::{BOMB, SLOW_PHOTO, digest, fixture, variant};

/// Under these the poison runs on until somebody kills its worker.
const LIMITS: &str = "[limits]\ncpu_base = \"60s\"\ncpu = \"60s\"\n[worker]\nslots = 4";
/// After so long it is not over any more.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs it, as often as asked; how many promises are broken.
pub async fn run(options: &Options) -> usize {
    let (innocents, runs) = (options.get("innocents", 20), options.get("runs", 1));
    let (mut broken, mut losses, mut times) = (0, Vec::with_capacity(runs), Vec::with_capacity(runs));
    for number in 0..runs {
        let (lost, took, more) = once(&format!("poison-{number}"), innocents).await;
        losses.push(lost);
        times.push(took);
        broken += more;
    }
    let worst = losses.iter().copied().max().unwrap_or_default();
    let mut figures = Figures::of(&format!("poison: {runs} runs"));
    figures.promise("workers lost, the worst run", worst, "at most 3", worst <= 3);
    figures.show("until the last result, median", seconds(percentile(&mut times, 50)));
    figures.show(
        "until the last result, the worst run",
        seconds(percentile(&mut times, 100)),
    );
    broken + figures.broken()
}

/// One poison; workers lost, how long it took, and promises broken.
async fn once(name: &str, innocents: usize) -> (usize, Duration, usize) {
    let field = Field::new(name, None, "", LIMITS);
    let poison = fixture(BOMB);
    field.upload("poison.jpg", &poison);
    let mut digests = BTreeSet::new();
    let mut wishes = Vec::new();
    for number in 0..innocents {
        let photo = variant(&fixture(SLOW_PHOTO), number);
        field.upload(&format!("{number}.jpg"), &photo);
        digests.insert(digest(&photo));
        let mut wish = Wish::new(
            format!("innocent-{number}"),
            &format!("t{}", number % 5),
            &format!("{number}.jpg"),
        );
        wish.width = 1600;
        wishes.push(wish);
    }
    wishes.insert(2, Wish::new("poison".to_owned(), "p", "poison.jpg"));
    let mut workers = vec![field.serve().await, field.serve().await];
    let client = Client::collecting(&field.clients()).await;
    let ledger = Ledger::open(&field.path("state/ledger.sqlite")).await;
    let since = client.publish(&wishes).await[0];
    let mut beside = Vec::new();
    while client.answers.so_far().len() < wishes.len() && client.clock.elapsed() < PATIENCE {
        if let Some(runs) = ledger.runs(&digest(&poison)).await {
            beside.push(ledger.in_the_air(&runs).await - 1);
            kill(&field, &mut workers, &runs).await;
        }
        sleep(Duration::from_millis(5)).await;
    }
    let took = client.clock.elapsed() - since;
    for worker in workers {
        worker.stop().await;
    }

    let mut figures = Figures::of(&format!(
        "poison: one among {innocents} innocents, two workers with four slots"
    ));
    let answers = client.answers.so_far().clone();
    let converted = answers
        .values()
        .filter(|answer| answer.verdicts.iter().eq(["converted"]));
    figures.promise("workers lost", beside.len(), "at most 3", beside.len() <= 3);
    figures.show("innocents in the air at each loss", format!("{beside:?}"));
    let verdict = answers
        .get("poison")
        .map(|answer| answer.verdicts.clone())
        .unwrap_or_default();
    let convicted = verdict.iter().eq(["quarantined worker-loss"]);
    figures.promise("the poison's verdict", format!("{verdict:?}"), "worker-loss", convicted);
    figures.exactly("innocents converted", converted.count(), innocents);
    let blamed = ledger.convicted().await;
    let blamed = blamed.iter().filter(|digest| digests.contains(*digest)).count();
    figures.exactly("innocents convicted", blamed, 0);
    figures.show("innocents run again", ledger.lost().await - beside.len());
    figures.show("until the last result", seconds(took));
    client.close().await;
    // The queues of a hundred runs are more than one node should have.
    field.vhost.remove();
    (beside.len(), took, figures.broken())
}

/// Kills the worker with this id and starts another.
async fn kill(field: &Field, workers: &mut [Worker], id: &str) {
    let mark = |worker: &&mut Worker| id.contains(&format!("-{}-", worker.pid()));
    if let Some(worker) = workers.iter_mut().find(mark) {
        worker.kill();
        *worker = field.serve().await;
    }
}
