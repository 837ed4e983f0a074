//! The topology is the documented one, and what differs is said.

use super::*;

fn lines(found: &Topology) -> Vec<String> {
    let differences = differences(&Topology::wanted(), found);
    differences.iter().map(Difference::to_string).collect()
}

fn changed(change: impl FnOnce(&mut Topology)) -> Vec<String> {
    let mut found = Topology::wanted();
    change(&mut found);
    lines(&found)
}

#[test]
fn every_name_is_the_documented_one() {
    let wanted = Topology::wanted();
    let mut exchanges: Vec<_> = wanted
        .exchanges
        .iter()
        .map(|it| (it.name.as_str(), it.kind.as_str()))
        .collect();
    exchanges.sort_unstable();
    assert_eq!(
        exchanges,
        [
            ("lazaret.control", "fanout"),
            ("lazaret.dead", "fanout"),
            ("lazaret.jobs", "direct"),
            ("lazaret.results", "topic"),
            ("lazaret.retry.10m", "fanout"),
            ("lazaret.retry.1h", "fanout"),
            ("lazaret.retry.2m", "fanout"),
            ("lazaret.retry.30s", "fanout"),
            ("lazaret.retry.5s", "fanout"),
            ("lazaret.side", "direct"),
        ]
    );
    let queues: Vec<_> = wanted.queues.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        queues[..4],
        [
            "lazaret.jobs.interactive",
            "lazaret.jobs.bulk",
            "lazaret.jobs.suspect",
            "lazaret.side.00"
        ]
    );
    assert_eq!(
        (queues[18], queues[19], queues[24], queues.len()),
        ("lazaret.side.15", "lazaret.retry.5s", DEAD, 25)
    );
    assert_eq!(retry_exchange(4).unwrap(), "lazaret.retry.1h");
    assert_eq!(retry_exchange(5), None);
}

#[test]
fn policies_set_what_is_documented() {
    let policies = Topology::wanted().policies;
    let policy = |name: &str| policies.iter().find(|policy| policy.name == name).unwrap();
    let shown = |name: &str| (policy(name).pattern.clone(), json!(policy(name).definition).to_string());
    let work = r#"{"dead-letter-exchange":"lazaret.dead","dead-letter-strategy":"at-least-once","delivery-limit":50,"max-length":1000000,"overflow":"reject-publish"}"#;
    assert_eq!(shown("lazaret.jobs"), (r"^lazaret\.jobs\.".to_owned(), work.to_owned()));
    assert_eq!(shown("lazaret.side"), (r"^lazaret\.side\.".to_owned(), work.to_owned()));
    let wait = r#"{"dead-letter-exchange":"lazaret.jobs","dead-letter-strategy":"at-least-once","max-length":1000000,"message-ttl":120000,"overflow":"reject-publish"}"#;
    assert_eq!(
        shown("lazaret.retry.2m"),
        (r"^lazaret\.retry\.2m$".to_owned(), wait.to_owned())
    );
    let dead = r#"{"delivery-limit":1000000,"max-length":1000000,"overflow":"reject-publish"}"#;
    assert_eq!(shown("lazaret.dead"), (r"^lazaret\.dead$".to_owned(), dead.to_owned()));
    assert_eq!(policies.len(), 8);
}

#[test]
fn nothing_is_different_where_all_is_as_wanted() {
    assert_eq!(changed(|_| {}), [""; 0]);
    let others = changed(|found| {
        found.queues.push(Queue::of("somebody.elses"));
        found.bindings.push(Binding::of(RESULTS, "somebody.elses", "#"));
        found.bindings.push(Binding::of("", DEAD, DEAD));
    });
    assert_eq!(others, [""; 0], "what is not ours is not our business");
}

#[test]
fn all_is_missing_where_nothing_is() {
    let all = lines(&Topology::default());
    assert_eq!(all.len(), 10 + 8 + 25 + 25);
    assert_eq!(all[0], "exchange lazaret.jobs: is missing");
    assert_eq!(all[67], "binding lazaret.dead → lazaret.dead: is missing");
}

#[test]
fn what_differs_is_named_with_its_remedy() {
    let classic = changed(|found| found.queues[1].kind = Some("classic".to_owned()));
    assert_eq!(
        classic,
        [
            "queue lazaret.jobs.bulk: type classic, wanted quorum; remedy: a queue cannot be changed: let workers drain it, delete it, \
          `lazaret topology apply`"
        ]
    );
    let argued = changed(|found| drop(found.queues[1].arguments.insert("x-max-length".to_owned(), json!(3))));
    assert!(
        argued[0].starts_with("queue lazaret.jobs.bulk: x-max-length 3, wanted none; remedy: "),
        "{argued:?}"
    );
    let exchange = changed(|found| found.exchanges[0].kind = "topic".to_owned());
    assert!(
        exchange[0].starts_with("exchange lazaret.jobs: type topic, wanted direct; remedy: stop"),
        "{exchange:?}"
    );
    let policy = changed(|found| {
        found.policies[0].definition.insert("max-length".to_owned(), json!(3));
        found.policies[0].priority = 0;
    });
    assert_eq!(
        policy,
        ["policy lazaret.jobs: max-length 3, wanted 1000000, priority 0, wanted 10"]
    );
    let bound = changed(|found| found.bindings.push(Binding::of("amq.topic", DEAD, "#")));
    assert_eq!(
        bound,
        ["binding amq.topic → lazaret.dead by #: is none of ours; remedy: find out who made it, and delete it"]
    );
}

#[test]
fn a_policy_that_wins_over_ours_is_named() {
    let found = changed(|found| {
        found.policies.push(Policy::of("ha-all", ".*".to_owned(), &[]));
        found.queues[1].policy = Some("ha-all".to_owned());
        found.queues[2].policy = Some("just-deleted".to_owned());
    });
    assert_eq!(
        found,
        [
            "queue lazaret.jobs.bulk: policy ha-all applies instead of ours; remedy: give ha-all a pattern that does not match lazaret.*, \
          or a priority below 10"
        ]
    );
}
