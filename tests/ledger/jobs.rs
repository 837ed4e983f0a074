//! Jobs that wait in the ledger, and reports of those that ended.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use lazaret::ledger::{Arrival, ByClaim, Claim, HISTORY, KeptJob, LEASE, Ledger, RefusalOf, Reopened, TenantAction};
use lazaret::quarantine::Action;
use lazaret::sandbox::outcome::Outcome;
use lazaret::sandbox::protocol::Phase;
use lazaret::tenants::Block;
use lazaret::verdict::{Reason, Status};
use serde_json::json;

use super::world::*;

fn kept(job: &str) -> KeptJob {
    KeptJob {
        job: job.to_owned(),
        tenant: "acme".to_owned(),
        message: json!({ "body": job }),
        tries: 2,
    }
}

async fn park(ledger: &dyn Ledger, job: &str, upload: Option<&str>) {
    let digest = upload.map(digest);
    ledger.park(&kept(job), digest.as_ref(), Duration::ZERO).await.unwrap();
}

async fn adopt(ledger: &dyn Ledger, most: u32) -> Vec<String> {
    let jobs = ledger.adopt(&worker("w1"), most, &[]).await.unwrap();
    jobs.into_iter().map(|job| job.job).collect()
}

pub async fn a_job_is_new_then_waits_then_ended(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(ledger.arrival("j").await.unwrap(), Arrival::New);
    park(ledger, "j", Some("cat")).await;
    assert_eq!(
        (ledger.arrival("j").await.unwrap(), ledger.waiting().await.unwrap()),
        (Arrival::Waiting("acme".to_owned()), 1)
    );
    assert_eq!(ledger.adopt(&worker("w1"), 10, &[]).await.unwrap(), [kept("j")]);
    assert_eq!(ledger.end(&report("j")).await.unwrap(), report("j"));
    assert_eq!(
        ledger.arrival("j").await.unwrap(),
        Arrival::Ended(Box::new(report("j")))
    );
    assert_eq!(ledger.waiting().await.unwrap(), 0);
}

pub async fn a_tenant_that_is_kept_out_makes_room(world: &dyn World) {
    let ledger = world.ledger();
    for number in 0..600 {
        park(ledger, &format!("acme-{number}"), None).await;
    }
    let other = KeptJob {
        tenant: "other".to_owned(),
        ..kept("other")
    };
    ledger.park(&other, None, Duration::ZERO).await.unwrap();
    let out = ["acme".to_owned()];
    // Behind more of them than one look goes through.
    let mut adopted = Vec::new();
    for _ in 0..2 {
        adopted.extend(ledger.adopt(&worker("w1"), 10, &out).await.unwrap());
    }
    assert_eq!(adopted, [other]);
    assert_eq!(adopt(&*world.later(Duration::from_secs(5)), 10).await.len(), 10);
}

pub async fn what_was_purged_is_let_in_to_be_refused(world: &dyn World) {
    let ledger = world.ledger();
    park(ledger, "before", None).await;
    let later = world.later(Duration::from_secs(60));
    for action in [TenantAction::Block(Block::Hold), TenantAction::Purge] {
        later.tenant_act("acme", &action, &operator()).await.unwrap();
    }
    let soon = world.later(Duration::from_secs(61));
    park(&*soon, "meanwhile", None).await;
    park(&*world.later(Duration::from_secs(65)), "after", None).await;
    let out = ["acme".to_owned()];
    assert_eq!(
        soon.adopt(&worker("w1"), 10, &out).await.unwrap(),
        [],
        "workers may not know yet"
    );
    let latest = world.later(Duration::from_secs(120));
    let purged = [kept("before"), kept("meanwhile")];
    assert_eq!(latest.adopt(&worker("w1"), 10, &out).await.unwrap(), purged);
    assert_eq!(latest.adopt(&worker("w1"), 10, &out).await.unwrap(), []);
}

