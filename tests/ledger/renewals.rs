//! What was decided by another build or under other limits: tried again when it is asked for, a few at a time, and the answer meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use lazaret::blame::{Control, Judgement};
use lazaret::ledger::{Attempt, ByClaim, Claim, Claimed, Ending, Entry, Epoch, Known, Ledger, Renews};
use lazaret::quarantine::{Action, Gate, State};
use lazaret::sandbox::outcome::Outcome;
use lazaret::sandbox::protocol::Phase;
use lazaret::verdict::{Reason, Status};

use super::world::*;

const CONVERTED: Outcome = Outcome::Converted(Vec::new());

fn epoch_of(build: &str) -> Epoch {
    Epoch {
        build: build.to_owned(),
        ..epoch()
    }
}

/// A claim of the build that came after.
fn newer(upload: &str) -> Claim {
    Claim {
        epoch: epoch_of("build-2"),
        ..claim(upload)
    }
}

fn by(name: &str, claim: Claim) -> Claim {
    Claim {
        worker: worker(name),
        ..claim
    }
}

fn without(claim: Claim) -> Claim {
    Claim { renewals: 0, ..claim }
}

async fn renewal(ledger: &dyn Ledger, claim: &Claim, renews: Renews) -> Attempt {
    assert_eq!(ledger.ask(claim).await.unwrap(), None, "it is to be claimed");
    let attempt = start(ledger, claim).await;
    assert_eq!((attempt.renews, attempt.gate), (Some(renews), Gate::Open));
    attempt
}

/// Both ways to ask give what is known.
async fn known(ledger: &dyn Ledger, claim: &Claim) -> Known {
    let Some(Claimed::Known(asked)) = ledger.ask(claim).await.unwrap() else {
        panic!("not known");
    };
    let Claimed::Known(known) = ledger.claim(claim).await.unwrap() else {
        panic!("not known");
    };
    assert_eq!(known, asked);
    *known
}

async fn by_claim(ledger: &dyn Ledger, job: &str, claim: &Claim) -> ByClaim {
    let claim = Claim {
        job: job.to_owned(),
        ..claim.clone()
    };
    let word = report(job);
    ledger
        .answer_by_claim(&claim, Box::new(move |_: &Entry| word.clone()))
        .await
        .unwrap()
}

/// Every way to ask is refused, and counted.
async fn is_refused(ledger: &dyn Ledger, claim: &Claim, job: &str) {
    let before = ledger.dossier(&claim.digest).await.unwrap().unwrap().entry.repeats;
    assert!(ledger.refused(claim).await.unwrap().is_some());
    assert!(matches!(by_claim(ledger, job, claim).await, ByClaim::Refused(_)));
    assert!(matches!(ledger.ask(claim).await.unwrap(), Some(Claimed::Listed(_))));
    let Claimed::Listed(entry) = ledger.claim(claim).await.unwrap() else {
        panic!("not refused");
    };
    assert_eq!(entry.repeats, before + 4);
}

/// No way to ask keeps it from being claimed.
async fn may_be_claimed(ledger: &dyn Ledger, claim: &Claim, job: &str) {
    assert_eq!(ledger.refused(claim).await.unwrap(), None);
    assert_eq!(by_claim(ledger, job, claim).await, ByClaim::New);
    assert_eq!(ledger.ask(claim).await.unwrap(), None);
}

async fn converted(ledger: &dyn Ledger, uploads: &[&str]) {
    for upload in uploads {
        assert_eq!(run(ledger, &claim(upload), CONVERTED).await, Judgement::Clear);
    }
}

pub async fn old_renditions_are_made_anew_a_few_at_a_time(world: &dyn World) {
    let ledger = world.ledger();
    converted(ledger, &["a", "b", "c"]).await;
    let first = renewal(ledger, &newer("a"), Renews::Result).await;
    let _ = renewal(ledger, &by("w2", newer("b")), Renews::Result).await;
    assert_eq!(known(ledger, &newer("c")).await.status, Status::Converted);

    assert_eq!(settle(ledger, &ending(first, CONVERTED)).await, Judgement::Clear);
    let _ = known(ledger, &newer("a")).await;
    let _ = known(ledger, &without(newer("c"))).await;
    let _ = renewal(ledger, &newer("c"), Renews::Result).await;
}

