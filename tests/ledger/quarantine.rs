//! The list: operators' actions, audit, expiry, filters, import and export.

use chrono::TimeDelta;
use lazaret::blame::{Judgement, Scope};
use lazaret::format::Format;
use lazaret::ledger::{
    Acted, Claimed, Dossier, Entry, Filter, Ledger, LedgerError, Listing, Looks, Operator, Page, Seen, Sort,
    StrikeRecord, TenantAction, Trail, TrailListing,
};
use lazaret::quarantine::{Action, Gate, RAISED, State};
use lazaret::sandbox::layers::{Held, Layer, LayerReport, Mode};
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

/// Names on all pages of a list, three to a page.
async fn all_pages(ledger: &dyn Ledger, mut listing: Listing) -> Vec<String> {
    listing.most = 3;
    let mut names = Vec::new();
    loop {
        let Page { entries, next } = ledger.page(&listing).await.unwrap();
        assert!(entries.len() <= 3);
        names.extend(entries.into_iter().map(|entry| entry.name));
        match next {
            Some(mark) => {
                let goes_on = listing.behind.is_none_or(|before| match listing.sort {
                    Sort::Newest => mark < before,
                    Sort::Oldest => mark > before,
                });
                assert!(goes_on, "{listing:?} {mark:?}");
                listing.behind = Some(mark);
            }
            None => return names,
        }
    }
}

/// Ten entries that changed at the same time or later than the one before, of two tenants, two formats, two reasons, two workers.
async fn ten(world: &dyn World) {
    for number in 0..10_u32 {
        let ledger = world.later(HOUR * (number / 2));
        let mut claim = claim(&number.to_string());
        if number % 2 == 1 {
            claim.tenant = "globex".to_owned();
            claim.worker = worker("w2");
        }
        let reason = if number % 3 == 0 { Reason::Cpu } else { Reason::Memory };
        let attempt = start(&*ledger, &claim).await;
        let mut ending = ending(attempt, tripped(reason));
        ending.looks = Looks {
            bytes: 7,
            format: Some(if number < 5 { Format::Png } else { Format::Svg }),
            ..Looks::default()
        };
        assert_eq!(settle(&*ledger, &ending).await, Judgement::Convict(reason));
    }
    let act = async |upload: &str, action| {
        let ledger = world.later(HOUR * 6);
        ledger.act(&digest(upload), action, &operator()).await.unwrap()
    };
    act("0", Action::Confirm).await;
    act("9", Action::Release).await;
}

pub async fn pages_follow_each_other_whatever_they_are_filtered_by(world: &dyn World) {
    ten(world).await;
    let ledger = world.later(HOUR * 7);
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names.concat().replace(".jpg", "")
    };
    let all = Listing::default;
    let full = all_pages(&*ledger, all()).await;
    let known: Vec<String> = ledger
        .entries(&Filter::default())
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    assert_eq!(sorted(full.clone()), "0123456789");
    assert_eq!(sorted(known), sorted(full.clone()));
    assert_eq!(sorted(full[..2].to_vec()), "09", "newest change first");
    let by = async |listing: Listing| sorted(all_pages(&*ledger, listing).await);
    let tenant = || Some("globex".to_owned());
    let (state, reason) = (Some(State::Quarantined), Some(Reason::Cpu));
    let format = Some(Format::Svg);
    assert_eq!(by(Listing { state, ..all() }).await, "12345678");
    assert_eq!(by(Listing { reason, ..all() }).await, "0369");
    assert_eq!(
        by(Listing {
            tenant: tenant(),
            ..all()
        })
        .await,
        "13579"
    );
    assert_eq!(by(Listing { format, ..all() }).await, "56789");
    assert_eq!(
        by(Listing {
            worker: Some(worker("w2")),
            ..all()
        })
        .await,
        "13579"
    );
    assert_eq!(
        by(Listing {
            worker: Some(worker("w3")),
            ..all()
        })
        .await,
        ""
    );
    assert_eq!(by(Listing { state, reason, ..all() }).await, "36");
    assert_eq!(
        by(Listing {
            state,
            reason,
            tenant: tenant(),
            ..all()
        })
        .await,
        "3"
    );
    assert_eq!(
        by(Listing {
            state,
            format,
            worker: Some(worker("w1")),
            ..all()
        })
        .await,
        "68"
    );
    let five = ledger.dossier(&digest("5")).await.unwrap().unwrap().entry.changed;
    let (since, until) = (Some(five), Some(five + TimeDelta::minutes(90)));
    assert_eq!(by(Listing { since, until, ..all() }).await.replace('4', ""), "567");
    assert_eq!(by(Listing { until: since, ..all() }).await.replace('4', ""), "123");

    let later = world.later(DAY * 40);
    let listed = all_pages(&*later, Listing { state, ..all() }).await;
    assert_eq!(sorted(listed), "", "their time is over");
    later.tidy().await.unwrap();
    let expired = Some(State::Expired);
    let listed = all_pages(
        &*later,
        Listing {
            state: expired,
            ..all()
        },
    )
    .await;
    assert_eq!(sorted(listed), "12345678");
}

