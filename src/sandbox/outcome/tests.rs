//! The table, row by row, and its laws.

use proptest::prelude::*;

use super::*;
use crate::format::Format;

/// A child that did everything right.
fn good() -> Facts {
    let made = Made {
        format: Format::Webp,
        width: 10,
        height: 10,
        bytes: 100,
        quality: Some(80),
        frames: 1,
        notes: crate::verdict::Notes::NONE,
    };
    Facts {
        start: Start::Ready,
        said: Said::Done(vec![made]),
        overruled: None,
        declined: None,
        declared: None,
        found: Found::default(),
        phase: Phase::Encode,
        memory_record: None,
        end: End::Exited(0),
        killed_for: None,
        grant: Grant {
            memory_bytes: 100 << 20,
            cpu_ms: 1000,
            wall_ms: 5000,
        },
        output_allowed: 1 << 20,
        usage: Usage {
            cpu_ms: 100,
            wall_ms: 120,
            waited_ms: 0,
            peak_memory_bytes: 10 << 20,
        },
        output: OutputCheck::Good,
        host: Host::Quiet,
    }
}

fn signalled(signal: i32) -> Facts {
    Facts {
        said: Said::Nothing,
        end: End::Signalled(signal),
        ..good()
    }
}

fn killed_for(why: KilledFor) -> Facts {
    Facts {
        killed_for: Some(why),
        ..signalled(libc::SIGKILL)
    }
}

fn out_of_wall(cpu_ms: u64, host: Host) -> Facts {
    let usage = Usage {
        cpu_ms,
        wall_ms: 5010,
        ..good().usage
    };
    Facts {
        usage,
        host,
        ..killed_for(KilledFor::Wall)
    }
}

fn refusal(reason: Reason) -> Refusal {
    Refusal::new(reason, "a test")
}

fn record() -> MemoryRecord {
    MemoryRecord {
        requested: 1 << 30,
        in_use: 1 << 20,
        allowed: 100 << 20,
    }
}

fn tripped(facts: &Facts) -> Option<Reason> {
    match judge(facts) {
        Outcome::Tripped(trip) => Some(trip.reason),
        _ => None,
    }
}

#[test]
fn a_clean_exit_with_output_that_checks_is_converted() {
    assert!(matches!(judge(&good()), Outcome::Converted(made) if made.len() == 1));
}

#[test]
fn no_ready_is_our_own_fault() {
    let facts = Facts {
        start: Start::Failed("no Landlock".to_owned()),
        ..signalled(libc::SIGKILL)
    };
    assert_eq!(judge(&facts), Outcome::Unavailable("no Landlock".to_owned()));
}

#[test]
fn a_refusal_is_refused() {
    let facts = Facts {
        said: Said::Refused(refusal(Reason::Corrupt)),
        ..good()
    };
    assert_eq!(judge(&facts), Outcome::Refused(refusal(Reason::Corrupt)));
}

#[test]
fn a_refusal_for_a_reason_that_is_not_the_childs_to_give_is_a_crash() {
    for reason in [
        Reason::Unavailable,
        Reason::Store,
        Reason::TenantBlocked,
        Reason::Memory,
        Reason::SourceMissing,
    ] {
        let facts = Facts {
            said: Said::Refused(refusal(reason)),
            ..good()
        };
        assert!(matches!(judge(&facts), Outcome::Crashed(_)), "{reason:?}");
    }
}

#[test]
fn the_supervisors_own_refusal_stands_whatever_the_child_says() {
    let overruled = Some(refusal(Reason::TooManyPixels));
    let facts = Facts {
        overruled,
        ..killed_for(KilledFor::Settled)
    };
    assert_eq!(judge(&facts), Outcome::Refused(refusal(Reason::TooManyPixels)));
}

#[test]
fn what_policy_declines_is_neither_the_uploads_fault_nor_the_childs_to_say() {
    let exceeded = Exceeded {
        limit: "work".to_owned(),
        seen: 2,
        allowed: 1,
    };
    let facts = Facts {
        declined: Some(exceeded.clone()),
        said: Said::Panicked(String::new()),
        ..killed_for(KilledFor::Settled)
    };
    assert_eq!(judge(&facts), Outcome::Declined(exceeded));
}

