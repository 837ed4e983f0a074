//! Who may run: single flight, memory of results, refusal by digest.

use std::sync::Arc;

use futures_util::future::join_all;
use lazaret::blame::Judgement;
use lazaret::digest::Digest;
use lazaret::format::Format;
use lazaret::ledger::{Claim, Claimed, Epoch, Ledger, LedgerError, Settled};
use lazaret::quarantine::{Action, State};
use lazaret::sandbox::outcome::Outcome;
use lazaret::verdict::{Reason, Status, Stored};

use super::world::*;

pub async fn one_of_fifty_runs(world: &dyn World) {
    let ledgers: Vec<Arc<dyn Ledger>> = join_all((0..5).map(|_| world.another()))
        .await
        .into_iter()
        .map(Arc::from)
        .collect();
    let claims = (0..50).map(|task| {
        let ledger = ledgers[task % 5].clone();
        tokio::spawn(async move { ledger.claim(&claim("cat")).await.unwrap() })
    });
    let answers: Vec<Claimed> = join_all(claims).await.into_iter().map(Result::unwrap).collect();
    let running = answers
        .iter()
        .filter(|answer| matches!(answer, Claimed::Run(_)))
        .count();
    let busy = answers.iter().filter(|answer| **answer == Claimed::Busy).count();
    assert_eq!((running, busy), (1, 49));
}

pub async fn an_upload_in_flight_is_busy_whatever_the_recipe(world: &dyn World) {
    let ledger = world.ledger();
    let attempt = start(ledger, &claim("cat")).await;
    let other = Claim {
        recipe: recipe("large"),
        worker: worker("w2"),
        ..claim("cat")
    };
    assert_eq!(ledger.claim(&other).await.unwrap(), Claimed::Busy);
    assert_eq!(
        settle(ledger, &ending(attempt, Outcome::Converted(Vec::new()))).await,
        Judgement::Clear
    );
    let _ = start(ledger, &other).await;
}

pub async fn what_nobody_runs_is_disowned(world: &dyn World) {
    let ledger = world.ledger();
    let attempt = start(ledger, &claim("cat")).await;
    let others = [("w2", "cat"), ("w1", "dog")];
    for (name, upload) in others {
        assert_eq!(ledger.disown(&worker(name), &digest(upload)).await.unwrap(), None);
    }
    let released = ledger.disown(&worker("w1"), &digest("cat")).await.unwrap();
    assert_eq!(released, Some(attempt.id));
    assert_eq!(ledger.disown(&worker("w1"), &digest("cat")).await.unwrap(), None);

    // Nothing is held against it, and a late outcome is fenced.
    let late = ledger.settle(&ending(attempt, tripped(Reason::Cpu))).await.unwrap();
    assert_eq!(late, Settled::Fenced);
    assert!(entry(ledger, "cat").await.is_none());
    let _ = start(ledger, &claim("cat")).await;
}

/// A rendition that was stored.
pub fn rendition() -> Stored {
    Stored {
        name: "thumb".to_owned(),
        store: "renditions".to_owned(),
        key: "ab/cd".to_owned(),
        format: Format::Webp,
        width: 320,
        height: 240,
        bytes: 5000,
        sha256: Digest::of(b"rendition"),
        quality: Some(80),
        frames: 1,
        url: None,
    }
}

pub async fn renditions_hold_within_a_build(world: &dyn World) {
    let ledger = world.ledger();
    let attempt = start(ledger, &claim("cat")).await;
    let stored = rendition();
    let mut end = ending(attempt, Outcome::Converted(Vec::new()));
    end.renditions = vec![stored.clone()];
    assert_eq!(settle(ledger, &end).await, Judgement::Clear);

    let Claimed::Known(known) = world.later(DAY * 400).claim(&claim("cat")).await.unwrap() else {
        panic!("forgotten")
    };
    assert_eq!(
        (known.status, known.renditions, known.looks),
        (Status::Converted, vec![stored], end.looks.clone())
    );
    assert_eq!(known.usage, end.usage);
    let stricter = Epoch {
        limits: "ffff".to_owned(),
        ..epoch()
    };
    assert!(matches!(
        ledger
            .claim(&Claim {
                epoch: stricter,
                ..claim("cat")
            })
            .await
            .unwrap(),
        Claimed::Known(_)
    ));
    let newer = Epoch {
        build: "build-2".to_owned(),
        ..epoch()
    };
    let _ = start(
        ledger,
        &Claim {
            epoch: newer,
            ..claim("cat")
        },
    )
    .await;
}