pub async fn an_old_refusal_is_tried_again_within_its_day(world: &dyn World) {
    let ledger = world.ledger();
    let wider = |upload: &str| Claim {
        epoch: Epoch {
            limits: "ffff".to_owned(),
            ..epoch()
        },
        ..claim(upload)
    };
    for upload in ["a", "b"] {
        assert_eq!(run(ledger, &claim(upload), refused()).await, Judgement::Remember);
    }
    assert_eq!(known(ledger, &without(wider("a"))).await.reason, Some(Reason::Corrupt));
    let attempt = renewal(ledger, &wider("a"), Renews::Result).await;
    assert_eq!(settle(ledger, &ending(attempt, CONVERTED)).await, Judgement::Clear);
    assert_eq!(known(ledger, &wider("a")).await.status, Status::Converted);

    // After its day it is forgotten: what runs then is none.
    let later = world.later(HOUR * 25);
    assert_eq!(start(&*later, &without(wider("b"))).await.renews, None);
}

pub async fn nobody_waits_for_a_renewal_of_renditions(world: &dyn World) {
    let ledger = world.ledger();
    converted(ledger, &["a"]).await;
    let attempt = renewal(ledger, &newer("a"), Renews::Result).await;
    for other in [by("w2", newer("a")), by("w2", claim("a"))] {
        let _ = known(ledger, &other).await;
    }
    // Another recipe is another matter.
    let large = Claim {
        recipe: recipe("large"),
        ..newer("a")
    };
    assert_eq!(ledger.claim(&large).await.unwrap(), Claimed::Busy);
    // What comes to nothing leaves what there was.
    assert_eq!(
        settle(ledger, &ending(attempt, Outcome::Starved)).await,
        Judgement::Retry
    );
    let _ = known(ledger, &without(newer("a"))).await;
    let _ = renewal(ledger, &newer("a"), Renews::Result).await;
}

pub async fn what_was_forgotten_is_no_renewal(world: &dyn World) {
    let ledger = world.ledger();
    converted(ledger, &["a"]).await;
    ledger.forget(&digest("a"), &recipe("thumb")).await.unwrap();
    assert_eq!(start(ledger, &without(newer("a"))).await.renews, None);
}

pub async fn a_verdict_that_is_tried_again_and_ends_well_is_taken_back(world: &dyn World) {
    let ledger = world.ledger();
    convict(ledger, "bomb").await;
    is_refused(ledger, &claim("bomb"), "j1").await;
    is_refused(ledger, &without(newer("bomb")), "j2").await;
    may_be_claimed(ledger, &newer("bomb"), "j3").await;
    let attempt = renewal(ledger, &newer("bomb"), Renews::Entry).await;
    assert_eq!(settle(ledger, &ending(attempt, CONVERTED)).await, Judgement::Clear);

    let dossier = ledger.dossier(&digest("bomb")).await.unwrap().unwrap();
    assert_eq!((dossier.entry.state, dossier.entry.expires), (State::Released, None));
    let last = dossier.audit.last().unwrap();
    assert_eq!((last.who.as_str(), last.action.as_str()), ("lazaret", "renew"));
    assert_eq!((last.before, last.after), (Some(State::Quarantined), State::Released));
    assert!(
        last.why.contains("under build build-2, limits 00112233aabbccdd"),
        "{}",
        last.why
    );
    assert_eq!(dossier.attempts[0].renews, Some(Renews::Entry));
    assert_eq!(dossier.attempts[1].renews, None);
    assert_eq!(known(ledger, &newer("bomb")).await.status, Status::Converted);
    // Nobody goes on refusing it, the build that convicted it no more than others.
    assert_eq!(ledger.refused(&claim("bomb")).await.unwrap(), None);
    assert_eq!(by_claim(ledger, "j4", &claim("bomb")).await, ByClaim::New);
}

pub async fn a_refusal_takes_a_verdict_back_too(world: &dyn World) {
    let ledger = world.ledger();
    convict(ledger, "bomb").await;
    let attempt = renewal(ledger, &newer("bomb"), Renews::Entry).await;
    assert_eq!(settle(ledger, &ending(attempt, refused())).await, Judgement::Remember);
    assert_eq!(entry(ledger, "bomb").await.unwrap().state, State::Released);
    assert_eq!(known(ledger, &newer("bomb")).await.status, Status::Rejected);
}

