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
    /// A worker drains, and its supervisor starts it with other limits: another epoch, beside the others. Later the same way back.
    WorkerUpgraded,
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
    /// Nothing can be written to the stores in folders.
    DiskFull,
    /// The buckets' server answers everybody with 503.
    BucketsBusy,
    /// It takes nobody's credentials any more.
    BucketsExpired,
    /// It sends the first bytes of an object, and then nothing.
    BucketsSlow,
    /// It sends half of an object, and hangs up.
    BucketsCut,
    /// It says that an object is longer than what it sends.
    BucketsLong,
    /// It takes and answers nothing.
    BucketsFrozen,
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

/// Where uploads, renditions and specimens are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stores {
    /// All in folders.
    Folders,
    /// All in buckets.
    Buckets,
    /// Every other tenant's uploads in a bucket, and all renditions; specimens in a folder.
    Both,
}

impl std::str::FromStr for Stores {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "folders" => Ok(Self::Folders),
            "buckets" => Ok(Self::Buckets),
            "both" => Ok(Self::Both),
            _ => Err(()),
        }
    }
}

impl Fault {
    /// What the buckets' server is told.
    pub fn weather(self) -> Option<&'static str> {
        match self {
            Self::BucketsBusy => Some("busy"),
            Self::BucketsExpired => Some("expired"),
            Self::BucketsSlow => Some("slow"),
            Self::BucketsCut => Some("cut"),
            Self::BucketsLong => Some("long"),
            _ => None,
        }
    }
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
        (Fault::WorkerUpgraded, 1, 15_000..40_000),
    ];
    schedule(&kinds, &mut fastrand::Rng::with_seed(seed), hosts, whole)
}

/// What befalls servers and stores: buckets, where there are any.
pub fn of_servers(seed: u64, hosts: usize, stores: Stores, whole: Duration) -> Vec<Stroke> {
    let mut kinds = vec![
        (Fault::DatabaseFrozen, 2, 2_000..15_000),
        (Fault::DatabaseRestarted, 1, 0..5_000),
        (Fault::DatabaseCrashed, 1, 0..5_000),
        (Fault::DatabaseReadOnly, 1, 2_000..10_000),
        (Fault::DatabaseFull, 1, 2_000..10_000),
        (Fault::BrokerRestarted, 1, 0..3_000),
        (Fault::DiskFull, 2, 2_000..8_000),
    ];
    if stores != Stores::Folders {
        // Short: a job that is turned away for the fifth time waits for an hour.
        kinds.extend([
            (Fault::BucketsBusy, 1, 1_000..5_000),
            (Fault::BucketsExpired, 1, 1_000..4_000),
            (Fault::BucketsSlow, 1, 1_000..4_000),
            (Fault::BucketsCut, 1, 1_000..5_000),
            (Fault::BucketsLong, 1, 1_000..5_000),
            (Fault::BucketsFrozen, 1, 2_000..6_000),
        ]);
    }
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