/// Whatever the filter, the list from the oldest change on is that from the newest on, read backwards.
pub async fn the_oldest_change_comes_first_where_that_is_asked_for(world: &dyn World) {
    ten(world).await;
    let ledger = world.later(HOUR * 7);
    let five = ledger.dossier(&digest("5")).await.unwrap().unwrap().entry.changed;
    let all = Listing::default;
    let tenant = Some("globex".to_owned());
    let (state, reason) = (Some(State::Quarantined), Some(Reason::Cpu));
    let (since, until) = (Some(five), Some(five + TimeDelta::minutes(90)));
    let mut found = Vec::new();
    for listing in [
        all(),
        Listing { state, ..all() },
        Listing { reason, ..all() },
        Listing { tenant, ..all() },
        Listing {
            format: Some(Format::Svg),
            ..all()
        },
        Listing {
            worker: Some(worker("w2")),
            ..all()
        },
        Listing { state, reason, ..all() },
        Listing { since, ..all() },
        Listing { until: since, ..all() },
        Listing { since, until, ..all() },
        Listing {
            state,
            since,
            until,
            ..all()
        },
    ] {
        let mut backwards = all_pages(&*ledger, listing.clone()).await;
        backwards.reverse();
        let sort = Sort::Oldest;
        let oldest_first = all_pages(
            &*ledger,
            Listing {
                sort,
                ..listing.clone()
            },
        )
        .await;
        assert_eq!(oldest_first, backwards, "{listing:?}");
        found.push(oldest_first.len());
    }
    // All; eight are still quarantined; the others as they were made.
    assert_eq!(found[..7], [10, 8, 4, 5, 5, 5, 2], "{found:?}");
    // What changed at the very time is since then, and not before.
    assert_eq!(found[7] + found[8], 10);
}

/// Where the filter lets through less than a page among what is looked at, the next page begins behind that, and nothing is left out.
pub async fn a_page_looks_so_far_and_the_next_one_goes_on(world: &dyn World) {
    let ledger = world.ledger();
    let template = listed(ledger, "template").await;
    let many: Vec<(Entry, Vec<StrikeRecord>)> = (0..lazaret::ledger::LOOKED_AT + 300)
        .map(|number| {
            let mut entry = template.clone();
            entry.digest = digest(&format!("many {number}"));
            entry.tenant = "acme".to_owned();
            (entry, Vec::new())
        })
        .collect();
    let rare = digest("rare");
    world
        .ledger()
        .import(
            &[(
                Entry {
                    digest: rare,
                    ..template.clone()
                },
                Vec::new(),
            )],
            Action::Add,
            &operator(),
        )
        .await
        .unwrap();
    world.ledger().act(&rare, Action::Confirm, &operator()).await.unwrap();
    world.later(HOUR).import(&many, Action::Add, &operator()).await.unwrap();
    let mut listing = Listing {
        state: Some(State::Confirmed),
        reason: Some(Reason::Listed),
        most: 50,
        ..Listing::default()
    };
    let first = ledger.page(&listing).await.unwrap();
    assert!(first.entries.is_empty() && first.next.is_some(), "{first:?}");
    listing.behind = first.next;
    let second = ledger.page(&listing).await.unwrap();
    assert_eq!(
        second.entries.iter().map(|entry| entry.digest).collect::<Vec<_>>(),
        [rare]
    );
    assert_eq!(second.next, None);

    // From the oldest on, the rare one comes first, and what was looked at in vain ends the list.
    (listing.sort, listing.behind) = (Sort::Oldest, None);
    let first = ledger.page(&listing).await.unwrap();
    let digests: Vec<_> = first.entries.iter().map(|entry| entry.digest).collect();
    assert_eq!((digests, first.next.is_some()), (vec![rare], true));
    listing.behind = first.next;
    let second = ledger.page(&listing).await.unwrap();
    assert_eq!((second.entries.len(), second.next), (0, None));
}