pub async fn while_a_verdict_is_tried_again_others_are_refused(world: &dyn World) {
    let ledger = world.ledger();
    convict(ledger, "bomb").await;
    let _ = renewal(ledger, &newer("bomb"), Renews::Entry).await;
    is_refused(ledger, &by("w2", newer("bomb")), "j1").await;
    is_refused(ledger, &by("w2", claim("bomb")), "j2").await;
}

pub async fn a_verdict_that_holds_under_another_epoch_is_of_that_epoch(world: &dyn World) {
    let ledger = world.ledger();
    let before = convict(ledger, "bomb").await;
    let later = world.later(HOUR);
    let attempt = renewal(&*later, &newer("bomb"), Renews::Entry).await;
    let end = Ending {
        phase: Phase::Encode,
        ..ending(attempt, tripped(Reason::Cpu))
    };
    assert_eq!(settle(&*later, &end).await, Judgement::Convict(Reason::Cpu));
    let dossier = ledger.dossier(&digest("bomb")).await.unwrap().unwrap();
    let after = &dossier.entry;
    assert_eq!(
        (after.state, after.reason, after.strikes),
        (State::Quarantined, Reason::Cpu, 2)
    );
    // It covers no less than it did, and lasts from now on.
    assert_eq!((after.scope, &after.epoch), (before.scope, &epoch_of("build-2")));
    assert!(after.expires > before.expires && after.since == before.since);
    let last = dossier.audit.last().unwrap();
    assert_eq!((last.action.as_str(), last.after), ("renew", State::Quarantined));
    assert_eq!(dossier.strikes[1].epoch, epoch_of("build-2"));
    is_refused(&*later, &newer("bomb"), "j1").await;
    // Its first epoch has tried it already; a third one has not.
    is_refused(&*later, &claim("bomb"), "j2").await;
    let third = Claim {
        epoch: epoch_of("build-3"),
        ..claim("bomb")
    };
    let _ = renewal(&*later, &third, Renews::Entry).await;
}

/// The entry of `bomb` has one strike more, of `build-2`, and that build refuses it now.
async fn is_struck_again(ledger: &dyn Ledger, before: Entry) {
    let expected = Entry {
        epoch: epoch_of("build-2"),
        strikes: 2,
        ..before
    };
    assert_eq!(entry(ledger, "bomb").await.unwrap(), expected);
    is_refused(ledger, &newer("bomb"), "j1").await;
}

pub async fn a_strike_that_would_convict_no_newcomer_changes_no_verdict(world: &dyn World) {
    let ledger = world.ledger();
    let before = convict(ledger, "bomb").await;
    let attempt = renewal(ledger, &newer("bomb"), Renews::Entry).await;
    let judgement = settle(ledger, &ending(attempt, tripped(Reason::Wall))).await;
    assert_eq!(judgement, Judgement::Strike(Reason::Wall));
    is_struck_again(ledger, before).await;
}

pub async fn what_comes_to_nothing_changes_nothing(world: &dyn World) {
    let ledger = world.ledger();
    let before = convict(ledger, "bomb").await;
    let unavailable = Outcome::Unavailable("no sandbox".to_owned());
    for (outcome, control) in [
        (Outcome::Starved, Control::NotRun),
        (Outcome::Released, Control::NotRun),
        (unavailable, Control::NotRun),
        (crashed(), Control::Failed),
        (crashed(), Control::Unclear),
    ] {
        let attempt = renewal(ledger, &newer("bomb"), Renews::Entry).await;
        let end = Ending {
            control,
            ..ending(attempt, outcome)
        };
        let judgement = settle(ledger, &end).await;
        assert!(
            matches!(judgement, Judgement::Retry | Judgement::SickHost),
            "{judgement:?}"
        );
        assert_eq!(entry(ledger, "bomb").await.unwrap(), before);
    }
    // A worker that ends in order, and a claim that was never heard of.
    let _ = renewal(ledger, &newer("bomb"), Renews::Entry).await;
    ledger.disown(&worker("w1"), &digest("bomb")).await.unwrap();
    let _ = renewal(ledger, &by("w2", newer("bomb")), Renews::Entry).await;
    ledger.sign_off(&worker("w2")).await.unwrap();
    assert_eq!(entry(ledger, "bomb").await.unwrap(), before);
    let _ = renewal(ledger, &newer("bomb"), Renews::Entry).await;
}

