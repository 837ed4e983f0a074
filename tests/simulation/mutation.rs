//! Rules broken on purpose, one at a time: each must be caught, or the simulation proves nothing.

use super::law::Law;
use super::world::{Faults, Nature, World};

/// One broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// A claim does not ask whether the upload is running.
    CopiesRunToo,
    /// Suspects do not wait for one another.
    ManySolos,
    /// A worker does not clear its room for a suspect.
    SoloBesideOthers,
    /// A suspect runs alone in a worker whose last endings are not written.
    SoloBesideUnsettled,
    /// A report that comes later replaces the first one.
    TheLastReportCounts,
    /// An event's id is made from the worker too.
    IdsNameTheWorker,
    /// Whoever ran in a lost worker is convicted.
    CompanyIsConvicted,
    /// Whoever ran in a lost worker is not suspected.
    NobodyIsSuspected,
    /// One strike that is not exact convicts.
    OneStrikeConvicts,
    /// What the control image did is not asked.
    ControlIsIgnored,
    /// The child is spawned before its attempt is in the ledger.
    SpawnedBeforeItIsRecorded,
    /// The outcome of an attempt that is not running any more is written.
    LateOutcomesCount,
    /// Burying a worker leaves its attempts running.
    BurialForgetsRuns,
    /// An ending that the ledger could not take is not kept.
    EndingsAreForgotten,
    /// A message is acknowledged before its result is published.
    AcknowledgedBeforePublished,
    /// A message is acknowledged before the ledger keeps its job.
    AcknowledgedBeforeKept,
    /// A message is acknowledged before its copy is on the ladder.
    AcknowledgedBeforePutOff,
    /// What the ledger keeps is ended before its result is published.
    EndedBeforePublished,
    /// Whoever has a message ends its job, though the ledger keeps that too.
    KeptIsEndedUntold,
    /// Whoever has the ledger keep a job does not look whether it has ended meanwhile.
    KeptIsNotLookedAt,
    /// An upload whose claim was not answered is not remembered.
    UnheardIsForgotten,
    /// An upload whose claim was not answered is claimed again, and what runs of it then is released all the same.
    DoubtIsIgnored,
}

impl Mutation {
    pub const ALL: [Self; 22] = [
        Self::CopiesRunToo,
        Self::ManySolos,
        Self::SoloBesideOthers,
        Self::SoloBesideUnsettled,
        Self::TheLastReportCounts,
        Self::IdsNameTheWorker,
        Self::CompanyIsConvicted,
        Self::NobodyIsSuspected,
        Self::OneStrikeConvicts,
        Self::ControlIsIgnored,
        Self::SpawnedBeforeItIsRecorded,
        Self::LateOutcomesCount,
        Self::BurialForgetsRuns,
        Self::EndingsAreForgotten,
        Self::AcknowledgedBeforePublished,
        Self::AcknowledgedBeforeKept,
        Self::AcknowledgedBeforePutOff,
        Self::EndedBeforePublished,
        Self::KeptIsEndedUntold,
        Self::KeptIsNotLookedAt,
        Self::UnheardIsForgotten,
        Self::DoubtIsIgnored,
    ];

    /// A world in which it does harm, and the law that it breaks there.
    pub fn harm(self) -> (World, Law) {
        use Nature::*;
        let copies = || World::of("copies", &[Good]).and(0, 0);
        let company = || World::of("poison beside an innocent", &[Poison, Good]);
        let disturbed = |faults: Faults| World::of("one good upload", &[Good]).with(faults);
        let none = Faults::default();
        let (world, law) = match self {
            Self::CopiesRunToo => (copies(), Law::OneFlight),
            Self::ManySolos | Self::SoloBesideOthers => (company(), Law::SuspectsRunAlone),
            Self::SoloBesideUnsettled => (company().with(Faults { silences: 1, ..none }), Law::ThreeLosses),
            Self::TheLastReportCounts => {
                let faults = Faults {
                    redeliveries: 1,
                    mishaps: 1,
                    ..none
                };
                (
                    World {
                        ladder: 0,
                        ..disturbed(faults)
                    },
                    Law::EndsOnce,
                )
            }
            Self::KeptIsEndedUntold | Self::KeptIsNotLookedAt => (
                disturbed(Faults {
                    redeliveries: 1,
                    ..none
                }),
                Law::NothingLost,
            ),
            Self::IdsNameTheWorker => (
                disturbed(Faults {
                    redeliveries: 1,
                    ..none
                }),
                Law::OneEventId,
            ),
            Self::CompanyIsConvicted => (company(), Law::NoInnocentConvicted),
            Self::NobodyIsSuspected | Self::SpawnedBeforeItIsRecorded => {
                (World::of("one poison", &[Poison]), Law::ThreeLosses)
            }
            Self::OneStrikeConvicts => (company().with(Faults { crashes: 1, ..none }), Law::NoInnocentConvicted),
            Self::ControlIsIgnored => (disturbed(Faults { mishaps: 2, ..none }), Law::NoInnocentConvicted),
            Self::LateOutcomesCount => {
                let faults = Faults { pauses: 1, ..none };
                (
                    World {
                        one_host: false,
                        ..disturbed(faults)
                    },
                    Law::FencedChangesNothing,
                )
            }
            Self::BurialForgetsRuns => (disturbed(Faults { crashes: 1, ..none }), Law::AlwaysCanFinish),
            Self::EndingsAreForgotten => (disturbed(Faults { silences: 1, ..none }), Law::AlwaysCanFinish),
            Self::UnheardIsForgotten => (disturbed(Faults { unheard: 1, ..none }), Law::AlwaysCanFinish),
            // What runs is taken out of the ledger: nobody knows that it killed its worker.
            Self::DoubtIsIgnored => {
                let unheard = Faults { unheard: 1, ..none };
                (World::of("one poison", &[Poison]).with(unheard), Law::ThreeLosses)
            }
            Self::AcknowledgedBeforePublished => (disturbed(none), Law::NothingLost),
            Self::AcknowledgedBeforeKept | Self::EndedBeforePublished => (copies(), Law::NothingLost),
            Self::AcknowledgedBeforePutOff => (disturbed(Faults { mishaps: 1, ..none }), Law::NothingLost),
        };
        (world.mutated(self), law)
    }
}
