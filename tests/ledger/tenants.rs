//! Tenants: standings and their audit trail, use, sidelines, probation, and how many attempts may run at once.

use std::time::Duration;

use futures_util::future::join_all;
use lazaret::blame::Judgement;
use lazaret::ledger::{Claim, Claimed, KeptJob, Ledger, Revision, SIDELINE_LEASE, TenantAction, TenantSummary};
use lazaret::quarantine::Action;
use lazaret::tenants::{Block, PROBATION, PROBATION_CONVICTIONS, SomeLimits, Standing, Use};
use lazaret::verdict::Reason;
use serde_json::json;

use super::world::*;

const SECOND: Duration = Duration::from_secs(1);

async fn act(ledger: &dyn Ledger, tenant: &str, action: TenantAction) -> Standing {
    ledger.tenant_act(tenant, &action, &operator()).await.unwrap()
}

fn limits(jobs_per_minute: Option<u64>, in_flight: Option<u32>) -> SomeLimits {
    SomeLimits {
        jobs_per_minute,
        in_flight,
        ..SomeLimits::default()
    }
}

async fn park(ledger: &dyn Ledger, job: &str, tenant: &str) {
    let kept = KeptJob {
        job: job.to_owned(),
        tenant: tenant.to_owned(),
        message: json!({}),
        tries: 0,
    };
    ledger.park(&kept, None, HOUR).await.unwrap();
}

async fn adopted(ledger: &dyn Ledger, by: &str) -> Vec<String> {
    let jobs = ledger.adopt(&worker(by), 10, &[]).await.unwrap();
    jobs.into_iter().map(|job| job.job).collect()
}

async fn summary(ledger: &dyn Ledger, tenant: &str) -> TenantSummary {
    let list = ledger.tenant_list().await.unwrap();
    list.into_iter().find(|summary| summary.tenant == tenant).unwrap()
}

pub async fn a_standing_is_what_operators_made_of_it(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(ledger.standing("acme").await.unwrap(), Standing::default());
    act(ledger, "acme", TenantAction::Limit(limits(Some(5), None))).await;
    act(ledger, "acme", TenantAction::Block(Block::Refuse)).await;
    let after = act(ledger, "acme", TenantAction::Limit(limits(None, Some(2)))).await;
    let expected = Standing {
        block: Some(Block::Refuse),
        limits: limits(Some(5), Some(2)),
        ..Standing::default()
    };
    assert_eq!(after, expected);
    assert_eq!(world.another().await.standing("acme").await.unwrap(), expected);
    act(ledger, "acme", TenantAction::Unblock).await;
    assert_eq!(act(ledger, "acme", TenantAction::Unlimit).await, Standing::default());
    let purged = act(ledger, "acme", TenantAction::Purge).await;
    assert!(purged.purged_before_ms.is_some());
    assert_eq!(ledger.standing("acme").await.unwrap(), purged);
    assert_eq!(ledger.standing("other").await.unwrap(), Standing::default());
}

pub async fn every_change_of_a_standing_has_its_audit_row(world: &dyn World) {
    let ledger = world.ledger();
    act(ledger, "acme", TenantAction::Block(Block::Hold)).await;
    act(ledger, "other", TenantAction::Purge).await;
    act(ledger, "acme", TenantAction::Unblock).await;
    let audit = ledger.tenant_audit("acme").await.unwrap();
    let told: Vec<_> = audit
        .iter()
        .map(|record| (record.who.as_str(), record.action.as_str(), record.why.as_str()))
        .collect();
    assert_eq!(
        told,
        [("ann", "block", "looked at it"), ("ann", "unblock", "looked at it")]
    );
    assert_eq!(audit[0].before, None);
    assert_eq!((audit[0].after.block, audit[1].after.block), (Some(Block::Hold), None));
    assert_eq!(audit[1].before.as_ref(), Some(&audit[0].after));
}