pub async fn a_lost_worker_lets_nothing_go(world: &dyn World) {
    let ledger = world.ledger();
    let before = convict(ledger, "bomb").await;
    converted(ledger, &["cat"]).await;
    let _ = renewal(ledger, &by("w3", newer("bomb")), Renews::Entry).await;
    let _ = renewal(ledger, &by("w3", newer("cat")), Renews::Result).await;
    let lost = ledger.bury(&worker("w3")).await.unwrap();
    let judged = |upload: &str| {
        lost.iter()
            .find(|lost| lost.digest == digest(upload))
            .unwrap()
            .judgement
    };
    assert_eq!(judged("bomb"), Judgement::Strike(Reason::WorkerLoss));
    assert_eq!(judged("cat"), Judgement::Retry);

    is_struck_again(ledger, before).await;
    // Whatever ran beside it is suspected, as ever; what was made of it is still there.
    assert_eq!(entry(ledger, "cat").await.unwrap().state, State::Suspected);
    let _ = known(ledger, &without(newer("cat"))).await;
}

pub async fn operators_who_decide_meanwhile_win(world: &dyn World) {
    let ledger = world.ledger();
    let by_hand = [Action::Release, Action::Add];
    for (upload, actions, outcome, state, reason) in [
        ("a", &[Action::Confirm][..], CONVERTED, State::Confirmed, Reason::Memory),
        (
            "b",
            &[Action::Confirm],
            tripped(Reason::Cpu),
            State::Confirmed,
            Reason::Memory,
        ),
        (
            "c",
            &[Action::Release],
            tripped(Reason::Cpu),
            State::Released,
            Reason::Memory,
        ),
        (
            "d",
            &[Action::Allow],
            tripped(Reason::Cpu),
            State::Allowed,
            Reason::Memory,
        ),
        ("e", &by_hand, CONVERTED, State::Quarantined, Reason::Listed),
        ("f", &by_hand, tripped(Reason::Cpu), State::Quarantined, Reason::Listed),
    ] {
        convict(ledger, upload).await;
        let attempt = renewal(ledger, &newer(upload), Renews::Entry).await;
        // Later than the attempt began, by the clock of the ledger.
        let later = world.later(HOUR);
        for action in actions {
            later.act(&digest(upload), *action, &operator()).await.unwrap();
        }
        let _ = settle(ledger, &ending(attempt, outcome)).await;
        let after = entry(ledger, upload).await.unwrap();
        assert_eq!(
            (after.state, after.reason, &after.epoch),
            (state, reason, &epoch()),
            "{upload}"
        );
    }
}

pub async fn what_is_not_a_rules_to_let_go_is_not_tried(world: &dyn World) {
    let ledger = world.ledger();
    convict(ledger, "confirmed").await;
    ledger
        .act(&digest("confirmed"), Action::Confirm, &operator())
        .await
        .unwrap();
    convict(ledger, "by hand").await;
    for action in [Action::Release, Action::Add] {
        ledger.act(&digest("by hand"), action, &operator()).await.unwrap();
    }
    lose_in_company(ledger, "poison", "w2").await;
    for _ in 0..2 {
        ledger.sign_on(&worker("w2"), "host", "build-1", &[]).await.unwrap();
        let _ = start(ledger, &by("w2", claim("poison"))).await;
        ledger.bury(&worker("w2")).await.unwrap();
    }
    assert_eq!(entry(ledger, "poison").await.unwrap().reason, Reason::WorkerLoss);
    for (number, upload) in ["confirmed", "by hand", "poison"].into_iter().enumerate() {
        is_refused(ledger, &newer(upload), &format!("j{number}")).await;
    }
}

