//! The promises of a ledger, each a function over any store, and what is each store's own: files and edited rows of SQLite,
//! plans and bad days of PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod ledger {
    mod blame;
    mod claims;
    mod course;
    mod jobs;
    mod pace;
    mod postgres;
    mod quarantine;
    mod refusals;
    mod renewals;
    mod sqlite;
    mod tenants;
    mod tokens;
    mod world;

    /// Makes a test of each promise, in a fresh world of a store.
    macro_rules! tests {
        ($world:ty: $($module:ident { $($promise:ident,)* })*) => {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    let world = <$world>::new().await;
                    crate::ledger::$module::$promise(&world).await;
                })*
            })*
        };
    }

    /// The promises, the same for every store.
    macro_rules! promises {
        ($world:ty) => {
            tests! { $world:
            claims {
                one_of_fifty_runs,
                an_upload_in_flight_is_busy_whatever_the_recipe,
                renditions_hold_within_a_build,
                a_refusal_holds_for_a_day_within_build_and_limits,
                a_quarantined_upload_is_refused_though_renditions_are_known,
                repeats_are_counted_when_refused,
                a_refusal_before_the_fetch_is_counted,
                only_a_worker_that_signed_on_may_run,
                long_names_are_cut,
                what_is_forgotten_is_made_again,
                what_nobody_runs_is_disowned,
            }
            blame {
                an_exact_trip_convicts_at_once,
                the_second_wall_strike_convicts,
                crashes_a_day_apart_do_not_add_up,
                strikes_of_another_epoch_do_not_count,
                strikes_before_a_release_do_not_count,
                success_clears_a_suspect,
                a_refusal_clears_a_suspect,
                a_sick_host_changes_nothing,
                a_late_outcome_is_fenced,
                a_suspect_runs_alone_in_the_fleet,
                a_suspect_is_recorded_only_by_a_worker_that_runs_nothing_else,
                company_loss_convicts_nobody,
                a_poison_is_convicted_after_three_workers,
                a_loss_leaves_stricter_entries_alone,
                a_solo_run_in_company_is_no_solo_loss,
                expired_leases_are_buried,
                a_signed_off_worker_leaves_nothing_running,
                a_trip_in_the_encoder_closes_its_recipe_only,
                a_second_recipe_widens_to_the_upload,
                a_vouched_upload_is_never_convicted,
            }
            jobs {
                a_job_is_new_then_waits_then_ended,
                the_first_report_counts,
                a_job_that_is_kept_is_not_ended_by_who_has_its_message,
                an_ended_job_cannot_be_parked,
                a_claimed_digest_that_is_listed_ends_its_job,
                a_claimed_digest_opens_no_other_door,
                a_job_that_waits_is_not_refused_by_its_claim,
                of_many_claims_at_once_each_job_ends_once,
                of_many_endings_at_once_one_counts,
                a_delay_is_kept,
                two_workers_never_adopt_one_job,
                copies_of_a_running_upload_are_not_adopted,
                copies_do_not_hide_those_behind_them,
                a_tenant_that_is_kept_out_makes_room,
                what_was_purged_is_let_in_to_be_refused,
                an_adopted_job_is_free_after_a_lease,
                an_adopted_job_is_held_for_as_long_as_it_is_in_hand,
                a_lost_workers_jobs_are_free,
                a_job_that_failed_is_reopened,
                old_history_is_dropped_and_strikes_are_kept,
            }
            quarantine {
                operators_act_within_the_rules,
                every_change_has_its_audit_row,
                a_digest_is_listed_by_hand,
                an_entry_expires_by_itself,
                tidying_expires_what_is_due,
                lists_are_filtered,
                pages_follow_each_other_whatever_they_are_filtered_by,
                the_oldest_change_comes_first_where_that_is_asked_for,
                the_trail_goes_back_in_time_page_by_page,
                bytes_that_are_erased_are_not_said_to_be_there,
                a_page_looks_so_far_and_the_next_one_goes_on,
                of_two_who_decide_at_once_one_is_too_late,
                a_note_changes_nothing_else,
                raised_limits_last_until_the_next_change,
                senders_are_counted,
                what_waits_for_operators_is_told,
                prefixes_resolve,
                an_export_comes_in_as_it_went_out,
                an_import_keeps_what_is_stricter,
                an_import_is_all_or_none,
            }
            refusals {
                a_refusal_is_its_tenants_whichever_way_it_came,
                refusals_are_told_by_hour_and_day_and_dropped_in_time,
                so_many_tenants_are_told_apart_and_no_more,
                of_many_refusals_at_once_none_is_lost,
            }
            renewals {
                old_renditions_are_made_anew_a_few_at_a_time,
                an_old_refusal_is_tried_again_within_its_day,
                nobody_waits_for_a_renewal_of_renditions,
                what_was_forgotten_is_no_renewal,
                a_verdict_that_is_tried_again_and_ends_well_is_taken_back,
                a_refusal_takes_a_verdict_back_too,
                while_a_verdict_is_tried_again_others_are_refused,
                a_verdict_that_holds_under_another_epoch_is_of_that_epoch,
                a_strike_that_would_convict_no_newcomer_changes_no_verdict,
                what_comes_to_nothing_changes_nothing,
                a_lost_worker_lets_nothing_go,
                operators_who_decide_meanwhile_win,
                what_is_not_a_rules_to_let_go_is_not_tried,
                a_closed_recipe_is_tried_and_no_other,
                a_tenant_that_is_full_is_answered_with_what_there_is,
                a_suspect_is_renewed_alone,
                what_is_over_is_no_renewal,
                of_many_at_once_no_more_run_than_may,
                two_epochs_side_by_side_lose_nothing,
                of_a_thousand_repeats_few_run_and_the_rest_are_answered,
            }
            course {
                a_course_tells_jobs_and_convictions_step_by_step,
                the_use_of_days_is_kept_for_a_course,
                verdicts_are_told_from_time_to_time_and_counted_by_the_hour,
            }
            tenants {
                a_standing_is_what_operators_made_of_it,
                every_change_of_a_standing_has_its_audit_row,
                changes_are_read_from_where_one_left_off,
                an_unblocked_tenants_jobs_are_due_at_once,
                use_adds_up_in_the_fleet_by_minute_and_day,
                concurrent_charges_lose_nothing,
                a_sideline_is_one_tenants_for_a_lease,
                a_tenant_finds_its_sideline_again,
                sidelines_that_are_not_empty_are_kept,
                sidelines_are_leased_once,
                one_bomb_too_many_is_probation,
                bombs_an_hour_apart_do_not_add_up,
                probation_lasts_until_an_hour_of_quiet,
                a_bomb_counts_for_whoever_sent_it_first,
                losses_that_convict_count_too,
                a_tenant_runs_no_more_than_it_may,
                tenants_are_listed_with_what_they_have,
            }
            tokens {
                a_token_is_good_until_its_time_is_over,
                a_token_is_revoked_once_and_stays_in_the_list,
                a_name_is_one_tokens_for_ever,
            }
            }
        };
    }

    mod on_sqlite {
        promises! { crate::ledger::sqlite::SqliteWorld }
    }

    mod on_postgres {
        promises! { crate::ledger::postgres::PostgresWorld }
    }
}
