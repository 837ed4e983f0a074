//! The watch over one running child: packets at their turn, clocks every 10 ms, one kill, one reap.

use std::future::pending;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::{Child, Sandbox, Watch};
use crate::admission::{NoRoom, Share};
use crate::clock::Stopwatch;
use crate::recipe::Recipe;
use crate::sandbox::layers::LayerReport;
use crate::sandbox::limits::{Ceiling, Grant};
use crate::sandbox::outcome::{Facts, KilledFor, Said, Start};
use crate::sandbox::protocol::{Declaration, FromChild, MAX_FROM_CHILD, Packet, Phase, ToChild};
use crate::sandbox::{host, limits, sys};

/// How often the child's clocks are read: the precision of the CPU grant.
const TICK: Duration = Duration::from_millis(10);

/// Most packets of one child: an honest one says READY, what it declares, a phase or two for each rendition, what it found, and its last word.
/// One that says more has no use for it, and the supervisor has none for listening until the CPU time is over.
const MOST_PACKETS: u32 = 256;

/// What is known once the child is gone.
pub(super) struct Ran {
    pub facts: Facts,
    pub layers: Vec<LayerReport>,
    pub ready_after: Option<Duration>,
    pub drilled: Option<FromChild>,
}

impl Ran {
    /// No child could be started.
    pub fn not(sandbox: &Sandbox, why: String) -> Self {
        let facts = Facts::at_start(&sandbox.limits, why);
        Self {
            facts,
            layers: Vec::new(),
            ready_after: None,
            drilled: None,
        }
    }
}

/// Where a child stands in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It locks itself down.
    LockingDown,
    /// It reads headers.
    Preflight,
    /// It has declared, and waits for memory.
    Waiting,
    /// It has its grant.
    Granted,
    /// It has said its last word, or is being killed.
    Ended,
}

/// What woke the supervisor.
enum Event {
    Packet(Packet),
    Admitted(Result<(Share, Grant), NoRoom>),
    HungUp,
    Ended,
    Tick,
    Release,
}

type Admission = Pin<Box<dyn Future<Output = Result<(Share, Grant), NoRoom>> + Send>>;

struct Run<'a> {
    sandbox: &'a Sandbox,
    recipe: &'a Recipe,
    ceiling: Option<Ceiling>,
    child: Child,
    watch: Watch,
    turn: Turn,
    /// Whether the line to the child is still open.
    line_open: bool,
    /// How many packets came.
    heard: u32,
    /// When the present grant's wall time began, and what had been waited for a processor until then.
    wall: (Stopwatch, Duration),
    admission: Option<Admission>,
    share: Option<Share>,
    ran: Ran,
}

/// Watches until the process is gone and reaped.
pub(super) async fn to_the_end(
    sandbox: &Sandbox,
    recipe: &Recipe,
    ceiling: Option<Ceiling>,
    child: Child,
    watch: Watch,
    mut release: watch::Receiver<bool>,
) -> io::Result<Ran> {
    let mut run = Run {
        wall: (child.spawned, Duration::ZERO),
        ran: Ran::not(sandbox, "the child ended before it was READY".to_owned()),
        sandbox,
        recipe,
        ceiling,
        child,
        watch,
        turn: Turn::LockingDown,
        line_open: true,
        heard: 0,
        admission: None,
        share: None,
    };
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + TICK, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = vec![0; MAX_FROM_CHILD + 1];
    loop {
        let event = tokio::select! {
            // Words before the end: what a child said before it went counts.
            biased;
            event = next_packet(&run.child, &mut buffer), if run.line_open => event,
            _ = run.child.pidfd.readable() => Event::Ended,
            admitted = admitted(&mut run.admission) => Event::Admitted(admitted),
            _ = ticks.tick() => Event::Tick,
            () = released(&mut release), if run.ran.facts.killed_for.is_none() => Event::Release,
        };
        match event {
            Event::Packet(packet) => run.hear(packet),
            Event::Admitted(Ok((share, grant))) => run.grant(share, grant),
            Event::Admitted(Err(no_room)) => {
                tracing::warn!(%no_room, "attempt released");
                run.kill(KilledFor::Release);
            }
            Event::HungUp => run.line_open = false,
            Event::Tick => run.look(),
            Event::Release => run.kill(KilledFor::Release),
            Event::Ended => break,
        }
    }
    run.hear_the_rest(&mut buffer);
    run.reap()
}

async fn admitted(admission: &mut Option<Admission>) -> Result<(Share, Grant), NoRoom> {
    match admission {
        Some(admission) => admission.await,
        None => pending().await,
    }
}