pub async fn a_closed_recipe_is_tried_and_no_other(world: &dyn World) {
    let ledger = world.ledger();
    let first = start(ledger, &claim("x")).await;
    let end = Ending {
        phase: Phase::Encode,
        ..ending(first, tripped(Reason::Cpu))
    };
    let _ = settle(ledger, &end).await;
    // Another recipe was never closed: it runs as it does under any epoch, and lets nothing go.
    let large = Claim {
        recipe: recipe("large"),
        ..newer("x")
    };
    let attempt = start(ledger, &large).await;
    assert_eq!(attempt.renews, None);
    is_refused(ledger, &newer("x"), "j1").await;
    assert_eq!(settle(ledger, &ending(attempt, CONVERTED)).await, Judgement::Clear);
    assert_eq!(entry(ledger, "x").await.unwrap().state, State::Quarantined);

    let attempt = renewal(ledger, &newer("x"), Renews::Entry).await;
    assert_eq!(settle(ledger, &ending(attempt, CONVERTED)).await, Judgement::Clear);
    assert_eq!(entry(ledger, "x").await.unwrap().state, State::Released);
}

pub async fn a_tenant_that_is_full_is_answered_with_what_there_is(world: &dyn World) {
    let ledger = world.ledger();
    converted(ledger, &["cat"]).await;
    convict(ledger, "bomb").await;
    let _ = start(ledger, &claim("something else")).await;
    let full = |claim: Claim| Claim {
        most_in_flight: Some(1),
        ..claim
    };
    assert_eq!(ledger.claim(&full(newer("new"))).await.unwrap(), Claimed::TenantFull);
    let _ = known(ledger, &full(newer("cat"))).await;
    let bomb = full(newer("bomb"));
    // The door asks for nobody's attempts; whoever it lets in is refused then.
    assert_eq!(by_claim(ledger, "j1", &bomb).await, ByClaim::New);
    assert!(ledger.refused(&bomb).await.unwrap().is_some());
    assert!(matches!(ledger.ask(&bomb).await.unwrap(), Some(Claimed::Listed(_))));
    assert!(matches!(ledger.claim(&bomb).await.unwrap(), Claimed::Listed(_)));
}

pub async fn a_suspect_is_renewed_alone(world: &dyn World) {
    let ledger = world.ledger();
    converted(ledger, &["cat"]).await;
    let again = Claim {
        recipe: recipe("large"),
        ..claim("cat")
    };
    assert_eq!(run(ledger, &again, crashed()).await, Judgement::Strike(Reason::Crash));
    let beside_others = Claim {
        alone: false,
        ..newer("cat")
    };
    assert_eq!(ledger.claim(&beside_others).await.unwrap(), Claimed::MustBeAlone);
    let _ = known(ledger, &without(beside_others)).await;
    let attempt = start(ledger, &newer("cat")).await;
    assert_eq!((attempt.gate, attempt.renews), (Gate::Solo, Some(Renews::Result)));
    assert_eq!(settle(ledger, &ending(attempt, CONVERTED)).await, Judgement::Clear);
    assert_eq!(entry(ledger, "cat").await.unwrap().state, State::Released);
}

pub async fn what_is_over_is_no_renewal(world: &dyn World) {
    convict(world.ledger(), "bomb").await;
    let later = world.later(DAY * 40);
    let attempt = start(&*later, &without(newer("bomb"))).await;
    assert_eq!(attempt.renews, None);
    let judgement = settle(&*later, &ending(attempt, tripped(Reason::Cpu))).await;
    assert_eq!(judgement, Judgement::Convict(Reason::Cpu));

    // One whose time is over while it is tried again is convicted as a newcomer is.
    convict(world.ledger(), "slow").await;
    let attempt = renewal(world.ledger(), &newer("slow"), Renews::Entry).await;
    let _ = settle(&*later, &ending(attempt, tripped(Reason::Cpu))).await;
    let dossier = later.dossier(&digest("slow")).await.unwrap().unwrap();
    let actions: Vec<_> = dossier.audit.iter().map(|record| record.action.as_str()).collect();
    assert_eq!(actions, ["convict", "expire", "convict"]);
}

