//! A network that cuts and freezes, and workers that are killed: nothing is lost, and nobody is blamed for it.

pub mod plan;
mod trouble;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use super::client::Client;
use super::field::{Field, Worker};
use super::figures::{Figures, seconds};
use super::ledger::Ledger;
use super::node::Node;
use super::options::Options;
use super::relay::{Mode, Relay};

use plan::{Mix, Plan};
use trouble::Trouble;

/// Longest wait for the next results.
const PATIENCE: Duration = Duration::from_secs(120);
/// Small grants, and a heartbeat that notices a frozen network.
const TABLES: &str =
    "[limits]\ncpu_base = \"300ms\"\ncpu_per_megapixel = \"20ms\"\n[tenants.default]\njobs_per_minute = 0";

/// Runs it; how many promises are broken.
pub async fn run(options: &Options) -> usize {
    let (jobs, kills) = (options.get("jobs", 5000), options.get("kills", 10));
    let seed = options.get("seed", 1);
    let relay = Relay::to(Node::shared().amqp);
    let field = Field::new("chaos", Some(relay.port()), "heartbeat = \"5s\"", TABLES);
    let mix = Mix {
        jobs,
        tenants: 11,
        bombs: 3,
    };
    let plan = Plan::new(&field.path("uploads"), &mix);
    let mut workers = vec![field.serve().await, field.serve().await];
    let client = Client::collecting(&field.clients()).await;
    let since = client.publish(&plan.wishes).await[0];
    let trouble = Trouble::start(relay, seed);
    let killed = kill(&field, &client, &mut workers, &plan, kills, seed).await;
    let relay = trouble.end().await;
    relay.relay.set(Mode::Pass);
    client.answers.reach(plan.ids.len(), PATIENCE).await;
    let took = client.clock.elapsed() - since;
    let left = drained(&field).await;
    for worker in workers {
        worker.stop().await;
    }

    let mut figures = Figures::of(&format!("chaos: {jobs} jobs, two workers, seed {seed}"));
    figures.show("seconds", seconds(took));
    figures.show("workers killed with -9", killed);
    figures.show("connections cut", relay.cuts);
    figures.show(
        "times frozen, refused",
        format!("{}, {}", relay.freezes, relay.refusals),
    );
    figures.show("messages delivered again", left.1);
    let ledger = Ledger::open(&field.path("state/ledger.sqlite")).await;
    judge(&mut figures, &plan, &client, &ledger).await;
    figures.exactly("messages left in lanes, retries, sidelines", left.0 as usize, 0);
    figures.broken()
}

/// Kills a worker whenever a further share of the jobs is answered, and starts another.
async fn kill(field: &Field, client: &Client, workers: &mut [Worker], plan: &Plan, kills: usize, seed: u64) -> usize {
    let mut random = fastrand::Rng::with_seed(seed);
    for number in 1..=kills {
        if !client
            .answers
            .reach(plan.ids.len() * number / (kills + 1), PATIENCE)
            .await
        {
            return number - 1;
        }
        let worker = random.choice(workers.iter_mut()).unwrap();
        worker.kill();
        *worker = field.start();
    }
    client.answers.reach(plan.ids.len(), PATIENCE).await;
    kills
}

async fn judge(figures: &mut Figures, plan: &Plan, client: &Client, ledger: &Ledger) {
    let answers = client.answers.so_far().clone();
    plan.judge(figures, &answers);
    let (ended, waiting) = ledger.jobs().await;
    figures.exactly("jobs with a terminal state in the ledger", ended, plan.ids.len());
    figures.exactly("jobs without", waiting, 0);
    let convicted: BTreeSet<String> = ledger.convicted().await.into_iter().collect();
    figures.exactly(
        "innocents convicted",
        convicted.intersection(&plan.innocents).count(),
        0,
    );
    figures.exactly(
        "bombs convicted",
        convicted.difference(&plan.innocents).count(),
        plan.bombs.len(),
    );
    figures.show("attempts lost with a worker", ledger.lost().await);
}

/// Waits until nothing is left; what is, and how often any message was delivered again. The broker's statistics are seconds old.
async fn drained(field: &Field) -> (u64, u64) {
    let mut counts = (u64::MAX, 0);
    for _ in 0..40 {
        sleep(Duration::from_millis(500)).await;
        let parts = ["lazaret.jobs", "lazaret.retry", "lazaret.side"].map(|part| field.messages(part));
        counts = parts.iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        if counts.0 == 0 {
            break;
        }
    }
    counts
}
