//! Long random runs: larger worlds than can be explored, each a seed.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;

use super::fleet::Fleet;
use super::ledger::Ledger;
use super::step::Step;
use super::twin::{Store, Twin};
use super::world::{Faults, Nature, Wish, World};

/// Steps until faults end.
const DISTURBED: usize = 300;
/// Steps in which all jobs must have ended after that.
const PATIENCE: usize = 20_000;

/// A world by its seed.
fn world_of(rng: &mut Rng) -> World {
    let kinds = [
        Nature::Good,
        Nature::Good,
        Nature::Corrupt,
        Nature::Bomb,
        Nature::EncoderBomb,
        Nature::Crasher,
        Nature::Poison,
        Nature::HostKiller,
    ];
    let mut uploads: Vec<Nature> = (0..rng.usize(2..6)).map(|_| kinds[rng.usize(..kinds.len())]).collect();
    one_host_killer(&mut uploads);
    let any = uploads.len() as u8;
    let jobs = (0..rng.usize(3..10)).map(|_| Wish {
        upload: rng.u8(..any),
        recipe: rng.u8(..2),
    });
    World {
        jobs: jobs.collect(),
        workers: rng.usize(1..5),
        slots: rng.usize(1..4),
        hands: 4,
        one_host: rng.bool(),
        faults: Faults {
            crashes: rng.u8(..4),
            pauses: rng.u8(..3),
            redeliveries: rng.u8(..4),
            mishaps: rng.u8(..3),
            drains: rng.u8(..3),
            silences: rng.u8(..2),
            unheard: rng.u8(..3),
        },
        ..World::of("random", &uploads)
    }
}

/// Two that take down the whole host each are a known gap.
fn one_host_killer(uploads: &mut [Nature]) {
    let mut killers = uploads.iter_mut().filter(|nature| **nature == Nature::HostKiller);
    let _first = killers.next();
    killers.for_each(|other| *other = Nature::Poison);
}

/// One run; returns its steps.
fn walk<L: Ledger>(world: &World, rng: &mut Rng, fleet: &mut Fleet<L>) -> usize {
    let mut way = Vec::new();
    for taken in 0..DISTURBED + PATIENCE {
        let disturbed = taken < DISTURBED;
        if !disturbed && fleet.is_done() {
            return taken;
        }
        let (faults, ways): (Vec<Step>, Vec<Step>) = fleet.steps(world).into_iter().partition(|step| step.is_fault());
        let steps = match disturbed && !faults.is_empty() && (ways.is_empty() || rng.u8(..20) == 0) {
            true => faults,
            false => ways,
        };
        if steps.is_empty() {
            assert!(fleet.is_done(), "nothing can be done, and not all has ended");
            return taken;
        }
        let step = steps[rng.usize(..steps.len())];
        way.push(step.to_string());
        let broken = fleet.take(world, step).err().or_else(|| fleet.broken(world));
        assert_eq!(broken, None, "after {taken} steps of {world:?}:\n{}", way.join("\n"));
    }
    panic!("not done after {PATIENCE} undisturbed steps");
}

fn seeds(usual: u64, long: u64) -> Range<u64> {
    if let Ok(seed) = std::env::var("LAZARET_SEED") {
        let seed = seed.parse().expect("LAZARET_SEED is a number");
        return seed..seed + 1;
    }
    0..if super::is_long() { long } else { usual }
}

/// Says the seed of a run that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed: LAZARET_SEED={}", self.0);
        }
    }
}

#[test]
fn random_runs_beside_the_ledger_in_sqlite() {
    random_runs_beside(&Store::sqlite(), seeds(400, 20_000));
}

#[test]
fn random_runs_beside_the_ledger_in_postgresql() {
    random_runs_beside(&Store::postgres(), seeds(100, 5_000));
}

fn random_runs_beside(store: &Store, seeds: Range<u64>) {
    let (mut steps, mut compared, mut ahead) = (0, 0, Duration::ZERO);
    for seed in seeds.clone() {
        let said = Seed(seed);
        let mut rng = Rng::with_seed(seed);
        let world = world_of(&mut rng);
        let mut fleet = Fleet::new(&world, Twin::new(&world, store, seed, ahead));
        steps += walk(&world, &mut rng, &mut fleet);
        (ahead, compared) = (fleet.ledger.ahead(), compared + fleet.ledger.compared);
        fleet.ledger.leave_nothing_behind();
        drop(said);
    }
    eprintln!(
        "{} seeds: {steps} steps, {compared} answers of the real ledger as the model's",
        seeds.end - seeds.start
    );
}
