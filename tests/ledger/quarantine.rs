//! The list: operators' actions, audit, expiry, filters, import and export.

use lazaret::blame::{Judgement, Scope};
use lazaret::ledger::{Claimed, Dossier, Entry, Filter, Ledger, LedgerError, Operator, StrikeRecord};
use lazaret::quarantine::{Action, Gate, State};
use lazaret::verdict::Reason;

use super::world::*;

/// What `quarantine add` hands over: only the digest and the words matter.
async fn listed(ledger: &dyn Ledger, upload: &str) -> Entry {
    let mut entry = convict(ledger, "template").await;
    ledger
        .act(&digest("template"), Action::Release, &operator())
        .await
        .unwrap();
    entry.digest = digest(upload);
    entry.detail = "reported by abuse desk".to_owned();
    entry
}

async fn export(ledger: &dyn Ledger) -> Vec<(Entry, Vec<StrikeRecord>)> {
    let mut list = Vec::new();
    for entry in ledger.entries(&Filter::default()).await.unwrap() {
        let Dossier { entry, strikes, .. } = ledger.dossier(&entry.digest).await.unwrap().unwrap();
        list.push((entry, strikes));
    }
    list
}

pub async fn operators_act_within_the_rules(world: &dyn World) {
    let ledger = world.ledger();
    let nobody = ledger.act(&digest("unknown"), Action::Allow, &operator()).await;
    assert!(matches!(nobody, Err(LedgerError::NoEntry(_))));
    convict(ledger, "x").await;
    let confirmed = ledger.act(&digest("x"), Action::Confirm, &operator()).await.unwrap();
    assert_eq!((confirmed.state, confirmed.expires), (State::Confirmed, None));
    let again = ledger
        .act(&digest("x"), Action::Confirm, &operator())
        .await
        .unwrap_err();
    assert!(
        matches!(
            again,
            LedgerError::WrongState {
                state: State::Confirmed,
                action: "confirm",
                ..
            }
        ),
        "{again}"
    );
    ledger.act(&digest("x"), Action::Release, &operator()).await.unwrap();
    assert_eq!(start(ledger, &claim("x")).await.gate, Gate::Open);
}

pub async fn every_change_has_its_audit_row(world: &dyn World) {
    let ledger = world.ledger();
    let _ = run(ledger, &claim("x"), crashed()).await;
    let _ = run(ledger, &claim("x"), crashed()).await;
    let ann = Operator {
        who: "ann".to_owned(),
        why: "false alarm".to_owned(),
    };
    ledger.act(&digest("x"), Action::Release, &ann).await.unwrap();
    let audit = ledger.dossier(&digest("x")).await.unwrap().unwrap().audit;
    let rows: Vec<_> = audit
        .iter()
        .map(|row| (row.who.as_str(), row.action.as_str(), row.before, row.after))
        .collect();
    assert_eq!(
        rows,
        [
            ("lazaret", "suspect", None, State::Suspected),
            ("lazaret", "convict", Some(State::Suspected), State::Quarantined),
            ("ann", "release", Some(State::Quarantined), State::Released),
        ]
    );
    assert_eq!(
        (audit[0].why.as_str(), audit[2].why.as_str()),
        ("ended by SIGSEGV", "false alarm")
    );
}

pub async fn a_digest_is_listed_by_hand(world: &dyn World) {
    let ledger = world.ledger();
    let by_hand = [(listed(ledger, "x").await, Vec::new())];
    assert_eq!(ledger.import(&by_hand, Action::Add, &operator()).await.unwrap(), 1);
    let Claimed::Listed(entry) = ledger.claim(&claim("x")).await.unwrap() else {
        panic!("not refused")
    };
    assert_eq!(
        (entry.state, entry.reason, entry.scope),
        (State::Quarantined, Reason::Listed, Scope::Upload)
    );
    assert_eq!((entry.detail.as_str(), entry.recipe), ("reported by abuse desk", None));
    let again = ledger.import(&by_hand, Action::Add, &operator()).await;
    assert!(matches!(again, Err(LedgerError::WrongState { action: "add", .. })));
    assert!(ledger.import(&by_hand, Action::Release, &operator()).await.is_err());
}

pub async fn an_entry_expires_by_itself(world: &dyn World) {
    convict(world.ledger(), "x").await;
    let (before, after) = (world.later(DAY * 26), world.later(DAY * 34));
    assert!(matches!(before.claim(&claim("x")).await.unwrap(), Claimed::Listed(_)));
    assert_eq!(entry(&*after, "x").await.unwrap().state, State::Expired);
    assert_eq!(start(&*after, &claim("x")).await.gate, Gate::Open);
    let dossier = after.dossier(&digest("x")).await.unwrap().unwrap();
    let last = dossier.audit.last().unwrap();
    assert_eq!((last.who.as_str(), last.action.as_str()), ("lazaret", "expire"));
    assert_eq!((dossier.entry.state, dossier.entry.expires), (State::Expired, None));
}

pub async fn tidying_expires_what_is_due(world: &dyn World) {
    let ledger = world.ledger();
    for upload in ["a", "b", "kept"] {
        convict(ledger, upload).await;
    }
    ledger.act(&digest("kept"), Action::Confirm, &operator()).await.unwrap();
    let later = world.later(DAY * 34);
    let expired = Filter {
        states: vec![State::Expired],
        ..Filter::default()
    };
    assert_eq!(
        later.entries(&expired).await.unwrap().len(),
        2,
        "they count as expired before they are moved"
    );
    assert_eq!(later.tidy().await.unwrap(), 2);
    assert_eq!(later.entries(&expired).await.unwrap().len(), 2);
    assert_eq!(entry(&*later, "kept").await.unwrap().state, State::Confirmed);
}