#[test]
fn memory_trips() {
    let recorded = Facts {
        memory_record: Some(record()),
        ..signalled(libc::SIGABRT)
    };
    assert_eq!(tripped(&recorded), Some(Reason::Memory));
    assert_eq!(tripped(&killed_for(KilledFor::Memory)), Some(Reason::Memory));
}

#[test]
fn what_is_seen_of_a_memory_trip_is_always_more_than_allowed() {
    let seen = |requested, peak_memory_bytes| {
        let record = MemoryRecord {
            requested,
            in_use: 1 << 20,
            allowed: 100 << 20,
        };
        let usage = Usage {
            peak_memory_bytes,
            ..good().usage
        };
        let facts = Facts {
            memory_record: Some(record),
            usage,
            ..signalled(libc::SIGABRT)
        };
        match judge(&facts) {
            Outcome::Tripped(trip) => trip.exceeded.seen,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(seen(200 << 20, 0), 201 << 20);
    assert_eq!(seen(4 << 20, 130 << 20), 130 << 20);
    assert_eq!(seen(4 << 20, 0), (100 << 20) + 1);
}

#[test]
fn a_memory_record_and_then_success_is_still_a_trip() {
    let facts = Facts {
        memory_record: Some(record()),
        ..good()
    };
    assert_eq!(tripped(&facts), Some(Reason::Memory));
}

#[test]
fn cpu_trips() {
    for facts in [
        signalled(libc::SIGPROF),
        signalled(libc::SIGXCPU),
        killed_for(KilledFor::Cpu),
    ] {
        assert_eq!(tripped(&facts), Some(Reason::Cpu));
    }
}

#[test]
fn output_trips() {
    assert_eq!(tripped(&signalled(libc::SIGXFSZ)), Some(Reason::Output));
    let long = Facts {
        output: OutputCheck::TooLong { bytes: 2 << 20 },
        ..good()
    };
    assert_eq!(tripped(&long), Some(Reason::Output));
}

#[test]
fn out_of_wall_time_depends_on_cpu_and_host() {
    assert_eq!(tripped(&out_of_wall(800, Host::Quiet)), Some(Reason::Cpu));
    assert_eq!(tripped(&out_of_wall(800, Host::Busy)), Some(Reason::Cpu));
    assert_eq!(tripped(&out_of_wall(799, Host::Quiet)), Some(Reason::Wall));
    assert_eq!(judge(&out_of_wall(799, Host::Busy)), Outcome::Starved);
}

#[test]
fn the_childs_own_wall_timer_counts_the_same() {
    assert_eq!(tripped(&signalled(libc::SIGALRM)), Some(Reason::Wall));
    let busy = Facts {
        host: Host::Busy,
        ..signalled(libc::SIGALRM)
    };
    assert_eq!(judge(&busy), Outcome::Starved);
}

#[test]
fn a_forbidden_call_is_a_violation() {
    assert_eq!(judge(&signalled(libc::SIGSYS)), Outcome::Violation);
}

#[test]
fn signals_panics_and_nonsense_are_crashes() {
    for signal in [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGILL,
        libc::SIGFPE,
        libc::SIGABRT,
        libc::SIGTERM,
    ] {
        assert!(matches!(judge(&signalled(signal)), Outcome::Crashed(_)), "{signal}");
    }
    let panicked = Facts {
        said: Said::Panicked("index".to_owned()),
        ..signalled(libc::SIGABRT)
    };
    assert_eq!(judge(&panicked), Outcome::Crashed("index".to_owned()));
    let malformed = Facts {
        said: Said::Malformed("what".to_owned()),
        ..killed_for(KilledFor::Settled)
    };
    assert!(matches!(judge(&malformed), Outcome::Crashed(_)));
    let silent = Facts {
        said: Said::Nothing,
        ..good()
    };
    assert!(matches!(judge(&silent), Outcome::Crashed(_)));
    let code = Facts {
        end: End::Exited(3),
        ..good()
    };
    assert!(matches!(judge(&code), Outcome::Crashed(_)));
    let lied = Facts {
        output: OutputCheck::Bad("html".to_owned()),
        ..good()
    };
    assert!(matches!(judge(&lied), Outcome::Crashed(_)));
}

#[test]
fn a_kill_that_is_not_ours_is_killed() {
    assert_eq!(judge(&signalled(libc::SIGKILL)), Outcome::Killed);
}

#[test]
fn release_leaves_nothing_behind() {
    assert_eq!(judge(&killed_for(KilledFor::Release)), Outcome::Released);
}

#[test]
fn a_trip_that_came_before_the_release_counts() {
    let facts = Facts {
        memory_record: Some(record()),
        ..killed_for(KilledFor::Release)
    };
    assert_eq!(tripped(&facts), Some(Reason::Memory));
}

#[test]
fn a_full_staging_folder_is_our_own_fault() {
    let facts = Facts {
        host: Host::Full,
        ..signalled(libc::SIGABRT)
    };
    assert!(matches!(judge(&facts), Outcome::Unavailable(_)));
}

fn any_said() -> impl Strategy<Value = Said> {
    let reasons = prop_oneof![
        Just(Reason::Corrupt),
        Just(Reason::Unavailable),
        Just(Reason::Store),
        Just(Reason::TenantBlocked),
        Just(Reason::Cpu),
    ];
    prop_oneof![
        Just(Said::Nothing),
        Just(good().said),
        reasons.prop_map(|reason| Said::Refused(refusal(reason))),
        ".{0,20}".prop_map(Said::Panicked),
        ".{0,20}".prop_map(Said::Malformed),
    ]
}

prop_compose! {
    fn any_facts()(
        said in any_said(),
        record in prop::option::of(Just(record())),
        end in prop_oneof![(0i32..4).prop_map(End::Exited), (1i32..32).prop_map(End::Signalled)],
        killed_for in prop::option::of(prop_oneof![
            Just(KilledFor::Cpu), Just(KilledFor::Memory), Just(KilledFor::Wall),
            Just(KilledFor::Settled), Just(KilledFor::Release),
        ]),
        cpu_ms in 0u64..3000,
        wall_ms in 0u64..9000,
        output in prop_oneof![
            Just(OutputCheck::Good), Just(OutputCheck::Bad(String::new())), Just(OutputCheck::TooLong { bytes: 9 << 20 }),
        ],
        host in prop_oneof![Just(Host::Quiet), Just(Host::Busy)],
        phase in prop_oneof![Just(Phase::Preflight), Just(Phase::Decode), Just(Phase::Encode)],
    ) -> Facts {
        let usage = Usage { cpu_ms, wall_ms, ..good().usage };
        Facts { said, memory_record: record, end, killed_for, usage, output, host, phase, ..good() }
    }
}

proptest! {
    #[test]
    fn after_ready_nothing_is_our_fault(facts in any_facts()) {
        prop_assert!(!matches!(judge(&facts), Outcome::Unavailable(_)));
    }

    #[test]
    fn no_word_changes_what_was_seen(facts in any_facts(), word in any_said()) {
        let signalled = matches!(facts.end, End::Signalled(_));
        if signalled && !matches!(facts.said, Said::Panicked(_) | Said::Malformed(_)) {
            let other = Facts { said: word.clone(), ..facts.clone() };
            let (before, after) = (judge(&facts), judge(&other));
            // A word may turn a crash, a kill or a time-out into a crash: never into success, refusal or release.
            prop_assert!(before == after || matches!(after, Outcome::Crashed(_)), "{before:?} {after:?}");
        }
    }

    #[test]
    fn only_a_clean_exit_converts(facts in any_facts()) {
        if let Outcome::Converted(_) = judge(&facts) {
            prop_assert_eq!(facts.end, End::Exited(0));
            prop_assert_eq!(facts.output, OutputCheck::Good);
            prop_assert!(facts.memory_record.is_none());
        }
    }

    #[test]
    fn never_ready_is_never_the_uploads_doing(facts in any_facts(), why in ".{0,20}") {
        let facts = Facts { start: Start::Failed(why.clone()), ..facts };
        let expected = match facts.killed_for {
            Some(KilledFor::Release) => Outcome::Released,
            _ => Outcome::Unavailable(why),
        };
        prop_assert_eq!(judge(&facts), expected);
    }

    #[test]
    fn starvation_needs_a_busy_host(facts in any_facts()) {
        if judge(&facts) == Outcome::Starved {
            prop_assert_eq!(facts.host, Host::Busy);
        }
    }

    #[test]
    fn exact_evidence_convicts_at_one_strike(facts in any_facts()) {
        use crate::blame::{self, Control, Judgement};
        if exact_evidence(&facts).is_some() {
            let outcome = judge(&facts);
            prop_assert!(matches!(blame::judge(&outcome, &[], Control::Converted), Judgement::Convict(_)));
        }
    }
}
