//! What befalls hosts and servers, when and for how long: a seed's schedule.

use std::time::Duration;

/// Something that befalls the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A worker gets SIGKILL; its supervisor starts it again.
    WorkerKilled,
    /// A host's network is gone for a moment.
    HostCutBriefly,
    /// A host's network is gone for longer than its lease.
    HostCutLong,
    /// A host is switched off, its network first.
    HostPoweredOff,
    /// A host's clock jumps by an hour, and back.
    ClockMoved,
    /// PostgreSQL takes and answers nothing.
    DatabaseFrozen,
    /// PostgreSQL is stopped in order and started again.
    DatabaseRestarted,
    /// PostgreSQL crashes and is started again.
    DatabaseCrashed,
    /// Nothing can be written to PostgreSQL, as while another server is promoted.
    DatabaseReadOnly,
    /// Sessions are ended, and no new one is let in.
    DatabaseFull,
    /// RabbitMQ gets SIGKILL with its queues full, and is started again.
    BrokerRestarted,
    /// Nothing can be written to the stores.
    DiskFull,
}

/// One of them, at its time.
#[derive(Debug, Clone, Copy)]
pub struct Stroke {
    /// How long nothing befalls before it.
    pub after: Duration,
    /// What.
    pub fault: Fault,
    /// For how long.
    pub lasts: Duration,
    /// The host that it befalls, where it befalls one.
    pub host: usize,
}

/// A fault, how often it is in each round, and for how many milliseconds it lasts.
type Kind = (Fault, usize, std::ops::Range<u64>);

/// What befalls hosts.
pub fn of_hosts(seed: u64, hosts: usize, whole: Duration) -> Vec<Stroke> {
    let kinds = [
        (Fault::WorkerKilled, 3, 0..1),
        (Fault::HostCutBriefly, 2, 1_000..8_000),
        (Fault::HostCutLong, 1, 35_000..50_000),
        (Fault::HostPoweredOff, 1, 5_000..40_000),
        (Fault::ClockMoved, 1, 10_000..30_000),
    ];
    schedule(&kinds, &mut fastrand::Rng::with_seed(seed), hosts, whole)
}

/// What befalls servers and stores.
pub fn of_servers(seed: u64, hosts: usize, whole: Duration) -> Vec<Stroke> {
    let kinds = [
        (Fault::DatabaseFrozen, 2, 2_000..15_000),
        (Fault::DatabaseRestarted, 1, 0..5_000),
        (Fault::DatabaseCrashed, 1, 0..5_000),
        (Fault::DatabaseReadOnly, 1, 2_000..10_000),
        (Fault::DatabaseFull, 1, 2_000..10_000),
        (Fault::BrokerRestarted, 1, 0..3_000),
        (Fault::DiskFull, 2, 2_000..8_000),
    ];
    // Apart from the hosts' schedule, so that the one does not repeat the other.
    schedule(&kinds, &mut fastrand::Rng::with_seed(!seed), hosts, whole)
}

/// Rounds in which each kind comes as often as it should, in another order each time: none is left to chance.
fn schedule(kinds: &[Kind], random: &mut fastrand::Rng, hosts: usize, whole: Duration) -> Vec<Stroke> {
    let mut strokes = Vec::new();
    let mut time = Duration::ZERO;
    loop {
        let mut round: Vec<&Kind> = kinds
            .iter()
            .flat_map(|kind| std::iter::repeat_n(kind, kind.1))
            .collect();
        random.shuffle(&mut round);
        for (fault, _, lasts) in round {
            let stroke = Stroke {
                after: Duration::from_millis(random.u64(3_000..12_000)),
                fault: *fault,
                lasts: Duration::from_millis(random.u64(lasts.clone())),
                host: random.usize(..hosts),
            };
            time += stroke.after + stroke.lasts;
            if time > whole {
                return strokes;
            }
            strokes.push(stroke);
        }
    }
}
