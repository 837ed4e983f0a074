//! The worlds that are explored to their end.

use super::mutation::Mutation;
use super::search::{Explored, explore, explore_up_to};
use super::world::{Faults, Nature, World};

use Nature::*;

const NONE: Faults = Faults {
    crashes: 0,
    pauses: 0,
    redeliveries: 0,
    mishaps: 0,
    drains: 0,
    silences: 0,
    unheard: 0,
};

fn small() -> Vec<World> {
    vec![
        World::of("copies", &[Good]).and(0, 0).with(Faults {
            crashes: 1,
            redeliveries: 1,
            ..NONE
        }),
        World::of("two recipes", &[Good])
            .and(0, 1)
            .with(Faults { crashes: 1, ..NONE }),
        World::of("copies of a bomb", &[Bomb]).and(0, 0).with(Faults {
            crashes: 1,
            redeliveries: 1,
            ..NONE
        }),
        World::of("a bomb in the encoder", &[EncoderBomb])
            .and(0, 1)
            .with(Faults { crashes: 1, ..NONE }),
        World::of("a crasher", &[Crasher, Good]).with(Faults { mishaps: 1, ..NONE }),
        World::of("a poison beside an innocent", &[Poison, Good]).with(Faults { crashes: 1, ..NONE }),
        World::of("copies of a poison", &[Poison]).and(0, 0).with(Faults {
            redeliveries: 1,
            ..NONE
        }),
        World::of("two poisons", &[Poison, Poison]),
        World::of("a host killer beside an innocent", &[HostKiller, Good]).with(Faults { crashes: 1, ..NONE }),
        World {
            one_host: false,
            ..World::of("pauses", &[Good, Corrupt]).with(Faults { pauses: 1, ..NONE })
        },
        World {
            one_host: false,
            ..World::of("a poison that is fenced", &[Poison])
                .and(0, 0)
                .with(Faults { pauses: 1, ..NONE })
        },
        World {
            ladder: 1,
            ..World::of("the ladder's end", &[Good]).and(0, 0).with(Faults {
                mishaps: 2,
                redeliveries: 1,
                ..NONE
            })
        },
        World::of("a drain", &[Crasher, Good]).with(Faults { drains: 1, ..NONE }),
        World::of("a poison while the ledger fails", &[Poison, Good]).with(Faults { silences: 1, ..NONE }),
        World::of("a ledger that fails", &[Bomb, Good]).with(Faults { silences: 1, ..NONE }),
        World::of("claims that are not answered", &[Good])
            .and(0, 1)
            .with(Faults {
                unheard: 2,
                crashes: 1,
                ..NONE
            }),
        World::of("a poison's claim that is not answered", &[Poison, Good]).with(Faults { unheard: 1, ..NONE }),
    ]
}

fn large() -> Vec<World> {
    vec![
        World::of("three copies", &[Good]).and(0, 0).and(0, 0).with(Faults {
            crashes: 1,
            redeliveries: 1,
            ..NONE
        }),
        World::of("a poison beside two innocents", &[Poison, Good, Corrupt]).with(Faults { crashes: 1, ..NONE }),
        World {
            workers: 3,
            ..World::of("three workers", &[Poison, Good]).with(Faults {
                crashes: 1,
                redeliveries: 1,
                ..NONE
            })
        },
        World {
            one_host: false,
            ..World::of("a fenced poison beside an innocent", &[Poison, Good]).with(Faults {
                pauses: 1,
                crashes: 1,
                ..NONE
            })
        },
    ]
}

/// States of each world that the usual run looks at, those nearest to the beginning.
const NEAREST: usize = 20_000;

fn print(world: &World, found: &Explored) {
    let Explored {
        states,
        transitions,
        depth,
        done,
        ..
    } = found;
    eprintln!("{:36} {states:9} {transitions:10} {depth:5} {done:6}", world.name);
}

#[test]
fn every_law_holds_in_every_state() {
    eprintln!(
        "{:36} {:>9} {:>10} {:>5} {:>6}",
        "world", "states", "steps", "depth", "ends"
    );
    let (worlds, most) = match super::is_long() {
        true => ([small(), large()].concat(), usize::MAX),
        false => (small(), NEAREST),
    };
    for world in worlds {
        let found = explore_up_to(most, &world);
        print(&world, &found);
        if let Some(counterexample) = found.counterexample {
            panic!("{}: {counterexample}", world.name);
        }
        let whole = found.states < most;
        assert!(found.done > 0 || !whole, "{}: nothing ever ends", world.name);
    }
}

#[test]
fn every_broken_rule_is_caught() {
    for mutation in Mutation::ALL {
        let (world, law) = mutation.harm();
        let Some(found) = explore(&world).counterexample else {
            panic!("{mutation:?} is not caught");
        };
        eprintln!("{mutation:?}, {}: {found}\n", world.name);
        assert_eq!(found.law, law, "{mutation:?}");
        let honest = World {
            mutation: None,
            ..world
        };
        assert!(
            explore(&honest).counterexample.is_none(),
            "{mutation:?} is not what breaks it"
        );
    }
}