pub async fn changes_are_read_from_where_one_left_off(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(ledger.tenants(Revision::default()).await.unwrap(), []);
    for tenant in ["a", "b", "a"] {
        act(ledger, tenant, TenantAction::Purge).await;
    }
    let all = ledger.tenants(Revision::default()).await.unwrap();
    let names: Vec<&str> = all.iter().map(|(tenant, ..)| tenant.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    assert!(all[0].2 < all[1].2);
    assert_eq!(ledger.tenants(all[0].2).await.unwrap(), [all[1].clone()]);
    assert_eq!(ledger.tenants(all[1].2).await.unwrap(), []);
}

pub async fn an_unblocked_tenants_jobs_are_due_at_once(world: &dyn World) {
    let ledger = world.ledger();
    for action in [TenantAction::Unblock, TenantAction::Purge] {
        let job = action.word();
        park(ledger, job, "acme").await;
        park(ledger, "not its own", "other").await;
        act(ledger, "acme", TenantAction::Block(Block::Hold)).await;
        assert_eq!(adopted(ledger, "w1").await, [""; 0]);
        act(ledger, "acme", action).await;
        assert_eq!(adopted(ledger, "w1").await, [job]);
        // What a worker has in hand stays its own.
        act(ledger, "acme", action).await;
        assert_eq!(adopted(ledger, "w2").await, [""; 0]);
    }
}

pub async fn use_adds_up_in_the_fleet_by_minute_and_day(world: &dyn World) {
    let (ledger, another) = (world.ledger(), world.another().await);
    let used = |jobs, cpu_ms, bytes| Use { jobs, cpu_ms, bytes };
    let of = |tenant: &str, used: Use| (tenant.to_owned(), used);
    let totals = ledger.charge(&[of("acme", used(0, 0, 0))]).await.unwrap();
    assert_eq!(totals, [("acme".to_owned(), Use::default(), Use::default())]);
    assert!(ledger.tenant_list().await.unwrap().is_empty(), "asking is no use");

    ledger
        .charge(&[of("acme", used(1, 20, 300)), of("b", used(9, 9, 9))])
        .await
        .unwrap();
    let totals = another
        .charge(&[of("acme", used(2, 0, 1)), of("b", Use::default())])
        .await
        .unwrap();
    let days: Vec<_> = totals.iter().map(|(tenant, _, day)| (tenant.as_str(), *day)).collect();
    assert_eq!(days, [("acme", used(3, 20, 301)), ("b", used(9, 9, 9))]);

    let later = world.later(2 * SECOND * 60);
    let asked = later.charge(&[of("acme", Use::default())]).await.unwrap();
    assert_eq!(asked[0].1, Use::default());
    let tomorrow = world.later(DAY).charge(&[of("acme", used(1, 1, 1))]).await.unwrap();
    assert_eq!((tomorrow[0].1, tomorrow[0].2), (used(1, 1, 1), used(1, 1, 1)));
}

pub async fn concurrent_charges_lose_nothing(world: &dyn World) {
    let one = [(
        "acme".to_owned(),
        Use {
            jobs: 1,
            cpu_ms: 2,
            bytes: 3,
        },
    )];
    join_all((0..40).map(|_| world.ledger().charge(&one))).await;
    let day = summary(world.ledger(), "acme").await.day;
    assert_eq!(
        day,
        Use {
            jobs: 40,
            cpu_ms: 80,
            bytes: 120
        }
    );
}

pub async fn a_sideline_is_one_tenants_for_a_lease(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(ledger.lease_sideline("a", 2).await.unwrap(), Some(0));
    assert_eq!(ledger.lease_sideline("b", 2).await.unwrap(), Some(1));
    assert_eq!(ledger.lease_sideline("c", 2).await.unwrap(), None);
    let half = world.later(SIDELINE_LEASE / 2);
    assert_eq!(half.lease_sideline("b", 2).await.unwrap(), Some(1));
    let after = world.later(SIDELINE_LEASE + SECOND);
    assert_eq!(after.sidelines().await.unwrap(), [(1, "b".to_owned())]);
    assert_eq!(after.lease_sideline("c", 2).await.unwrap(), Some(0));
    assert_eq!(after.lease_sideline("a", 2).await.unwrap(), None);
    assert_eq!(after.lease_sideline("a", 3).await.unwrap(), Some(2));
}

pub async fn a_tenant_finds_its_sideline_again(world: &dyn World) {
    let ledger = world.ledger();
    for tenant in ["a", "b"] {
        let _ = ledger.lease_sideline(tenant, 4).await.unwrap();
    }
    let later = world.later(2 * SIDELINE_LEASE);
    assert_eq!(later.sidelines().await.unwrap(), []);
    assert_eq!(later.lease_sideline("b", 4).await.unwrap(), Some(1));
    // There are fewer lines now.
    assert_eq!(later.lease_sideline("b", 1).await.unwrap(), Some(0));
    assert_eq!(later.sidelines().await.unwrap(), [(0, "b".to_owned())]);
}

pub async fn sidelines_that_are_not_empty_are_kept(world: &dyn World) {
    let ledger = world.ledger();
    for tenant in ["a", "b"] {
        let _ = ledger.lease_sideline(tenant, 2).await.unwrap();
    }
    ledger.keep_sidelines(&[]).await.unwrap();
    world.later(SIDELINE_LEASE / 2).keep_sidelines(&[0, 7]).await.unwrap();
    let after = world.later(SIDELINE_LEASE + SECOND);
    assert_eq!(after.sidelines().await.unwrap(), [(0, "a".to_owned())]);
}

pub async fn sidelines_are_leased_once(world: &dyn World) {
    let ledger = world.ledger();
    let tenants: Vec<String> = (0..12).map(|tenant| format!("t{tenant}")).collect();
    let leased = join_all(tenants.iter().map(|tenant| ledger.lease_sideline(tenant, 8))).await;
    let mut lines: Vec<u8> = leased.into_iter().filter_map(Result::unwrap).collect();
    lines.sort_unstable();
    assert_eq!(lines, (0..8).collect::<Vec<u8>>());
}

async fn convict_some(ledger: &dyn Ledger, uploads: std::ops::Range<u64>) {
    for upload in uploads {
        convict(ledger, &format!("bomb {upload}")).await;
    }
}

async fn on_probation_until(ledger: &dyn Ledger) -> Option<u64> {
    ledger.standing("acme").await.unwrap().probation_until_ms
}

pub async fn one_bomb_too_many_is_probation(world: &dyn World) {
    let ledger = world.ledger();
    convict_some(ledger, 0..PROBATION_CONVICTIONS).await;
    assert_eq!(on_probation_until(ledger).await, None);
    // Letting one go does not undo that it was convicted; the same one again is no new one.
    ledger
        .act(&digest("bomb 0"), Action::Release, &operator())
        .await
        .unwrap();
    convict(ledger, "bomb 0").await;
    assert_eq!(on_probation_until(ledger).await, None);

    convict(ledger, "one more").await;
    let until = on_probation_until(ledger).await.unwrap();
    let audit = ledger.tenant_audit("acme").await.unwrap();
    assert_eq!(
        (audit.len(), audit[0].who.as_str(), audit[0].action.as_str()),
        (1, "lazaret", "probation")
    );
    assert_eq!(
        until,
        audit[0].at.timestamp_millis() as u64 + PROBATION.as_millis() as u64
    );
    assert_eq!(summary(ledger, "acme").await.convictions, PROBATION_CONVICTIONS + 1);
    assert_eq!(ledger.standing("other").await.unwrap(), Standing::default());
}

pub async fn bombs_an_hour_apart_do_not_add_up(world: &dyn World) {
    convict_some(world.ledger(), 0..PROBATION_CONVICTIONS).await;
    let later = world.later(PROBATION + SECOND);
    convict(&*later, "one more").await;
    assert_eq!(on_probation_until(&*later).await, None);
}

pub async fn probation_lasts_until_an_hour_of_quiet(world: &dyn World) {
    let ledger = world.ledger();
    convict_some(ledger, 0..PROBATION_CONVICTIONS + 1).await;
    let first = on_probation_until(ledger).await.unwrap();
    let seen = ledger.tenants(Revision::default()).await.unwrap()[0].2;
    let later = world.later(PROBATION - SECOND);
    convict(&*later, "one more").await;
    assert!(on_probation_until(ledger).await.unwrap() >= first + (PROBATION - SECOND).as_millis() as u64);
    assert_eq!(ledger.tenants(seen).await.unwrap().len(), 1, "the fleet learns of it");
    assert_eq!(ledger.tenant_audit("acme").await.unwrap().len(), 1);
    assert_eq!(
        act(ledger, "acme", TenantAction::EndProbation).await.probation_until_ms,
        None
    );
}

pub async fn a_bomb_counts_for_whoever_sent_it_first(world: &dyn World) {
    let ledger = world.ledger();
    for upload in 0..=PROBATION_CONVICTIONS {
        let upload = format!("crasher {upload}");
        let first = run(ledger, &claim(&upload), crashed()).await;
        assert_eq!(first, Judgement::Strike(Reason::Crash));
        let copy = Claim {
            tenant: "other".to_owned(),
            ..claim(&upload)
        };
        assert_eq!(run(ledger, &copy, crashed()).await, Judgement::Convict(Reason::Crash));
    }
    assert!(on_probation_until(ledger).await.is_some());
    assert_eq!(ledger.standing("other").await.unwrap(), Standing::default());
}

pub async fn losses_that_convict_count_too(world: &dyn World) {
    let ledger = world.ledger();
    convict_some(ledger, 0..PROBATION_CONVICTIONS).await;
    lose_in_company(ledger, "poison", "w1").await;
    for lost in ["w2", "w3"] {
        assert_eq!(on_probation_until(ledger).await, None);
        let solo = Claim {
            worker: worker(lost),
            ..claim("poison")
        };
        let _ = start(ledger, &solo).await;
        assert_eq!(ledger.bury(&worker(lost)).await.unwrap().len(), 1);
    }
    assert!(on_probation_until(ledger).await.is_some());
}

pub async fn a_tenant_runs_no_more_than_it_may(world: &dyn World) {
    let ledger = world.ledger();
    let bounded = |upload: String, tenant: &str| Claim {
        most_in_flight: Some(3),
        tenant: tenant.to_owned(),
        ..claim(&upload)
    };
    let claims: Vec<Claim> = (0..10).map(|upload| bounded(format!("u{upload}"), "acme")).collect();
    let answers = join_all(claims.iter().map(|claim| ledger.claim(claim))).await;
    let answers: Vec<Claimed> = answers.into_iter().map(Result::unwrap).collect();
    let mut running: Vec<_> = answers
        .iter()
        .filter_map(|answer| match answer {
            Claimed::Run(attempt) => Some(*attempt),
            _ => None,
        })
        .collect();
    let full = answers.iter().filter(|answer| **answer == Claimed::TenantFull).count();
    assert_eq!((running.len(), full), (3, 7));
    assert_eq!(summary(ledger, "acme").await.running, 3);

    let next = bounded("next".to_owned(), "acme");
    assert_eq!(ledger.ask(&next).await.unwrap(), Some(Claimed::TenantFull));
    let _ = start(ledger, &bounded("other".to_owned(), "other")).await;
    let _ = settle(ledger, &ending(running.remove(0), refused())).await;
    assert_eq!(ledger.ask(&next).await.unwrap(), None);
    let _ = start(ledger, &next).await;
}

pub async fn tenants_are_listed_with_what_they_have(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(ledger.tenant_list().await.unwrap(), []);
    act(ledger, "blocked", TenantAction::Block(Block::Drop)).await;
    let _ = ledger.lease_sideline("noisy", 16).await.unwrap();
    park(ledger, "j1", "waiting").await;
    park(ledger, "j2", "waiting").await;
    let _ = start(ledger, &claim("cat")).await;
    let used = Use {
        jobs: 1,
        cpu_ms: 2,
        bytes: 3,
    };
    ledger.charge(&[("busy".to_owned(), used)]).await.unwrap();

    let list = ledger.tenant_list().await.unwrap();
    let names: Vec<&str> = list.iter().map(|summary| summary.tenant.as_str()).collect();
    assert_eq!(names, ["acme", "blocked", "busy", "noisy", "waiting"]);
    let [acme, blocked, busy, noisy, waiting] = &list[..] else {
        panic!("{list:?}")
    };
    assert_eq!((acme.running, waiting.waiting, noisy.sideline), (1, 2, Some(0)));
    assert_eq!((blocked.standing.block, busy.day), (Some(Block::Drop), used));

    let later = world.later(2 * HOUR).tenant_list().await.unwrap();
    let names: Vec<&str> = later.iter().map(|summary| summary.tenant.as_str()).collect();
    assert_eq!(names, ["acme", "blocked", "waiting"]);
}