pub async fn the_first_report_counts(world: &dyn World) {
    let (ledger, another) = (world.ledger(), world.another().await);
    let mut second = report("j");
    second.status = Status::Failed;
    assert_eq!(ledger.end(&report("j")).await.unwrap(), report("j"));
    assert_eq!(another.end(&second).await.unwrap(), report("j"));
    assert_eq!(
        another.arrival("j").await.unwrap(),
        Arrival::Ended(Box::new(report("j")))
    );
}

pub async fn a_job_that_is_kept_is_not_ended_by_who_has_its_message(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(
        ledger.end_unless_kept(&report("new")).await.unwrap(),
        Some(report("new"))
    );
    let mut second = report("new");
    second.status = Status::Failed;
    assert_eq!(ledger.end_unless_kept(&second).await.unwrap(), Some(report("new")));

    park(ledger, "j", None).await;
    assert_eq!(ledger.end_unless_kept(&report("j")).await.unwrap(), None);
    assert!(matches!(ledger.arrival("j").await.unwrap(), Arrival::Waiting(_)));
    assert_eq!(ledger.end(&report("j")).await.unwrap(), report("j"));
}

pub async fn an_ended_job_cannot_be_parked(world: &dyn World) {
    let ledger = world.ledger();
    ledger.end(&report("j")).await.unwrap();
    park(ledger, "j", None).await;
    assert_eq!(
        ledger.arrival("j").await.unwrap(),
        Arrival::Ended(Box::new(report("j")))
    );
    assert!(adopt(ledger, 10).await.is_empty());
}

/// Tells the entry's repeats as the detail.
fn refusal() -> RefusalOf {
    Box::new(|entry| {
        let mut refusal = report("whichever");
        refusal.status = Status::Quarantined;
        refusal.detail = Some(entry.repeats.to_string());
        refusal
    })
}

async fn by_claim(ledger: &dyn Ledger, job: &str, upload: &str, asked: &str) -> ByClaim {
    let claimed = Claim {
        recipe: recipe(asked),
        ..claim_for(job, upload)
    };
    ledger.answer_by_claim(&claimed, refusal()).await.unwrap()
}

pub async fn a_claimed_digest_that_is_listed_ends_its_job(world: &dyn World) {
    let ledger = world.ledger();
    convict(ledger, "bomb").await;
    let ByClaim::Refused(refused) = by_claim(ledger, "j", "bomb", "large").await else {
        panic!("not refused");
    };
    assert_eq!((refused.job.as_str(), refused.detail.as_deref()), ("j", Some("1")));
    assert_eq!(ledger.arrival("j").await.unwrap(), Arrival::Ended(refused.clone()));
    assert_eq!(by_claim(ledger, "j", "bomb", "large").await, ByClaim::Ended(refused));
    assert_eq!(entry(ledger, "bomb").await.unwrap().repeats, 1);
}

pub async fn a_claimed_digest_opens_no_other_door(world: &dyn World) {
    let ledger = world.ledger();
    let _ = run(ledger, &claim("cat"), Outcome::Converted(Vec::new())).await;
    assert_eq!(by_claim(ledger, "j", "cat", "thumb").await, ByClaim::New);
    convict(ledger, "let go").await;
    assert!(matches!(
        by_claim(ledger, "before", "let go", "thumb").await,
        ByClaim::Refused(_)
    ));
    // By another process: whoever refused it is not told.
    let operators = world.another().await;
    operators
        .act(&digest("let go"), Action::Release, &operator())
        .await
        .unwrap();
    assert_eq!(by_claim(ledger, "j", "let go", "thumb").await, ByClaim::New);
    // Listed for one recipe is not listed for another.
    let mut in_the_encoder = ending(start(ledger, &claim("slow")).await, tripped(Reason::Cpu));
    in_the_encoder.phase = Phase::Encode;
    let _ = settle(ledger, &in_the_encoder).await;
    assert_eq!(by_claim(ledger, "j", "slow", "large").await, ByClaim::New);
    assert_eq!(ledger.arrival("j").await.unwrap(), Arrival::New);
    assert!(matches!(
        by_claim(ledger, "j", "slow", "thumb").await,
        ByClaim::Refused(_)
    ));
    assert_eq!(entry(ledger, "slow").await.unwrap().repeats, 1);
}

