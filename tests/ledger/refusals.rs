//! Refusals by digest: whose they were and when, whichever way they came; no more of them than is promised.

use std::time::Duration;

use futures_util::future::join_all;
use lazaret::ledger::{
    ByClaim, Claim, Claimed, Ledger, REFUSED_DAYS_KEPT, REFUSED_HOURS_KEPT, Refusals, SentBy, TENANTS_LISTED,
    TENANTS_TOLD_APART,
};

use super::world::*;

async fn refusals(ledger: &dyn Ledger, upload: &str) -> Refusals {
    ledger.dossier(&digest(upload)).await.unwrap().unwrap().refusals
}

/// Refused before its fetch.
async fn refuse(ledger: &dyn Ledger, upload: &str, tenant: &str) {
    let refused = ledger.refused(&of(tenant, upload)).await.unwrap();
    assert!(refused.is_some(), "{upload}");
}

fn of(tenant: &str, upload: &str) -> Claim {
    Claim {
        tenant: tenant.to_owned(),
        ..claim(upload)
    }
}

fn told(sent: &[SentBy]) -> Vec<(Option<&str>, u64, u64)> {
    let told = |sent: &SentBy| (sent.attempts, sent.refusals);
    let of = |sent| {
        let (attempts, refusals) = told(sent);
        (sent.tenant.as_deref(), attempts, refusals)
    };
    sent.iter().map(of).collect()
}

pub async fn a_refusal_is_its_tenants_whichever_way_it_came(world: &dyn World) {
    let ledger = world.ledger();
    convict(ledger, "bomb").await;
    refuse(ledger, "bomb", "globex").await;
    let Some(Claimed::Listed(_)) = ledger.ask(&of("initech", "bomb")).await.unwrap() else {
        panic!("not refused");
    };
    let Claimed::Listed(_) = ledger.claim(&of("globex", "bomb")).await.unwrap() else {
        panic!("not refused");
    };
    let claimed = claim_for("j", "bomb");
    let by_claim = ledger.answer_by_claim(&claimed, Box::new(|_| report("j")));
    assert!(matches!(by_claim.await.unwrap(), ByClaim::Refused(_)));

    let found = refusals(ledger, "bomb").await;
    assert_eq!(
        told(&found.tenants),
        [(Some("acme"), 1, 1), (Some("globex"), 0, 2), (Some("initech"), 0, 1)]
    );
    assert_eq!(found.hours.iter().map(|hour| hour.times).sum::<u64>(), 4);
    assert_eq!(found.days.iter().map(|day| day.times).sum::<u64>(), 4);
    assert_eq!(entry(ledger, "bomb").await.unwrap().repeats, 4);
    // What was not refused leaves nothing.
    assert_eq!(ledger.refused(&claim("cat")).await.unwrap(), None);
    convict(ledger, "other").await;
    assert_eq!(refusals(ledger, "other").await.hours, []);
}

pub async fn refusals_are_told_by_hour_and_day_and_dropped_in_time(world: &dyn World) {
    convict(world.ledger(), "bomb").await;
    let begun = entry(world.ledger(), "bomb").await.unwrap().since.timestamp_millis();
    let hour_ms = HOUR.as_millis() as i64;
    // Half an hour into an hour that is no day's last.
    let into = Duration::from_millis((DAY.as_millis() as i64 - begun.rem_euclid(24 * hour_ms)) as u64) + HOUR / 2;
    for (after, times) in [(Duration::ZERO, 1), (HOUR, 2), (DAY, 3)] {
        let ledger = world.later(into + after);
        for _ in 0..times {
            refuse(&*ledger, "bomb", "acme").await;
        }
    }
    let at = async |after: Duration| {
        let ledger = world.later(into + after);
        let tidied = ledger.tidy().await.unwrap();
        let found = refusals(&*ledger, "bomb").await;
        let times = |steps: &[lazaret::ledger::Refused]| steps.iter().map(|step| step.times).collect::<Vec<_>>();
        (tidied, times(&found.hours), times(&found.days))
    };
    assert_eq!(at(DAY).await, (0, vec![1, 2, 3], vec![3, 3]));
    let found = refusals(&*world.later(into + DAY), "bomb").await;
    let apart = |one: usize, other: usize| (found.hours[other].from - found.hours[one].from).num_milliseconds();
    assert_eq!((apart(0, 1), apart(0, 2)), (hour_ms, 24 * hour_ms));
    assert_eq!(
        (found.days[1].from - found.days[0].from).num_milliseconds(),
        24 * hour_ms
    );

    assert_eq!(at(REFUSED_HOURS_KEPT + HOUR).await, (1, vec![2, 3], vec![3, 3]));
    // By then the entry's time is over, too.
    let (tidied, hours, days) = at(REFUSED_DAYS_KEPT + DAY).await;
    assert!(tidied >= 3, "{tidied}");
    assert_eq!((hours, days), (vec![], vec![3]));
    assert_eq!(entry(world.ledger(), "bomb").await.unwrap().repeats, 6);
}

