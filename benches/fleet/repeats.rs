//! Repeats of a quarantined upload per second, by one worker, beside a bare loop on the same broker, in turns.

use std::process::{Child, Command};
use std::time::Duration;

use lazaret::broker::Lane;
use lazaret::broker::topology::{SIDELINES, lane_queue, side_queue};
use tokio::time::sleep;

use super::client::{Client, Wish};
use super::field::Field;
use super::figures::Figures;
use super::options::Options;
use super::uploads::{BOMB, digest, fixture};

/// Most rejections per second that jobs are enqueued for.
const FASTEST: usize = 25_000;

/// What answers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Bare,
    /// The worker with `order`, a claimed digest or not, by so many tenants.
    Worker(&'static str, Claim, usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Claim {
    Made,
    Absent,
}

const WAYS: [(&str, Way); 6] = [
    ("bare loop", Way::Bare),
    ("fair, 20 tenants, claimed", Way::Worker("fair", Claim::Made, 20)),
    ("fair, 20 tenants, not claimed", Way::Worker("fair", Claim::Absent, 20)),
    ("arrival, 20 tenants, claimed", Way::Worker("arrival", Claim::Made, 20)),
    (
        "arrival, 20 tenants, not claimed",
        Way::Worker("arrival", Claim::Absent, 20),
    ),
    (
        "fair, one tenant (moved aside), claimed",
        Way::Worker("fair", Claim::Made, 1),
    ),
];

/// Runs it; how many promises are broken.
pub async fn run(options: &Options) -> usize {
    let lasts = Duration::from_secs(options.get("seconds", 6));
    let prefetch: usize = options.get("prefetch", 64);
    let rounds: usize = options.get("rounds", 3);
    let only: String = options.get("only", String::new());
    let mut rates: [Vec<f64>; WAYS.len()] = Default::default();
    let mut published = 0;
    let fields = ["fair", "arrival"].map(|order| field(order, prefetch));
    for field in &fields {
        convict(field).await;
    }
    for _ in 0..rounds {
        for (rates, (name, way)) in rates.iter_mut().zip(WAYS) {
            if !name.contains(&only) && way != Way::Bare {
                continue;
            }
            let rate = measure(&fields, way, prefetch, lasts, published).await;
            published += FASTEST * lasts.as_secs() as usize;
            println!("  {name}: {rate:.0}/s");
            rates.push(rate);
        }
    }
    let title = format!(
        "repeats: answers per second, one worker, prefetch {prefetch}, median of {rounds} × {} s",
        lasts.as_secs()
    );
    let mut figures = Figures::of(&title);
    let bare = median(&rates[0]);
    for (rates, (name, way)) in rates.iter().zip(WAYS) {
        let rate = median(rates);
        let share = rate / bare * 100.0;
        let text = format!("{rate:.0} = {share:.0} %");
        match way {
            _ if rates.is_empty() => {}
            // The other order is there to compare with.
            Way::Worker("fair", Claim::Made, 20) => figures.promise(name, text, "at least 50 %", share >= 50.0),
            _ => figures.show(name, text),
        }
    }
    figures.broken()
}

/// A broker's pace is not the same from one minute to the next: an average is that of its worst one.
fn median(rates: &[f64]) -> f64 {
    let mut rates = rates.to_vec();
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}

fn field(order: &str, prefetch: usize) -> Field {
    let tables = format!("[fairness]\norder = \"{order}\"\n[tenants.default]\njobs_per_minute = 0");
    let field = Field::new(
        &format!("repeats-{order}"),
        None,
        &format!("prefetch = {prefetch}"),
        &tables,
    );
    field.upload("bomb.jpg", &fixture(BOMB));
    field
}

/// Has the bomb tried once.
async fn convict(field: &Field) {
    let worker = field.serve().await;
    let client = Client::collecting(&field.clients()).await;
    client.publish(&[Wish::new("first".to_owned(), "t0", "bomb.jpg")]).await;
    assert!(client.answers.reach(1, Duration::from_secs(60)).await);
    assert!(client.answers.so_far()["first"].verdicts.iter().eq(["quarantined cpu"]));
    client.close().await;
    worker.stop().await;
}

/// Answers per second of one way.
async fn measure(fields: &[Field; 2], way: Way, prefetch: usize, lasts: Duration, from: usize) -> f64 {
    let field = match way {
        Way::Worker("arrival", ..) => &fields[1],
        _ => &fields[0],
    };
    let client = Client::new(&field.clients()).await;
    let (claim, tenants) = match way {
        Way::Bare => (Claim::Made, 20),
        Way::Worker(_, claim, tenants) => (claim, tenants),
    };
    let claimed = (claim == Claim::Made).then(|| digest(&fixture(BOMB)));
    let wish = |number: usize| Wish {
        claim: claimed.clone(),
        ..Wish::new(
            format!("repeat-{}", from + number),
            &format!("t{}", number % tenants),
            "bomb.jpg",
        )
    };
    let wishes: Vec<Wish> = (0..FASTEST * lasts.as_secs() as usize).map(wish).collect();
    client.publish(&wishes).await;
    let rate = match way {
        Way::Bare => {
            let bare = Bare::start(&field.clients(), prefetch);
            let rate = rate(&client, lasts).await;
            drop(bare);
            rate
        }
        Way::Worker(..) => {
            let mut worker = field.start();
            let rate = rate(&client, lasts).await;
            worker.kill();
            rate
        }
    };
    client.purge_unread().await;
    // What was in hand is given back first.
    sleep(Duration::from_millis(500)).await;
    client.purge(&lane_queue(Lane::Interactive)).await;
    for line in 0..SIDELINES {
        client.purge(&side_queue(line)).await;
    }
    rate
}

/// Results per second from the first one on; a second of start is left out.
async fn rate(client: &Client, lasts: Duration) -> f64 {
    while client.unread().await == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    sleep(Duration::from_secs(1)).await;
    let (since, before) = (client.clock.elapsed(), client.unread().await);
    sleep(lasts).await;
    let after = client.unread().await;
    let rate = f64::from(after - before) / (client.clock.elapsed() - since).as_secs_f64();
    client.purge_unread().await;
    rate
}

/// The bare loop's process.
struct Bare(Child);

impl Bare {
    fn start(uri: &str, prefetch: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["bare", "--uri", uri, "--prefetch", &prefetch.to_string()]);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