pub async fn a_job_that_waits_is_not_refused_by_its_claim(world: &dyn World) {
    let ledger = world.ledger();
    convict(ledger, "bomb").await;
    park(ledger, "j", Some("bomb")).await;
    assert_eq!(
        by_claim(ledger, "j", "bomb", "thumb").await,
        ByClaim::Waiting("acme".to_owned())
    );
    assert_eq!(entry(ledger, "bomb").await.unwrap().repeats, 0);
}

pub async fn of_many_claims_at_once_each_job_ends_once(world: &dyn World) {
    let ledger = world.ledger();
    convict(ledger, "bomb").await;
    // Each job comes three times.
    let jobs: Vec<String> = (0..90).map(|job| format!("j{}", job % 30)).collect();
    let answers = join_all(jobs.iter().map(|job| by_claim(ledger, job, "bomb", "thumb"))).await;
    let refused = answers.iter().filter(|answer| matches!(answer, ByClaim::Refused(_)));
    assert_eq!(refused.count(), 30);
    for (job, answer) in jobs.iter().zip(answers) {
        let (ByClaim::Refused(report) | ByClaim::Ended(report)) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(ledger.arrival(job).await.unwrap(), Arrival::Ended(report));
    }
    assert_eq!(entry(ledger, "bomb").await.unwrap().repeats, 30);
}

pub async fn of_many_endings_at_once_one_counts(world: &dyn World) {
    let ledger = world.ledger();
    let reports = (0..40).map(|worker| {
        let mut mine = report("j");
        mine.worker = format!("w{worker}");
        mine
    });
    let reports: Vec<_> = reports.collect();
    let count = join_all(reports.iter().map(|report| ledger.end(report))).await;
    let first = ledger.end(&report("j")).await.unwrap();
    assert!(count.into_iter().all(|counts| counts.unwrap() == first));
}

pub async fn a_delay_is_kept(world: &dyn World) {
    let ledger = world.ledger();
    ledger.park(&kept("j"), None, Duration::from_secs(60)).await.unwrap();
    assert!(adopt(ledger, 10).await.is_empty());
    assert!(adopt(&*world.later(Duration::from_secs(59)), 10).await.is_empty());
    assert_eq!(adopt(&*world.later(Duration::from_secs(61)), 10).await, ["j"]);
}

pub async fn two_workers_never_adopt_one_job(world: &dyn World) {
    for job in 0..60 {
        park(world.ledger(), &format!("j{job}"), Some(&format!("u{job}"))).await;
    }
    let ledgers: Vec<Arc<dyn Ledger>> = join_all((0..4).map(|_| world.another()))
        .await
        .into_iter()
        .map(Arc::from)
        .collect();
    let tasks = (0..20).map(|task| {
        let ledger = ledgers[task % 4].clone();
        tokio::spawn(async move { adopt(&*ledger, 3).await })
    });
    let adopted: Vec<String> = join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect();
    let distinct: HashSet<&String> = adopted.iter().collect();
    assert_eq!((adopted.len(), distinct.len()), (60, 60));
}

pub async fn copies_of_a_running_upload_are_not_adopted(world: &dyn World) {
    let ledger = world.ledger();
    let attempt = start(ledger, &claim("cat")).await;
    park(ledger, "copy", Some("cat")).await;
    park(ledger, "other", Some("dog")).await;
    assert_eq!(adopt(ledger, 10).await, ["other"]);
    let _ = settle(ledger, &ending(attempt, Outcome::Converted(Vec::new()))).await;
    assert_eq!(adopt(&*world.later(Duration::from_secs(5)), 10).await, ["copy"]);
}

pub async fn copies_do_not_hide_those_behind_them(world: &dyn World) {
    let ledger = world.ledger();
    let _ = start(ledger, &claim("cat")).await;
    join_all((0..600).map(|copy| async move { park(ledger, &format!("copy{copy}"), Some("cat")).await })).await;
    park(ledger, "behind", Some("dog")).await;
    let mut adopted = adopt(ledger, 10).await;
    adopted.extend(adopt(ledger, 10).await);
    assert_eq!(adopted, ["behind"]);
}

