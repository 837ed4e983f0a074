//! Every state that can be reached, breadth first: the first broken law has the shortest way to it.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::fleet::Fleet;
use super::law::Law;
use super::ledger::Model;
use super::step::Step;
use super::world::World;

/// What was found.
#[derive(Debug)]
pub struct Explored {
    pub states: usize,
    pub transitions: usize,
    /// Steps of the longest shortest way.
    pub depth: usize,
    /// States in which nothing is left to do.
    pub done: usize,
    pub counterexample: Option<Counterexample>,
}

/// A broken law, and a shortest way to it.
#[derive(Debug)]
pub struct Counterexample {
    pub law: Law,
    pub way: Vec<Step>,
    pub last: Fleet<Model>,
}

/// One state that was seen: how it was reached.
struct Seen {
    from: u32,
    by: Step,
    depth: u32,
}

struct Search<'w> {
    world: &'w World,
    most: usize,
    index: HashMap<u128, u32>,
    seen: Vec<Seen>,
    frontier: Vec<(u32, Fleet<Model>)>,
    /// Ways on that need no fault, backwards: from where to where.
    ways: Vec<(u32, u32)>,
    done: Vec<u32>,
    transitions: usize,
}

/// Explores a world to its end, or to the first broken law.
pub fn explore(world: &World) -> Explored {
    explore_up_to(usize::MAX, world)
}

/// The same, or until so many states were met. Whether all jobs can still end is only known at the end of a world.
pub fn explore_up_to(most: usize, world: &World) -> Explored {
    let mut search = Search {
        world,
        most,
        index: HashMap::new(),
        seen: Vec::new(),
        frontier: Vec::new(),
        ways: Vec::new(),
        done: Vec::new(),
        transitions: 0,
    };
    let counterexample = search.run();
    Explored {
        states: search.seen.len(),
        transitions: search.transitions,
        depth: search.seen.last().map_or(0, |seen| seen.depth as usize),
        done: search.done.len(),
        counterexample,
    }
}

impl Search<'_> {
    fn run(&mut self) -> Option<Counterexample> {
        let first = Fleet::new(self.world, Model::new(self.world));
        self.meet(u32::MAX, Step::Start, 0, first);
        while !self.frontier.is_empty() {
            for (from, fleet) in std::mem::take(&mut self.frontier) {
                if let Some(found) = self.expand(from, &fleet) {
                    return Some(found);
                }
                if self.seen.len() >= self.most {
                    return None;
                }
            }
        }
        self.who_cannot_finish()
    }

    fn expand(&mut self, from: u32, fleet: &Fleet<Model>) -> Option<Counterexample> {
        let depth = self.seen[from as usize].depth + 1;
        for step in fleet.steps(self.world) {
            self.transitions += 1;
            let mut next = fleet.clone();
            let broken = next.take(self.world, step).err().or_else(|| next.broken(self.world));
            if let Some(law) = broken {
                return Some(self.counterexample(law, from, step, next));
            }
            let to = self.meet(from, step, depth, next);
            if !step.is_fault() && to != from {
                self.ways.push((to, from));
            }
        }
        None
    }

    /// The state's number; it is looked at later where it is new.
    fn meet(&mut self, from: u32, by: Step, depth: u32, fleet: Fleet<Model>) -> u32 {
        let new = self.seen.len() as u32;
        let index = *self.index.entry(fingerprint(&fleet)).or_insert(new);
        if index == new {
            self.seen.push(Seen { from, by, depth });
            if fleet.is_done() {
                self.done.push(new);
            }
            self.frontier.push((new, fleet));
        }
        index
    }

    /// A state from which no way without further faults leads to an end of all jobs.
    fn who_cannot_finish(&mut self) -> Option<Counterexample> {
        self.ways.sort_unstable();
        let mut can = vec![false; self.seen.len()];
        let mut open = self.done.clone();
        while let Some(state) = open.pop() {
            if std::mem::replace(&mut can[state as usize], true) {
                continue;
            }
            let first = self.ways.partition_point(|(to, _)| *to < state);
            let back = self.ways[first..].iter().take_while(|(to, _)| *to == state);
            open.extend(back.map(|(_, from)| *from));
        }
        let stuck = can.iter().position(|can| !can)? as u32;
        let (way, last) = self.replay(self.way_to(stuck));
        Some(Counterexample {
            law: Law::AlwaysCanFinish,
            way,
            last,
        })
    }

    fn counterexample(&self, law: Law, from: u32, step: Step, last: Fleet<Model>) -> Counterexample {
        let mut way = self.way_to(from);
        way.push(step);
        Counterexample { law, way, last }
    }

    fn way_to(&self, state: u32) -> Vec<Step> {
        let mut way = Vec::new();
        let mut at = state;
        while self.seen[at as usize].from != u32::MAX {
            way.push(self.seen[at as usize].by);
            at = self.seen[at as usize].from;
        }
        way.reverse();
        way
    }

    fn replay(&self, way: Vec<Step>) -> (Vec<Step>, Fleet<Model>) {
        let mut fleet = Fleet::new(self.world, Model::new(self.world));
        for step in &way {
            fleet.take(self.world, *step).unwrap();
        }
        (way, fleet)
    }
}

/// 128 bits: that two of ten million states share one is less likely than a broken disk.
fn fingerprint(fleet: &Fleet<Model>) -> u128 {
    let half = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        fleet.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} is broken after {} steps:", self.law, self.way.len())?;
        for (number, step) in self.way.iter().enumerate() {
            writeln!(f, "{:4}. {step}", number + 1)?;
        }
        write!(f, "      {:?}", self.last)
    }
}
