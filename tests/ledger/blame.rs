//! Who is to blame: strikes, suspicion, convictions, lost workers.

use lazaret::blame::{Control, Judgement, Scope};
use lazaret::ledger::{Claim, Claimed, Ending, Epoch, Ledger, Settled};
use lazaret::quarantine::{Action, Gate, State};
use lazaret::sandbox::outcome::Outcome;
use lazaret::sandbox::protocol::Phase;
use lazaret::verdict::Reason;

use super::world::*;

const CONVERTED: Outcome = Outcome::Converted(Vec::new());

async fn state(ledger: &dyn Ledger, upload: &str) -> Option<State> {
    entry(ledger, upload).await.map(|entry| entry.state)
}

pub async fn an_exact_trip_convicts_at_once(world: &dyn World) {
    let ledger = world.ledger();
    let attempt = start(ledger, &claim("bomb")).await;
    let end = Ending {
        specimen: Some("ab/bomb".to_owned()),
        ..ending(attempt, tripped(Reason::Memory))
    };
    assert_eq!(settle(ledger, &end).await, Judgement::Convict(Reason::Memory));
    let dossier = ledger.dossier(&digest("bomb")).await.unwrap().unwrap();
    let entry = &dossier.entry;
    assert_eq!(
        (entry.state, entry.reason, entry.scope),
        (State::Quarantined, Reason::Memory, Scope::Upload)
    );
    assert_eq!(
        (entry.detail.as_str(), entry.specimen.as_deref()),
        ("test: 9 seen, 8 allowed", Some("ab/bomb"))
    );
    assert_eq!(
        (&entry.looks, &entry.epoch, &entry.recipe),
        (&end.looks, &epoch(), &Some(recipe("thumb")))
    );
    assert!(entry.expires.is_some_and(|expires| expires > entry.changed));
    assert_eq!(
        (dossier.strikes.len(), &dossier.strikes[0].evidence),
        (1, &end.evidence)
    );
    assert_eq!(
        (dossier.attempts[0].outcome.as_str(), dossier.attempts[0].usage),
        ("tripped", end.usage)
    );
}

pub async fn the_second_wall_strike_convicts(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(
        run(ledger, &claim("slow"), tripped(Reason::Wall)).await,
        Judgement::Strike(Reason::Wall)
    );
    assert_eq!(state(ledger, "slow").await, Some(State::Suspected));
    let attempt = start(ledger, &claim("slow")).await;
    assert_eq!(attempt.gate, Gate::Solo);
    let judgement = settle(ledger, &ending(attempt, tripped(Reason::Wall))).await;
    assert_eq!(judgement, Judgement::Convict(Reason::Wall));
    let entry = entry(ledger, "slow").await.unwrap();
    assert_eq!((entry.state, entry.strikes), (State::Quarantined, 2));
}

pub async fn crashes_a_day_apart_do_not_add_up(world: &dyn World) {
    let later = world.later(HOUR * 25);
    assert_eq!(
        run(world.ledger(), &claim("x"), crashed()).await,
        Judgement::Strike(Reason::Crash)
    );
    assert_eq!(
        run(&*later, &claim("x"), crashed()).await,
        Judgement::Strike(Reason::Crash)
    );
    assert_eq!(
        run(&*later, &claim("x"), crashed()).await,
        Judgement::Convict(Reason::Crash)
    );
}

pub async fn strikes_of_another_epoch_do_not_count(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(
        run(ledger, &claim("x"), crashed()).await,
        Judgement::Strike(Reason::Crash)
    );
    let newer = Claim {
        epoch: Epoch {
            build: "build-2".to_owned(),
            ..epoch()
        },
        ..claim("x")
    };
    assert_eq!(run(ledger, &newer, crashed()).await, Judgement::Strike(Reason::Crash));
    assert_eq!(run(ledger, &newer, crashed()).await, Judgement::Convict(Reason::Crash));
}

pub async fn strikes_before_a_release_do_not_count(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(
        run(ledger, &claim("x"), crashed()).await,
        Judgement::Strike(Reason::Crash)
    );
    ledger.act(&digest("x"), Action::Release, &operator()).await.unwrap();
    assert_eq!(
        run(ledger, &claim("x"), crashed()).await,
        Judgement::Strike(Reason::Crash)
    );
    assert_eq!(
        run(ledger, &claim("x"), crashed()).await,
        Judgement::Convict(Reason::Crash)
    );
    assert_eq!(entry(ledger, "x").await.unwrap().strikes, 3);
}