pub async fn an_adopted_job_is_free_after_a_lease(world: &dyn World) {
    let ledger = world.ledger();
    park(ledger, "j", None).await;
    assert_eq!(adopt(ledger, 1).await, ["j"]);
    assert!(adopt(ledger, 1).await.is_empty());
    assert_eq!(adopt(&*world.later(LEASE + Duration::from_secs(1)), 1).await, ["j"]);
}

pub async fn an_adopted_job_is_held_for_as_long_as_it_is_in_hand(world: &dyn World) {
    let ledger = world.ledger();
    for job in ["in hand", "dropped"] {
        park(ledger, job, None).await;
    }
    assert_eq!(adopt(ledger, 2).await.len(), 2);
    let in_hand = ["in hand".to_owned()];
    let before_the_lease_is_over = world.later(LEASE - Duration::from_secs(1));
    before_the_lease_is_over.hold(&worker("w1"), &in_hand).await.unwrap();
    // Nobody holds what is another's.
    before_the_lease_is_over
        .hold(&worker("w2"), &["dropped".to_owned()])
        .await
        .unwrap();
    let after = world.later(LEASE + Duration::from_secs(1));
    assert_eq!(adopt(&*after, 2).await, ["dropped"]);
}

pub async fn a_lost_workers_jobs_are_free(world: &dyn World) {
    let ledger = world.ledger();
    park(ledger, "j", None).await;
    assert_eq!(adopt(ledger, 1).await, ["j"]);
    assert_eq!(ledger.bury(&worker("w1")).await.unwrap(), []);
    assert_eq!(ledger.adopt(&worker("w2"), 1, &[]).await.unwrap(), [kept("j")]);
}

pub async fn a_job_that_failed_is_reopened(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(ledger.reopen("j").await.unwrap(), Reopened::Unknown);
    park(ledger, "j", None).await;
    assert_eq!(ledger.reopen("j").await.unwrap(), Reopened::NotEnded);
    let mut failed = report("j");
    failed.status = Status::Failed;
    ledger.end(&failed).await.unwrap();
    assert_eq!(ledger.reopen("j").await.unwrap(), Reopened::Reopened);
    assert_eq!(ledger.arrival("j").await.unwrap(), Arrival::New);
    ledger.end(&report("j")).await.unwrap();
    assert_eq!(
        ledger.reopen("j").await.unwrap(),
        Reopened::EndedOtherwise(Status::Rejected)
    );
    assert_eq!(
        ledger.arrival("j").await.unwrap(),
        Arrival::Ended(Box::new(report("j")))
    );
}

pub async fn old_history_is_dropped_and_strikes_are_kept(world: &dyn World) {
    let ledger = world.ledger();
    ledger.end(&report("old")).await.unwrap();
    park(ledger, "waits", None).await;
    convict(ledger, "bomb").await;
    ledger.act(&digest("bomb"), Action::Allow, &operator()).await.unwrap();
    let _ = run(ledger, &claim("bomb"), Outcome::Starved).await;
    let _ = run(
        ledger,
        &Claim {
            recipe: recipe("large"),
            ..claim("bomb")
        },
        refused(),
    )
    .await;
    assert_eq!(ledger.tidy().await.unwrap(), 0);

    let later = world.later(HISTORY + HOUR);
    assert_eq!(later.tidy().await.unwrap(), 4, "a job, two attempts, a refusal");
    assert_eq!(later.tidy().await.unwrap(), 0);
    assert_eq!(
        (later.arrival("old").await.unwrap(), later.waiting().await.unwrap()),
        (Arrival::New, 1)
    );
    let dossier = later.dossier(&digest("bomb")).await.unwrap().unwrap();
    assert_eq!((dossier.strikes.len(), dossier.attempts.len()), (1, 1));
}