pub async fn of_two_who_decide_at_once_one_is_too_late(world: &dyn World) {
    let entry = convict(world.ledger(), "x").await;
    let seen = Seen::of(&entry);
    let other = world.another().await;
    let who = operator();
    let (one, two) = tokio::join!(
        world.ledger().act_on(&seen, Action::Confirm, &who),
        other.act_on(&seen, Action::Release, &who)
    );
    let done = [&one, &two].map(|acted| matches!(acted.as_ref().unwrap(), Acted::Done(_)));
    assert!(done[0] != done[1], "{one:?} {two:?}");
    let audit = world.ledger().dossier(&digest("x")).await.unwrap().unwrap().audit;
    assert_eq!(audit.iter().filter(|record| record.who == "ann").count(), 1);
    let note = other.act_on(&seen, Action::Note, &who).await.unwrap();
    assert!(matches!(note, Acted::Done(_)), "whatever was decided");
    let unknown = Seen {
        digest: digest("unknown"),
        ..seen
    };
    assert!(matches!(
        other.act_on(&unknown, Action::Allow, &who).await,
        Err(LedgerError::NoEntry(_))
    ));

    let due = world.later(DAY * 40);
    let seen = Seen::of(&convict(world.ledger(), "y").await);
    let acted = due.act_on(&seen, Action::Confirm, &who).await.unwrap();
    assert!(
        matches!(acted, Acted::TooLate(entry) if entry.state == State::Expired),
        "it expired meanwhile"
    );
}

pub async fn a_note_changes_nothing_else(world: &dyn World) {
    let ledger = world.ledger();
    let before = convict(ledger, "x").await;
    let note = Operator {
        who: "bo".to_owned(),
        why: "seen before".to_owned(),
    };
    let after = world.later(DAY).act(&digest("x"), Action::Note, &note).await.unwrap();
    assert_eq!(after, before);
    let dossier = ledger.dossier(&digest("x")).await.unwrap().unwrap();
    assert_eq!(dossier.entry, before);
    let record = dossier.audit.last().unwrap();
    assert_eq!(
        (record.action.as_str(), record.who.as_str(), record.why.as_str()),
        ("note", "bo", "seen before")
    );
    assert_eq!(
        (record.before, record.after),
        (Some(State::Quarantined), State::Quarantined)
    );
}

pub async fn raised_limits_last_until_the_next_change(world: &dyn World) {
    let ledger = world.ledger();
    convict(ledger, "x").await;
    let raised = ledger.act(&digest("x"), Action::Raise, &operator()).await.unwrap();
    assert_eq!((raised.state, raised.raised), (State::Released, Some(RAISED)));
    ledger.act(&digest("x"), Action::Note, &operator()).await.unwrap();
    // Seen by others, at once.
    let attempt = start(&*world.another().await, &claim("x")).await;
    assert_eq!((attempt.gate, attempt.raised), (Gate::Open, Some(RAISED)));
    assert_eq!(
        settle(ledger, &ending(attempt, tripped(Reason::Cpu))).await,
        Judgement::Convict(Reason::Cpu)
    );
    assert_eq!(entry(ledger, "x").await.unwrap().raised, None);
    ledger.act(&digest("x"), Action::Release, &operator()).await.unwrap();
    assert_eq!(start(ledger, &claim("x")).await.raised, None);
    convict(ledger, "y").await;
    ledger.act(&digest("y"), Action::Raise, &operator()).await.unwrap();
    let released = ledger.act(&digest("y"), Action::Allow, &operator()).await.unwrap();
    assert_eq!(released.raised, None);
}

pub async fn senders_are_counted(world: &dyn World) {
    let ledger = world.ledger();
    let _ = run(ledger, &claim("x"), crashed()).await;
    let mut theirs = claim("x");
    theirs.tenant = "globex".to_owned();
    theirs.name = "<b>.png".to_owned();
    let _ = run(ledger, &theirs, refused()).await;
    let mut again = theirs.clone();
    again.recipe = recipe("large");
    let _ = run(ledger, &again, refused()).await;
    let senders = ledger.dossier(&digest("x")).await.unwrap().unwrap().senders;
    let told: Vec<_> = senders
        .iter()
        .map(|sender| (sender.tenant.as_str(), sender.name.as_str(), sender.times))
        .collect();
    assert_eq!(told, [("globex", "<b>.png", 2), ("acme", "x.jpg", 1)]);
}

pub async fn what_waits_for_operators_is_told(world: &dyn World) {
    let ledger = world.ledger();
    let none = ledger.unreviewed().await.unwrap();
    assert_eq!((none.entries, none.oldest), (0, None));
    let first = convict(ledger, "x").await;
    convict(&*world.later(HOUR), "y").await;
    let both = ledger.unreviewed().await.unwrap();
    assert_eq!((both.entries, both.oldest), (2, Some(first.changed)));
    ledger.act(&digest("x"), Action::Confirm, &operator()).await.unwrap();
    assert_eq!(ledger.unreviewed().await.unwrap().entries, 1);

    let layers = [
        (Layer::Seccomp, Held::Yes("an allow-list".to_owned())),
        (Layer::Landlock, Held::Off),
    ];
    let layers = layers.map(|(layer, held)| LayerReport {
        layer,
        mode: Mode::BestEffort,
        held,
    });
    ledger
        .sign_on(&worker("w4"), "other", "build-2", &layers)
        .await
        .unwrap();
    let workers = ledger.workers().await.unwrap();
    let w4 = workers.iter().find(|record| record.worker == worker("w4")).unwrap();
    assert_eq!((w4.build.as_str(), &w4.layers[..]), ("build-2", &layers[..]));
    assert!(
        workers
            .iter()
            .filter(|record| record.host == "host")
            .all(|record| record.layers.is_empty())
    );
    let names: Vec<_> = workers
        .iter()
        .map(|worker| (worker.worker.0.as_str(), worker.alive))
        .collect();
    assert_eq!(names, [("w1", true), ("w2", true), ("w3", true), ("w4", true)]);
    let later = world.later(HOUR).workers().await.unwrap();
    assert!(later.iter().all(|worker| !worker.alive));
}