pub async fn success_clears_a_suspect(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(
        run(ledger, &claim("x"), crashed()).await,
        Judgement::Strike(Reason::Crash)
    );
    assert_eq!(run(ledger, &claim("x"), CONVERTED).await, Judgement::Clear);
    assert_eq!(state(ledger, "x").await, Some(State::Released));
    let audit = ledger.dossier(&digest("x")).await.unwrap().unwrap().audit;
    let actions: Vec<_> = audit
        .iter()
        .map(|row| (row.who.as_str(), row.action.as_str()))
        .collect();
    assert_eq!(actions, [("lazaret", "suspect"), ("lazaret", "clear")]);
}

pub async fn a_refusal_clears_a_suspect(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(
        run(ledger, &claim("x"), crashed()).await,
        Judgement::Strike(Reason::Crash)
    );
    assert_eq!(run(ledger, &claim("x"), refused()).await, Judgement::Remember);
    assert_eq!(state(ledger, "x").await, Some(State::Released));
}

pub async fn a_sick_host_changes_nothing(world: &dyn World) {
    let ledger = world.ledger();
    let attempt = start(ledger, &claim("x")).await;
    let end = Ending {
        control: Control::Failed,
        ..ending(attempt, Outcome::Violation)
    };
    assert_eq!(settle(ledger, &end).await, Judgement::SickHost);
    assert_eq!(run(ledger, &claim("x"), Outcome::Starved).await, Judgement::Retry);
    assert_eq!(state(ledger, "x").await, None);
}

pub async fn a_late_outcome_is_fenced(world: &dyn World) {
    let ledger = world.ledger();
    let attempt = start(ledger, &claim("x")).await;
    assert_eq!(ledger.bury(&worker("w1")).await.unwrap().len(), 1);
    let late = ending(attempt, tripped(Reason::Memory));
    assert_eq!(ledger.settle(&late).await.unwrap(), Settled::Fenced);
    assert_eq!(state(ledger, "x").await, Some(State::Suspected));
    let next = start(
        ledger,
        &Claim {
            worker: worker("w2"),
            ..claim("x")
        },
    )
    .await;
    assert_eq!(ledger.settle(&late).await.unwrap(), Settled::Fenced);
    assert_eq!(settle(ledger, &ending(next, CONVERTED)).await, Judgement::Clear);
    assert_eq!(ledger.settle(&ending(next, CONVERTED)).await.unwrap(), Settled::Fenced);
}

pub async fn a_suspect_runs_alone_in_the_fleet(world: &dyn World) {
    let ledger = world.ledger();
    lose_in_company(ledger, "a", "w3").await;
    let first = start(ledger, &claim("a")).await;
    assert_eq!(first.gate, Gate::Solo);
    let second = Claim {
        worker: worker("w2"),
        ..claim("company of a")
    };
    assert_eq!(ledger.claim(&second).await.unwrap(), Claimed::Busy);
    assert_eq!(
        start(
            ledger,
            &Claim {
                worker: worker("w2"),
                ..claim("innocent")
            }
        )
        .await
        .gate,
        Gate::Open
    );
    assert_eq!(settle(ledger, &ending(first, CONVERTED)).await, Judgement::Clear);
    assert_eq!(start(ledger, &second).await.gate, Gate::Solo);
}

pub async fn company_loss_convicts_nobody(world: &dyn World) {
    let ledger = world.ledger();
    for (round, lost) in ["w1", "w2", "w3"].into_iter().enumerate() {
        lose_in_company(ledger, &format!("round {round}"), lost).await;
    }
    for entry in ledger.entries(&Default::default()).await.unwrap() {
        assert_eq!(
            (entry.state, entry.reason, entry.strikes),
            (State::Suspected, Reason::WorkerLoss, 0)
        );
    }
}

