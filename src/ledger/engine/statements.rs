//! The names of all statements. Each store has a text for every one of them, in one file.

/// Declares the statements of a store, each marked `hot` (on the way of a job: index look-ups only, which a test proves from the query
/// plans) or `cold` (operators' lists, housekeeping), and lists them for that test.
macro_rules! statements {
    ($($(#[$doc:meta])* $temper:ident $name:ident = $sql:expr;)*) => {
        pub(super) const SQL: $crate::ledger::engine::Statements = $crate::ledger::engine::Statements { $($name: $sql),* };
        /// Temper, name and text of each.
        #[allow(dead_code, reason = "for tests of plans, of this crate or beside it")]
        pub const ALL: &[(&str, &str, &str)] = &[$((stringify!($temper), stringify!($name), $sql)),*];
    };
}
pub(in crate::ledger) use statements;

macro_rules! names {
    ($($name:ident,)*) => {
        /// A text for each statement of the ledger.
        pub(in crate::ledger) struct Statements {
            $(pub(in crate::ledger) $name: &'static str,)*
        }
    };
}

names! {
    sign_on,
    renew_lease,
    is_signed_on,
    sign_off,
    leases_over,
    is_lease_over,
    release_runs,
    hold_jobs,
    free_jobs,
    start_run,
    is_running,
    is_solo_running,
    runs_of_tenant,
    run,
    runs_of_worker,
    end_run,
    disown,
    result,
    forget,
    remember,
    entry,
    count_repeats,
    count_repeat,
    save_entry,
    add_strike,
    strikes_that_count,
    add_audit,
    standings_after,
    standing,
    save_standing,
    add_tenant_audit,
    tenant_audit,
    rouse_jobs,
    mark_convicted,
    convictions_of,
    use_of_minute,
    use_of_day,
    charge_minutes,
    charge_days,
    sidelines,
    leave_sideline,
    take_sideline,
    keep_sideline,
    sidelines_leased,
    job,
    jobs,
    park,
    any_due,
    set_back,
    adopt,
    end_jobs,
    by_claim,
    forget_job,
    tenants,
    waiting,
    entries,
    page_of_all,
    end_of_all,
    page_of_state,
    end_of_state,
    page_of_reason,
    end_of_reason,
    page_of_tenant,
    end_of_tenant,
    page_of_format,
    end_of_format,
    page_of_worker,
    end_of_worker,
    trail_of_uploads,
    end_of_uploads,
    trail_of_tenants,
    end_of_tenants,
    senders,
    unreviewed,
    workers,
    add_token,
    token,
    tokens,
    is_token,
    revoke_token,
    digests_from,
    strikes,
    attempts,
    audit,
    import_strike,
    due_entries,
    drop_jobs,
    drop_runs,
    drop_refusals,
    drop_minutes,
    drop_days,
}
