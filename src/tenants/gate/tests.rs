//! Both sides of every rule of the gate.

use bytesize::ByteSize;

use super::*;

/// 2026-11-21T10:00:30Z.
const NOW: u64 = 1_795_255_230_000;
const ARRIVAL: Arrival = Arrival {
    tenant: "acme",
    enqueued_ms: Some(NOW - 5000),
    comes: Comes::Anew,
};

fn limits() -> Limits {
    Limits {
        jobs_per_minute: 10,
        cpu_seconds_per_minute: 20,
        bytes_per_day: ByteSize(1000),
        in_flight: 0,
        queued: 5,
        over: Over::Park,
    }
}

fn used(jobs: u64, cpu_ms: u64, bytes: u64, queued: u64) -> Used {
    let minute = Use { jobs, cpu_ms, bytes: 0 };
    let day = Use {
        jobs: 0,
        cpu_ms: 0,
        bytes,
    };
    Used { minute, day, queued }
}

fn blocked(block: Block) -> Standing {
    Standing {
        block: Some(block),
        ..Standing::default()
    }
}

fn purged(before: u64) -> Standing {
    Standing {
        purged_before_ms: Some(before),
        ..Standing::default()
    }
}

fn decide(standing: &Standing, used: &Used) -> Gate {
    gate(&ARRIVAL, standing, &limits(), used, NOW)
}

fn over(limit: &'static str, seen: u64, allowed: u64, until_ms: u64) -> Gate {
    Gate::Over {
        limit,
        seen,
        allowed,
        until_ms,
    }
}

#[test]
fn both_sides_of_every_limit() {
    let none = Standing::default();
    assert_eq!(decide(&none, &used(9, 19_999, 999, 4)), Gate::Open);
    let minute = NOW + 30_000;
    assert_eq!(
        decide(&none, &used(10, 0, 0, 0)),
        over("jobs_per_minute", 10, 10, minute)
    );
    assert_eq!(
        decide(&none, &used(0, 20_000, 0, 0)),
        over("cpu_seconds_per_minute", 20, 20, minute)
    );
    let day = NOW / DAY_MS * DAY_MS + DAY_MS;
    assert_eq!(
        decide(&none, &used(10, 0, 1000, 0)),
        over("bytes_per_day", 1000, 1000, day),
        "the longest wait"
    );
}

#[test]
fn no_limit_is_no_limit() {
    let none = Limits {
        jobs_per_minute: 0,
        ..Limits::default()
    };
    let much = used(u64::MAX, u64::MAX, u64::MAX, u64::MAX);
    assert_eq!(gate(&ARRIVAL, &Standing::default(), &none, &much, NOW), Gate::Open);
}

#[test]
fn refused_where_it_is_not_to_wait() {
    let refusing = Limits {
        over: Over::Refuse,
        ..limits()
    };
    let Gate::Refused(Reason::TenantOverLimit, detail) =
        gate(&ARRIVAL, &Standing::default(), &refusing, &used(12, 0, 0, 0), NOW)
    else {
        panic!("not refused");
    };
    assert_eq!(
        detail,
        "tenant acme is over jobs_per_minute: 12 seen, 10 allowed; send it again after 2026-11-21T10:01:00.000Z, \
         or raise it with `lazaret tenant limit acme`"
    );
}

#[test]
fn too_many_queued_are_refused_even_where_the_rest_waits() {
    let Gate::Refused(reason, detail) = decide(&Standing::default(), &used(0, 0, 0, 5)) else {
        panic!("not refused");
    };
    assert_eq!(reason, Reason::TenantOverLimit);
    assert!(
        detail.contains("queued: 5 seen, 5 allowed; send it again when some"),
        "{detail}"
    );
    let again = Arrival {
        comes: Comes::Again,
        ..ARRIVAL
    };
    let queued = used(0, 0, 0, 5);
    assert_eq!(gate(&again, &Standing::default(), &limits(), &queued, NOW), Gate::Open);
    assert!(matches!(
        decide(&blocked(Block::Hold), &queued),
        Gate::Refused(Reason::TenantOverLimit, _)
    ));
}

#[test]
fn blocked_in_three_ways() {
    let idle = Used::default();
    assert_eq!(decide(&blocked(Block::Hold), &idle), Gate::Held);
    assert_eq!(decide(&blocked(Block::Drop), &idle), Gate::Dropped);
    let Gate::Refused(Reason::TenantBlocked, detail) = decide(&blocked(Block::Refuse), &idle) else {
        panic!("not refused");
    };
    assert!(
        detail.contains("tenant acme is blocked") && detail.contains("tenant unblock acme"),
        "{detail}"
    );
}

#[test]
fn a_purge_takes_what_came_before_it_and_nothing_else() {
    let idle = Used::default();
    let Gate::Refused(Reason::Purged, detail) = decide(&purged(NOW - 4999), &idle) else {
        panic!("not purged");
    };
    assert!(detail.contains("before 2026-11-21T10:00:25.001Z"), "{detail}");
    assert_eq!(decide(&purged(NOW - 5000), &idle), Gate::Open, "enqueued at the mark");
    let unknown = Arrival {
        enqueued_ms: None,
        ..ARRIVAL
    };
    assert_eq!(gate(&unknown, &purged(NOW), &limits(), &idle, NOW), Gate::Open);
    // A purge of what is held goes before the hold.
    let held = Standing {
        block: Some(Block::Hold),
        ..purged(NOW)
    };
    assert!(matches!(decide(&held, &idle), Gate::Refused(Reason::Purged, _)));
}

#[test]
fn when_a_job_was_enqueued() {
    let told = "0193b2a4-7d0e-7cc1-9f6e-0d7a2f1c9e55";
    let ms = 0x0193_b2a4_7d0e;
    assert_eq!(enqueued_ms(told, Some(7), ms), Some(ms));
    assert_eq!(enqueued_ms(told, Some(7), ms - 1), Some(7999), "from the future");
    assert_eq!(enqueued_ms(told, None, ms - 1), None);
    let random = "7f2c1f6e-54a8-4a5b-9c59-3d2f7c1a0b11";
    assert_eq!(enqueued_ms(random, Some(7), 7000), Some(7999));
    assert_eq!(enqueued_ms(random, Some(8), 7999), None, "from the future");
    assert_eq!(enqueued_ms("order-77", None, NOW), None);
    assert_eq!(enqueued_ms("order-77", Some(u64::MAX), NOW), None);
}