pub async fn a_poison_is_convicted_after_three_workers(world: &dyn World) {
    let ledger = world.ledger();
    lose_in_company(ledger, "poison", "w1").await;
    for (lost, judgement) in [
        ("w2", Judgement::Strike(Reason::WorkerLoss)),
        ("w3", Judgement::Convict(Reason::WorkerLoss)),
    ] {
        assert_eq!(
            start(
                ledger,
                &Claim {
                    worker: worker(lost),
                    ..claim("poison")
                }
            )
            .await
            .gate,
            Gate::Solo
        );
        assert_eq!(ledger.bury(&worker(lost)).await.unwrap()[0].judgement, judgement);
    }
    let dossier = ledger.dossier(&digest("poison")).await.unwrap().unwrap();
    assert_eq!(
        (dossier.entry.state, dossier.entry.reason),
        (State::Quarantined, Reason::WorkerLoss)
    );
    let outcomes: Vec<_> = dossier
        .attempts
        .iter()
        .map(|attempt| (attempt.outcome.as_str(), attempt.solo))
        .collect();
    assert_eq!(outcomes, [("lost", true), ("lost", true), ("lost", false)]);
    assert_eq!(state(ledger, "company of poison").await, Some(State::Suspected));
}

pub async fn a_loss_leaves_stricter_entries_alone(world: &dyn World) {
    let ledger = world.ledger();
    convict(ledger, "vouched for").await;
    ledger
        .act(&digest("vouched for"), Action::Allow, &operator())
        .await
        .unwrap();
    lose_in_company(ledger, "vouched for", "w1").await;
    assert_eq!(state(ledger, "vouched for").await, Some(State::Allowed));

    let attempt = start(
        ledger,
        &Claim {
            worker: worker("w2"),
            ..claim("encoder")
        },
    )
    .await;
    let end = Ending {
        phase: Phase::Encode,
        ..ending(attempt, tripped(Reason::Cpu))
    };
    assert_eq!(settle(ledger, &end).await, Judgement::Convict(Reason::Cpu));
    let _ = start(
        ledger,
        &Claim {
            worker: worker("w2"),
            recipe: recipe("large"),
            ..claim("encoder")
        },
    )
    .await;
    assert_eq!(ledger.bury(&worker("w2")).await.unwrap()[0].judgement, Judgement::Retry);
    assert_eq!(state(ledger, "encoder").await, Some(State::Quarantined));
}

pub async fn a_solo_run_in_company_is_no_solo_loss(world: &dyn World) {
    let ledger = world.ledger();
    lose_in_company(ledger, "a", "w3").await;
    let _ = start(ledger, &claim("a")).await;
    let _ = start(ledger, &claim("beside it")).await;
    for lost in ledger.bury(&worker("w1")).await.unwrap() {
        assert_eq!(lost.judgement, Judgement::Retry);
    }
    assert_eq!(entry(ledger, "a").await.unwrap().strikes, 0);
}

pub async fn expired_leases_are_buried(world: &dyn World) {
    let ledger = world.ledger();
    let attempt = start(ledger, &claim("a")).await;
    let by = worker("w2");
    assert_eq!(ledger.bury_expired(&by, &[]).await.unwrap(), []);
    let later = world.later(lazaret::ledger::LEASE * 2);
    // Its own is over as well: what it sees may be an old state of the ledger.
    assert_eq!(later.bury_expired(&by, &[]).await.unwrap(), []);
    assert_eq!(later.bury_expired(&worker("nobody"), &[]).await.unwrap(), []);
    let before = ledger.heartbeat(&by).await.unwrap();
    let renewed = later.heartbeat(&by).await.unwrap();
    assert_eq!(renewed.before_ms, before.until_ms);
    assert!(renewed.until_ms > before.until_ms);
    let known_to_live = [worker("w1"), worker("w3")];
    assert_eq!(later.bury_expired(&by, &known_to_live).await.unwrap(), []);
    assert!(later.is_signed_on(&worker("w1")).await.unwrap());
    let burials = later.bury_expired(&by, &[]).await.unwrap();
    let mut buried: Vec<_> = burials.iter().map(|burial| burial.worker.0.as_str()).collect();
    buried.sort_unstable();
    assert_eq!(buried, ["w1", "w3"], "the idle one, too");
    let lost: Vec<_> = burials.iter().flat_map(|burial| &burial.lost).collect();
    assert_eq!(
        (lost.len(), lost[0].attempt, lost[0].digest),
        (1, attempt.id, digest("a"))
    );
    assert!(!later.is_signed_on(&worker("w1")).await.unwrap());
    later.heartbeat(&worker("w2")).await.unwrap();
    assert!(later.heartbeat(&worker("w1")).await.is_err());
    assert_eq!(later.bury_expired(&by, &[]).await.unwrap(), []);
}