pub async fn a_refusal_holds_for_a_day_within_build_and_limits(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(run(ledger, &claim("cat"), refused()).await, Judgement::Remember);
    let almost = world.later(HOUR * 23);
    let Claimed::Known(known) = almost.claim(&claim("cat")).await.unwrap() else {
        panic!("forgotten")
    };
    assert_eq!((known.status, known.reason), (Status::Rejected, Some(Reason::Corrupt)));
    assert_eq!(known.detail.as_deref(), Some("no end of image"));

    let wider = Epoch {
        limits: "ffff".to_owned(),
        ..epoch()
    };
    let attempt = start(
        ledger,
        &Claim {
            epoch: wider,
            ..claim("cat")
        },
    )
    .await;
    assert_eq!(settle(ledger, &ending(attempt, refused())).await, Judgement::Remember);
    let again = start(&*world.later(HOUR * 25), &claim("cat")).await;
    assert_eq!(settle(ledger, &ending(again, Outcome::Starved)).await, Judgement::Retry);
}

pub async fn a_quarantined_upload_is_refused_though_renditions_are_known(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(
        run(ledger, &claim("cat"), Outcome::Converted(Vec::new())).await,
        Judgement::Clear
    );
    let bomb = Claim {
        recipe: recipe("large"),
        ..claim("cat")
    };
    assert_eq!(
        run(ledger, &bomb, tripped(Reason::Cpu)).await,
        Judgement::Convict(Reason::Cpu)
    );
    let Claimed::Listed(entry) = ledger.claim(&claim("cat")).await.unwrap() else {
        panic!("not refused")
    };
    assert_eq!(
        (entry.state, entry.reason, entry.name.as_str()),
        (State::Quarantined, Reason::Cpu, "cat.jpg")
    );
}

pub async fn repeats_are_counted_when_refused(world: &dyn World) {
    let ledger = world.ledger();
    convict(ledger, "bomb").await;
    for repeats in 1..=3 {
        let Claimed::Listed(entry) = ledger.claim(&claim("bomb")).await.unwrap() else {
            panic!("not refused")
        };
        assert_eq!(entry.repeats, repeats);
    }
    ledger.act(&digest("bomb"), Action::Confirm, &operator()).await.unwrap();
    assert_eq!(entry(ledger, "bomb").await.unwrap().repeats, 3);
}

pub async fn a_refusal_before_the_fetch_is_counted(world: &dyn World) {
    let ledger = world.ledger();
    convict(ledger, "bomb").await;
    let refused = ledger.refused(&claim("bomb")).await.unwrap().unwrap();
    assert_eq!((refused.repeats, refused.strikes), (1, 1));
    assert_eq!(ledger.refused(&claim("cat")).await.unwrap(), None);
    let later = world.later(DAY * 40);
    assert_eq!(later.refused(&claim("bomb")).await.unwrap(), None);
}

pub async fn only_a_worker_that_signed_on_may_run(world: &dyn World) {
    let ledger = world.ledger();
    let lost = worker("w1");
    assert_eq!(ledger.bury(&lost).await.unwrap(), []);
    let error = ledger.claim(&claim("cat")).await.unwrap_err();
    assert!(
        matches!(&error, LedgerError::Failed { problem, .. } if problem.contains("w1")),
        "{error}"
    );
    assert!(ledger.heartbeat(&lost).await.is_err());
    ledger.heartbeat(&worker("w2")).await.unwrap();
    ledger.sign_on(&lost, "host", "build-1", &[]).await.unwrap();
    let _ = start(ledger, &claim("cat")).await;
}

pub async fn long_names_are_cut(world: &dyn World) {
    let ledger = world.ledger();
    let long = Claim {
        name: "ü".repeat(600),
        ..claim("bomb")
    };
    assert_eq!(
        run(ledger, &long, tripped(Reason::Cpu)).await,
        Judgement::Convict(Reason::Cpu)
    );
    assert_eq!(entry(ledger, "bomb").await.unwrap().name, "ü".repeat(512));
}

pub async fn what_is_forgotten_is_made_again(world: &dyn World) {
    let ledger = world.ledger();
    let _ = run(ledger, &claim("a"), Outcome::Converted(Vec::new())).await;
    assert!(matches!(ledger.claim(&claim("a")).await.unwrap(), Claimed::Known(_)));
    ledger.forget(&digest("a"), &recipe("thumb")).await.unwrap();
    assert!(matches!(ledger.claim(&claim("a")).await.unwrap(), Claimed::Run(_)));
}