pub async fn of_many_at_once_no_more_run_than_may(world: &dyn World) {
    let ledger = world.ledger();
    let uploads: Vec<String> = (0..40).map(|number| format!("upload {number}")).collect();
    for (number, upload) in uploads.iter().enumerate() {
        match number % 2 {
            0 => converted(ledger, &[upload]).await,
            _ => drop(convict(ledger, upload).await),
        }
    }
    let ledgers: Vec<Arc<dyn Ledger>> = join_all((0..4).map(|_| world.another()))
        .await
        .into_iter()
        .map(Arc::from)
        .collect();
    let claims = uploads.iter().enumerate().map(|(number, upload)| {
        let ledger = ledgers[number % 4].clone();
        let claim = by(["w1", "w2", "w3"][number % 3], newer(upload));
        tokio::spawn(async move { ledger.claim(&claim).await.unwrap() })
    });
    let answers: Vec<Claimed> = join_all(claims).await.into_iter().map(Result::unwrap).collect();
    let count = |is: fn(&Claimed) -> bool| answers.iter().filter(|answer| is(answer)).count();
    let runs = count(|answer| matches!(answer, Claimed::Run(attempt) if attempt.renews.is_some()));
    let known = count(|answer| matches!(answer, Claimed::Known(_)));
    let listed = count(|answer| matches!(answer, Claimed::Listed(_)));
    assert_eq!((runs, known + listed), (2, 38));
}

pub async fn two_epochs_side_by_side_lose_nothing(world: &dyn World) {
    let ledger = world.ledger();
    let (strict, lenient) = (claim("odd"), newer("odd"));
    for turn in 1..=3_u64 {
        // Only one of the two takes it: it goes back and forth, an attempt for each turn, and a verdict for each job.
        assert_eq!(
            run(ledger, &strict, tripped(Reason::Memory)).await,
            Judgement::Convict(Reason::Memory)
        );
        let attempt = renewal(ledger, &lenient, Renews::Entry).await;
        assert_eq!(settle(ledger, &ending(attempt, CONVERTED)).await, Judgement::Clear);
        // What the other one made is an answer for both, and is tried again within what may run.
        let _ = known(ledger, &without(strict.clone())).await;
        let dossier = ledger.dossier(&digest("odd")).await.unwrap().unwrap();
        assert_eq!((dossier.entry.strikes, dossier.entry.state), (turn, State::Released));
    }
}

/// `cargo test --test ledger thousand -- --nocapture` tells how many ran.
pub async fn of_a_thousand_repeats_few_run_and_the_rest_are_answered(world: &dyn World) {
    const UPLOADS: usize = 50;
    const REPEATS: usize = 1000;
    let uploads: Vec<String> = (0..UPLOADS).map(|number| format!("upload {number}")).collect();
    for upload in &uploads {
        converted(world.ledger(), &[upload]).await;
    }
    let [running, most, renewed, answered] = [(); 4].map(|()| AtomicUsize::new(0));
    let ledgers = join_all((0..4).map(|_| world.another())).await;
    let lanes = (0..16).map(|lane| {
        let ledger = &*ledgers[lane % 4];
        let (uploads, running, most, renewed, answered) = (&uploads, &running, &most, &renewed, &answered);
        async move {
            for number in (lane..REPEATS).step_by(16) {
                let claim = newer(&uploads[number % UPLOADS]);
                let claimed = match ledger.ask(&claim).await.unwrap() {
                    Some(known) => known,
                    None => ledger.claim(&claim).await.unwrap(),
                };
                match claimed {
                    Claimed::Known(_) => drop(answered.fetch_add(1, Ordering::SeqCst)),
                    Claimed::Run(attempt) => {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        // As long as it takes others to ask.
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        running.fetch_sub(1, Ordering::SeqCst);
                        let _ = settle(ledger, &ending(attempt, CONVERTED)).await;
                        renewed.fetch_add(1, Ordering::SeqCst);
                    }
                    other => panic!("somebody waits: {other:?}"),
                }
            }
        }
    });
    join_all(lanes).await;
    let [most, renewed, answered] = [most, renewed, answered].map(AtomicUsize::into_inner);
    println!("{REPEATS} repeats: {renewed} renewed, {answered} answered at once, at most {most} at a time");
    assert!((1..=2).contains(&most), "{most} ran at once");
    assert_eq!(renewed + answered, REPEATS);
    assert!(renewed <= UPLOADS, "{renewed} ran for {UPLOADS}");
}