pub async fn a_signed_off_worker_leaves_nothing_running(world: &dyn World) {
    let ledger = world.ledger();
    let _ = start(ledger, &claim("a")).await;
    ledger.sign_off(&worker("w1")).await.unwrap();
    assert_eq!(ledger.bury(&worker("w1")).await.unwrap(), []);
    assert_eq!(
        start(
            ledger,
            &Claim {
                worker: worker("w2"),
                ..claim("a")
            }
        )
        .await
        .gate,
        Gate::Open
    );
}

async fn trip_in(ledger: &dyn Ledger, claim: &Claim, phase: Phase, outcome: Outcome) -> Judgement {
    let attempt = start(ledger, claim).await;
    settle(
        ledger,
        &Ending {
            phase,
            ..ending(attempt, outcome)
        },
    )
    .await
}

pub async fn a_trip_in_the_encoder_closes_its_recipe_only(world: &dyn World) {
    let ledger = world.ledger();
    let _ = trip_in(ledger, &claim("x"), Phase::Encode, tripped(Reason::Cpu)).await;
    assert_eq!(entry(ledger, "x").await.unwrap().scope, Scope::Recipe);
    assert!(matches!(ledger.claim(&claim("x")).await.unwrap(), Claimed::Listed(_)));
    let other = Claim {
        recipe: recipe("large"),
        ..claim("x")
    };
    assert_eq!(ledger.refused(&other).await.unwrap(), None);
    assert_eq!(run(ledger, &other, CONVERTED).await, Judgement::Clear);
    assert_eq!(state(ledger, "x").await, Some(State::Quarantined));

    for _ in 0..2 {
        let _ = trip_in(ledger, &claim("crasher"), Phase::Encode, crashed()).await;
    }
    assert_eq!(entry(ledger, "crasher").await.unwrap().scope, Scope::Upload);
}

pub async fn a_second_recipe_widens_to_the_upload(world: &dyn World) {
    let ledger = world.ledger();
    let _ = trip_in(ledger, &claim("x"), Phase::Encode, tripped(Reason::Cpu)).await;
    let other = Claim {
        recipe: recipe("large"),
        ..claim("x")
    };
    let _ = trip_in(ledger, &other, Phase::Encode, tripped(Reason::Memory)).await;
    let dossier = ledger.dossier(&digest("x")).await.unwrap().unwrap();
    assert_eq!((dossier.entry.scope, dossier.entry.strikes), (Scope::Upload, 2));
    assert_eq!(dossier.audit.last().unwrap().action, "widen");
    let third = Claim {
        recipe: recipe("third"),
        ..claim("x")
    };
    assert!(matches!(ledger.claim(&third).await.unwrap(), Claimed::Listed(_)));
}

pub async fn a_vouched_upload_is_never_convicted(world: &dyn World) {
    let ledger = world.ledger();
    convict(ledger, "x").await;
    ledger.act(&digest("x"), Action::Allow, &operator()).await.unwrap();
    let attempt = start(ledger, &claim("x")).await;
    assert_eq!(attempt.gate, Gate::Vouched);
    let judgement = settle(ledger, &ending(attempt, tripped(Reason::Memory))).await;
    assert_eq!(judgement, Judgement::Convict(Reason::Memory));
    let entry = entry(ledger, "x").await.unwrap();
    assert_eq!((entry.state, entry.strikes), (State::Allowed, 2));
}

pub async fn a_suspect_is_recorded_only_by_a_worker_that_runs_nothing_else(world: &dyn World) {
    let ledger = world.ledger();
    lose_in_company(ledger, "a", "w3").await;
    let beside_others = Claim {
        alone: false,
        ..claim("a")
    };
    assert_eq!(ledger.claim(&beside_others).await.unwrap(), Claimed::MustBeAlone);
    // Nothing was recorded: losing the worker now is no solo loss.
    assert_eq!(ledger.bury(&worker("w1")).await.unwrap(), []);
    let attempt = start(
        ledger,
        &Claim {
            worker: worker("w2"),
            ..claim("a")
        },
    )
    .await;
    assert_eq!(attempt.gate, Gate::Solo);
}