/// Waits until release is asked for; for ever where nobody can ask any more.
async fn released(release: &mut watch::Receiver<bool>) {
    if release.wait_for(|released| *released).await.is_err() {
        pending().await
    }
}

async fn next_packet(child: &Child, buffer: &mut [u8]) -> Event {
    loop {
        let Ok(mut ready) = child.control.readable().await else {
            return Event::HungUp;
        };
        match ready.try_io(|control| sys::receive(control.as_fd(), buffer)) {
            Ok(Ok(0) | Err(_)) => return Event::HungUp,
            Ok(Ok(length)) => return Event::Packet(read(buffer, length)),
            Err(_would_block) => {}
        }
    }
}

impl Run<'_> {
    /// Takes one packet at its turn; what is not expected now is malformed.
    fn hear(&mut self, packet: Packet) {
        self.heard += 1;
        if self.heard > MOST_PACKETS {
            return self.malformed(format!("more than {MOST_PACKETS} messages"));
        }
        let facts = &mut self.ran.facts;
        let message = match packet {
            Packet::Memory(record) => return facts.memory_record = facts.memory_record.or(Some(record)),
            // A child that ran out of memory may say something more, in prose, before it is gone.
            Packet::Malformed(_) if facts.memory_record.is_some() => return,
            Packet::Malformed(what) => return self.malformed(what),
            Packet::Message(message) => message,
        };
        match (self.turn, message) {
            (Turn::LockingDown, FromChild::Ready(layers)) => {
                facts.start = Start::Ready;
                self.ran.ready_after = Some(self.child.spawned.elapsed());
                self.ran.layers = layers;
                self.turn = Turn::Preflight;
            }
            (Turn::LockingDown, FromChild::Unready(why)) => facts.start = Start::Failed(why),
            (Turn::Preflight, FromChild::Declared(declared)) => self.consider(declared),
            (Turn::Granted, FromChild::Phase(phase)) => facts.phase = phase,
            (Turn::Preflight | Turn::Granted, FromChild::Refused(refusal)) => self.last_word(Said::Refused(refusal)),
            (Turn::Granted, FromChild::Found(found)) => facts.found = found,
            (Turn::Granted, FromChild::Done(made)) => self.last_word(Said::Done(made)),
            (Turn::Preflight | Turn::Granted, FromChild::Panicked(message)) => facts.said = Said::Panicked(message),
            (Turn::Granted, word @ (FromChild::Held(_) | FromChild::Escaped(_))) => {
                self.ran.drilled = Some(word);
                self.last_word(Said::Nothing);
            }
            // What was on its way when it was told to end.
            (Turn::Ended, _) => {}
            (turn, _) => self.malformed(format!("a message out of turn ({turn:?})")),
        }
    }

    /// Checks a declaration against the limits, then the ceiling, and asks for memory.
    fn consider(&mut self, declared: Declaration) {
        let granted = self.sandbox.limits.grant(&declared, self.recipe);
        let granted = granted.map(|grant| grant.raised(self.sandbox.times, &self.sandbox.limits));
        let declined = self
            .ceiling
            .and_then(|ceiling| ceiling.exceeded(&declared, self.recipe));
        self.ran.facts.declared = Some(declared);
        // A tick that came late lets no preflight have the time of a conversion.
        self.read_clocks();
        if self.watch != Watch::KernelOnly && self.ran.facts.usage.cpu_ms > self.ran.facts.grant.cpu_ms {
            self.turn = Turn::Ended;
            return self.kill(KilledFor::Cpu);
        }
        match granted {
            Err(refusal) => {
                self.ran.facts.overruled = Some(refusal);
                self.turn = Turn::Ended;
                self.kill(KilledFor::Settled);
            }
            Ok(_) if declined.is_some() => {
                self.ran.facts.declined = declined;
                self.turn = Turn::Ended;
                self.kill(KilledFor::Settled);
            }
            Ok(grant) => {
                let (budget, longest) = (self.sandbox.budget.clone(), self.sandbox.limits.admission_wait);
                let ask = async move { Ok((budget.take(grant.memory_bytes, longest).await?, grant)) };
                self.admission = Some(Box::pin(ask));
                self.turn = Turn::Waiting;
            }
        }
    }

    /// The memory is there: go.
    fn grant(&mut self, share: Share, grant: Grant) {
        self.ran.facts.grant = grant;
        self.share = Some(share);
        self.admission = None;
        self.turn = Turn::Granted;
        self.ran.facts.phase = Phase::Decode;
        self.wall = (Stopwatch::start(), host::waited(self.child.pid));
        let sent = serde_json::to_vec(&ToChild::Grant(grant))
            .map_err(io::Error::other)
            .and_then(|packet| sys::send(self.child.control.as_fd(), &packet));
        // Where it cannot be sent, the child is gone: its end tells why.
        self.line_open &= sent.is_ok();
    }

    /// The child has said what it had to say: readings are taken while it still is, then it may go.
    fn last_word(&mut self, said: Said) {
        self.ran.facts.said = said;
        self.turn = Turn::Ended;
        self.read_clocks();
        self.line_open = sys::hang_up(self.child.control.as_fd()).is_ok();
    }

    fn malformed(&mut self, what: String) {
        self.ran.facts.said = Said::Malformed(what);
        self.turn = Turn::Ended;
        self.kill(KilledFor::Settled);
    }

    /// Reads the clocks, and ends what is over its grant.
    fn look(&mut self) {
        self.read_clocks();
        if self.watch == Watch::KernelOnly || self.ran.facts.killed_for.is_some() {
            return;
        }
        let Facts { usage, grant, .. } = self.ran.facts;
        let resident = grant.memory_bytes + limits::RESIDENT_MARGIN.as_u64() + self.sandbox.limits.input.as_u64();
        if usage.cpu_ms > grant.cpu_ms {
            self.kill(KilledFor::Cpu);
        } else if usage.peak_memory_bytes > resident {
            self.kill(KilledFor::Memory);
        } else if self.turn != Turn::Waiting && self.ran_for() > Duration::from_millis(grant.wall_ms) {
            self.kill(KilledFor::Wall);
        }
    }

    /// Wall time of the present grant, less the time the child was runnable and no processor was to be had.
    fn ran_for(&self) -> Duration {
        let (since, waited_before) = self.wall;
        let waited = Duration::from_millis(self.ran.facts.usage.waited_ms).saturating_sub(waited_before);
        since.elapsed().saturating_sub(waited)
    }

    fn read_clocks(&mut self) {
        let pid = self.child.pid;
        let usage = &mut self.ran.facts.usage;
        if let Ok(cpu) = sys::cpu_time(pid) {
            usage.cpu_ms = usage.cpu_ms.max(cpu.as_millis() as u64);
        }
        usage.waited_ms = usage.waited_ms.max(host::waited(pid).as_millis() as u64);
        usage.peak_memory_bytes = usage.peak_memory_bytes.max(host::peak_memory(pid).unwrap_or(0));
    }

    fn kill(&mut self, why: KilledFor) {
        // What is being killed is granted nothing more; and a wait that is over must not be asked again.
        self.admission = None;
        if self.ran.facts.killed_for.is_none() {
            self.ran.facts.killed_for = Some(why);
            sys::kill_group(self.child.pid);
        }
    }

    /// Takes what the child had sent before it ended; only what explains the end counts now.
    fn hear_the_rest(&mut self, buffer: &mut [u8]) {
        while let Ok(length @ 1..) = sys::receive(self.child.control.as_fd(), buffer) {
            let facts = &mut self.ran.facts;
            match read(buffer, length) {
                Packet::Memory(record) => facts.memory_record = facts.memory_record.or(Some(record)),
                Packet::Message(FromChild::Panicked(message)) => facts.said = Said::Panicked(message),
                Packet::Message(FromChild::Unready(why)) if self.turn == Turn::LockingDown => {
                    facts.start = Start::Failed(why);
                }
                Packet::Message(_) | Packet::Malformed(_) => {}
            }
        }
    }

    /// Kills what may be left of the group, and reaps the child.
    fn reap(mut self) -> io::Result<Ran> {
        self.read_clocks();
        sys::kill_group(self.child.pid);
        let (end, cpu) = sys::reap(self.child.pid)?;
        self.child.reaped = true;
        let facts = &mut self.ran.facts;
        facts.end = end;
        facts.usage.cpu_ms = facts.usage.cpu_ms.max(cpu.as_millis() as u64);
        facts.usage.wall_ms = self.child.spawned.elapsed_ms();
        if let Some(record) = &facts.memory_record {
            facts.usage.peak_memory_bytes = facts.usage.peak_memory_bytes.max(record.in_use);
        }
        Ok(self.ran)
    }
}

fn read(buffer: &[u8], length: usize) -> Packet {
    match buffer.get(..length) {
        Some(packet) => Packet::read(packet),
        None => Packet::Malformed(format!("a packet of {length} bytes")),
    }
}