pub async fn so_many_tenants_are_told_apart_and_no_more(world: &dyn World) {
    let ledger = world.ledger();
    convict(ledger, "bomb").await;
    let most = TENANTS_TOLD_APART as usize;
    let tenants: Vec<String> = (0..most * 3).map(|number| format!("t{number:03}")).collect();
    // Together, so that some are of one batch.
    join_all(tenants.iter().map(|tenant| refuse(ledger, "bomb", tenant))).await;
    // Whoever has a name keeps it.
    let named: Vec<String> = refusals(ledger, "bomb")
        .await
        .tenants
        .into_iter()
        .filter_map(|sent| sent.tenant.filter(|tenant| tenant != "acme"))
        .collect();
    assert!(!named.is_empty() && named.len() <= most, "{named:?}");
    for tenant in &named {
        refuse(ledger, "bomb", tenant).await;
    }
    for number in 0..most {
        refuse(ledger, "bomb", &format!("late{number}")).await;
    }
    let found = refusals(ledger, "bomb").await;
    let counted: u64 = found.tenants.iter().map(|sent| sent.refusals).sum();
    let all = (tenants.len() + named.len() + most) as u64;
    assert_eq!(found.days.iter().map(|day| day.times).sum::<u64>(), all);
    let apart: Vec<&SentBy> = found.tenants.iter().filter(|sent| sent.tenant.is_some()).collect();
    assert!(apart.len() <= TENANTS_LISTED as usize, "{}", apart.len());
    let others = found.tenants.last().unwrap();
    assert_eq!((&others.tenant, others.attempts), (&None, 0));
    assert!(
        others.refusals >= all - 2 * (most as u64) - named.len() as u64,
        "{others:?}"
    );
    for tenant in &named {
        let of = found.tenants.iter().find(|sent| sent.tenant.as_ref() == Some(tenant));
        assert!(of.is_none_or(|of| of.refusals >= 2), "{tenant}: {of:?}");
    }
    // Nobody is counted twice; at most the least busy one is not listed.
    assert!(counted <= all && counted + 2 >= all, "{counted} of {all}");
}

pub async fn of_many_refusals_at_once_none_is_lost(world: &dyn World) {
    let ledger = world.ledger();
    for upload in ["one", "other"] {
        convict(ledger, upload).await;
    }
    let another = world.another().await;
    let refused = (0..200).map(|number| {
        let ledger = if number % 2 == 0 { ledger } else { &*another };
        let (upload, tenant) = (
            ["one", "other"][number / 2 % 2],
            ["acme", "globex", "initech"][number % 3],
        );
        async move { refuse(ledger, upload, tenant).await }
    });
    join_all(refused).await;
    for upload in ["one", "other"] {
        let found = refusals(ledger, upload).await;
        let by_tenant: u64 = found.tenants.iter().map(|sent| sent.refusals).sum();
        let by_hour: u64 = found.hours.iter().map(|hour| hour.times).sum();
        assert_eq!((by_tenant, by_hour), (100, 100));
        assert_eq!(entry(ledger, upload).await.unwrap().repeats, 100);
    }
}