pub async fn lists_are_filtered(world: &dyn World) {
    let ledger = world.ledger();
    let day_later = world.later(DAY);
    convict(ledger, "old").await;
    let _ = run(&*day_later, &claim("new"), crashed()).await;
    let mut other = claim("theirs");
    other.tenant = "globex".to_owned();
    let _ = run(&*world.later(DAY * 2), &other, tripped(Reason::Cpu)).await;

    let now = world.later(DAY * 2 + HOUR);
    let names = async |filter: Filter| -> Vec<String> {
        now.entries(&filter)
            .await
            .unwrap()
            .into_iter()
            .map(|entry| entry.name)
            .collect()
    };
    let all = Filter::default;
    assert_eq!(names(all()).await, ["theirs.jpg", "new.jpg", "old.jpg"]);
    assert_eq!(names(Filter { limit: 2, ..all() }).await, ["theirs.jpg", "new.jpg"]);
    assert_eq!(
        names(Filter {
            states: vec![State::Suspected, State::Allowed],
            ..all()
        })
        .await,
        ["new.jpg"]
    );
    assert_eq!(
        names(Filter {
            reason: Some(Reason::Cpu),
            ..all()
        })
        .await,
        ["theirs.jpg"]
    );
    assert_eq!(
        names(Filter {
            tenant: Some("globex".to_owned()),
            ..all()
        })
        .await,
        ["theirs.jpg"]
    );
    assert_eq!(
        names(Filter {
            older_than: Some(DAY),
            ..all()
        })
        .await,
        ["new.jpg", "old.jpg"]
    );
    let between = Filter {
        older_than: Some(DAY),
        newer_than: Some(HOUR * 30),
        ..all()
    };
    assert_eq!(names(between).await, ["new.jpg"]);
    assert!(
        names(Filter {
            tenant: Some("globex".to_owned()),
            reason: Some(Reason::Wall),
            ..all()
        })
        .await
        .is_empty()
    );
}

pub async fn prefixes_resolve(world: &dyn World) {
    let ledger = world.ledger();
    for upload in ["a", "b", "c"] {
        convict(ledger, upload).await;
    }
    let whole = digest("b").to_string();
    assert_eq!(ledger.resolve(&whole).await.unwrap(), [digest("b")]);
    assert_eq!(ledger.resolve(&whole[..8].to_uppercase()).await.unwrap(), [digest("b")]);
    assert_eq!(ledger.resolve("").await.unwrap().len(), 2);
    for nothing in ["ffffffff", "%", "g", "'; DROP TABLE entries"] {
        assert_eq!(ledger.resolve(nothing).await.unwrap(), []);
    }
}

pub async fn an_export_comes_in_as_it_went_out(world: &dyn World) {
    let ledger = world.ledger();
    for upload in ["a", "confirmed"] {
        convict(ledger, upload).await;
    }
    ledger
        .act(&digest("confirmed"), Action::Confirm, &operator())
        .await
        .unwrap();
    let mut list = export(ledger).await;
    let json = serde_json::to_string(&list).unwrap();
    list = serde_json::from_str(&json).unwrap();
    for ((entry, _), new) in list.iter_mut().zip(["x", "y"]) {
        entry.digest = digest(new);
    }
    assert_eq!(ledger.import(&list, Action::Import, &operator()).await.unwrap(), 2);
    for (sent, strikes) in &list {
        let got = ledger.dossier(&sent.digest).await.unwrap().unwrap();
        assert_eq!(
            got.entry,
            Entry {
                changed: got.entry.changed,
                ..sent.clone()
            }
        );
        assert_eq!((got.strikes.len(), &got.strikes[0].evidence), (1, &strikes[0].evidence));
        assert_eq!((got.strikes[0].attempt, got.audit[0].action.as_str()), (None, "import"));
    }
}

pub async fn an_import_keeps_what_is_stricter(world: &dyn World) {
    let ledger = world.ledger();
    for upload in ["same", "allowed", "released"] {
        convict(ledger, upload).await;
    }
    let list = export(ledger).await;
    ledger
        .act(&digest("allowed"), Action::Allow, &operator())
        .await
        .unwrap();
    ledger
        .act(&digest("released"), Action::Release, &operator())
        .await
        .unwrap();
    assert_eq!(ledger.import(&list, Action::Import, &operator()).await.unwrap(), 1);
    assert_eq!(entry(ledger, "allowed").await.unwrap().state, State::Allowed);
    let released = entry(ledger, "released").await.unwrap();
    assert_eq!((released.state, released.strikes), (State::Quarantined, 1));

    ledger
        .act(&digest("released"), Action::Release, &operator())
        .await
        .unwrap();
    let weaker: Vec<_> = export(ledger)
        .await
        .into_iter()
        .filter(|(entry, _)| entry.state == State::Released)
        .collect();
    assert_eq!(
        (
            weaker.len(),
            ledger.import(&weaker, Action::Import, &operator()).await.unwrap()
        ),
        (1, 0)
    );
    let _ = run(ledger, &claim("released"), crashed()).await;
    assert_eq!(
        run(ledger, &claim("released"), crashed()).await,
        Judgement::Convict(Reason::Crash)
    );
}

pub async fn an_import_is_all_or_none(world: &dyn World) {
    let ledger = world.ledger();
    let new = listed(ledger, "new").await;
    let known = convict(ledger, "known").await;
    let list = [(new, Vec::new()), (known, Vec::new())];
    assert!(ledger.import(&list, Action::Add, &operator()).await.is_err());
    assert_eq!(entry(ledger, "new").await, None);
}