/// What was done, on all pages of a trail, three to a page.
async fn whole_trail(ledger: &dyn Ledger, mut listing: TrailListing) -> Vec<(String, String)> {
    listing.most = 3;
    let mut done = Vec::new();
    loop {
        let page = ledger.trail(&listing).await.unwrap();
        assert!(page.records.len() <= 3);
        done.extend(page.records.into_iter().map(|record| (record.about, record.action)));
        match page.next {
            Some(place) => {
                assert!(listing.behind.is_none_or(|before| place < before), "it goes on");
                listing.behind = Some(place);
            }
            None => return done,
        }
    }
}

pub async fn the_trail_goes_back_in_time_page_by_page(world: &dyn World) {
    ten(world).await;
    let begun = entry(world.ledger(), "1").await.unwrap().changed;
    let last = world.later(HOUR * 6);
    let all = whole_trail(&*last, TrailListing::default()).await;
    assert_eq!(all.len(), 12);
    let done: Vec<&str> = all.iter().map(|(_, action)| action.as_str()).collect();
    assert_eq!(done[..3], ["release", "confirm", "convict"]);
    assert_eq!(
        (&all[0].0, &all[2].0, &all[11].0),
        (
            &digest("9").to_string(),
            &digest("9").to_string(),
            &digest("0").to_string()
        )
    );
    let of = async |listing: TrailListing| whole_trail(&*last, listing).await.len();
    let by = |who: &str, action: Option<&str>| TrailListing {
        who: Some(who.to_owned()),
        action: action.map(str::to_owned),
        ..TrailListing::default()
    };
    assert_eq!((of(by("ann", None)).await, of(by("lazaret", None)).await), (2, 10));
    assert_eq!(
        (
            of(by("ann", Some("release"))).await,
            of(by("ann", Some("convict"))).await
        ),
        (1, 0)
    );
    // Two an hour, the first two at once.
    let window = |since: Option<f64>, until: Option<f64>| {
        let at = |hours: f64| begun + TimeDelta::seconds((hours * 3600.0) as i64);
        TrailListing {
            since: since.map(at),
            until: until.map(at),
            ..TrailListing::default()
        }
    };
    assert_eq!(of(window(Some(1.5), None)).await, 8);
    assert_eq!(of(window(None, Some(1.5))).await, 4);
    assert_eq!(of(window(Some(1.5), Some(3.5))).await, 4);

    let block = TenantAction::Block(lazaret::tenants::Block::Hold);
    for action in [block, TenantAction::Unblock, TenantAction::Purge, TenantAction::Unlimit] {
        last.tenant_act("acme", &action, &operator()).await.unwrap();
    }
    let tenants = TrailListing {
        of: Trail::Tenants,
        ..TrailListing::default()
    };
    let done = whole_trail(&*last, tenants).await;
    let done: Vec<(&str, &str)> = done
        .iter()
        .map(|(about, action)| (about.as_str(), action.as_str()))
        .collect();
    assert_eq!(
        done,
        [
            ("acme", "unlimit"),
            ("acme", "purge"),
            ("acme", "unblock"),
            ("acme", "block")
        ]
    );
}

pub async fn bytes_that_are_erased_are_not_said_to_be_there(world: &dyn World) {
    let ledger = world.ledger();
    let attempt = start(ledger, &claim("x")).await;
    let mut ending = ending(attempt, tripped(Reason::Cpu));
    ending.specimen = Some("aa/bb".to_owned());
    assert_eq!(settle(ledger, &ending).await, Judgement::Convict(Reason::Cpu));
    let before = entry(ledger, "x").await.unwrap();
    assert_eq!(before.specimen.as_deref(), Some("aa/bb"));
    let after = ledger.act(&digest("x"), Action::Erase, &operator()).await.unwrap();
    let expected = Entry {
        specimen: None,
        ..before
    };
    assert_eq!(
        (&after, entry(ledger, "x").await.unwrap()),
        (&expected, expected.clone())
    );
    let dossier = ledger.dossier(&digest("x")).await.unwrap().unwrap();
    assert_eq!(dossier.audit.last().unwrap().action, "erase");
}
