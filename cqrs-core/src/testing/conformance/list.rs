/// Runs the [conformance suite](crate::testing::conformance) on a store: every case becomes a test.
///
/// The expression gives a fresh, empty store that refuses hard deletion. With `hard_deletion = ..`, which
/// gives one that allows it, the cases of hard deletion run too.
#[macro_export]
macro_rules! store_conformance {
    ($fresh:expr, hard_deletion = $erasing:expr $(,)?) => {
        $crate::store_conformance!($fresh);
        $crate::__store_conformance_tests! { run; $erasing;
            hard_deletion {
                pg_067_erased_events_are_gone_everywhere
                pg_067_positions_are_never_given_again
                pg_067_the_name_may_be_used_again
                pg_060_an_erased_stream_does_not_exist
                pg_066_an_erasure_expects_a_version
                pg_066_what_is_gone_or_closed_cannot_be_erased
                pg_046_the_log_is_read_over_holes
                pg_046_a_filter_passes_over_holes
                pg_067_a_filter_by_stream_gives_the_events_of_its_name
                pg_046_links_keep_the_places_of_erased_events
                pg_067_erased_positions_cannot_be_linked
                pg_067_erasing_links_leaves_the_events
                an_erased_stream_leaves_no_snapshot
                an_erased_stream_leaves_its_outcomes
            }
        }
    };
    ($fresh:expr $(,)?) => {
        $crate::__store_conformance_tests! { run; $fresh;
            append {
                t_210_versions_go_on_where_they_ended
                t_211_any_version_takes_every_stream
                t_211_no_stream_takes_a_new_stream_only
                t_211_stream_exists_takes_an_existing_stream_only
                t_212_a_wrong_exact_version_is_refused
                pg_028_a_conflict_names_stream_expectation_and_version
                pg_008_exactly_0_is_a_new_stream
                e_038_only_a_wrong_version_is_a_conflict
                t_216_no_events_are_no_failure
                pg_130_no_events_still_expect
                t_217_five_thousand_events_in_one_append
                pg_010_eight_thousand_and_one_events_in_one_append
                pg_026_the_log_is_in_the_order_of_the_calls
                pg_027_positions_and_versions_begin_at_1
                c_014_an_event_reads_back_identical
                pg_022_a_payload_is_kept
                a_large_payload_is_kept
                pg_023_events_carry_the_time_of_recording
                c_020_a_stored_event_is_refused
                pg_013_a_stored_event_is_refused_in_another_stream
                c_020_an_event_twice_in_one_append_is_refused
            }
            append_all {
                appends_as_one_lie_in_their_order
                events_of_appends_as_one_read_back_identical
                an_exact_version_counts_the_appends_before
                a_stream_exists_for_the_appends_behind_its_first
                one_conflict_refuses_all_appends
                one_deleted_stream_refuses_all_appends
                an_id_that_is_known_refuses_all_appends
                appends_as_one_are_not_made_again
                an_id_that_comes_twice_refuses_all_appends
                an_event_in_two_appends_refuses_all
                outcomes_of_appends_as_one_can_be_asked_for
                states_of_appends_as_one_follow_each_other
                appends_without_events_are_made_too
                no_appends_are_no_failure
                one_append_as_one_is_an_append
                a_thousand_appends_as_one
                appends_as_one_from_many_callers_stay_whole
                of_appends_as_one_at_one_version_one_caller_wins
                appends_as_one_are_announced_as_a_whole
            }
            idempotency {
                a_repeated_append_gives_the_first_outcome
                an_id_stands_for_its_first_append_whatever_it_holds_later
                an_append_without_events_is_remembered
                an_append_without_writes_is_remembered
                an_append_of_a_state_is_remembered
                an_append_to_several_streams_is_remembered_whole
                a_failed_append_is_not_remembered
                an_outcome_can_be_asked_for
                an_outcome_survives_its_stream
            }
            multi_stream {
                several_streams_are_written_in_order
                one_failed_expectation_refuses_all
                one_duplicate_event_refuses_all
                one_deleted_stream_refuses_all
                a_stream_named_twice_is_refused
                a_write_without_events_guards_the_others
                a_hundred_streams_in_one_append
            }
            state {
                a_state_is_kept_and_replaced
                a_state_of_another_version_is_refused
                a_state_whose_version_does_not_grow_is_refused
                a_state_is_no_event
                a_state_is_no_snapshot
                states_and_events_are_written_together
            }
            read_stream {
                t_213_an_unknown_stream_reads_as_empty
                t_215_streams_do_not_mix
                t_215_pages_put_together_are_the_stream
                pg_040_forward_begins_at_a_version
                pg_041_backward_begins_at_a_version_or_the_end
                c_018_every_range_holds_what_it_covers
                w_013_a_range_spans_appends
                pg_045_behind_the_end_there_is_nothing
                pg_047_versions_count_in_the_stream
                limits_at_both_ends
                pg_060_a_stream_describes_itself
                both_directions_give_the_same_events
            }
            read_log {
                pg_042_the_log_holds_all_events_with_their_origin
                pg_043_pages_have_neither_overlap_nor_hole
                c_039_a_page_tells_how_far_it_reaches
                c_017_a_page_begins_behind_its_position
                the_log_is_read_up_to_a_position
                a_filter_lets_its_types_pass
                a_filter_without_types_lets_nothing_pass
                a_filter_finds_few_among_many
                the_head_is_the_latest_position
                n_040_failures_leave_no_hole
            }
            filters {
                every_combination_gives_what_passes
                pg_051_a_category_is_the_whole_prefix
                t_225_m_007_one_stream_is_read_behind_any_position
                pg_077_a_stream_that_is_begun_later_is_found_then
                a_linked_event_passes_by_its_origin_only
                pg_065_events_of_a_deleted_stream_pass
                pg_052_a_correlation_goes_with_other_conditions
            }
            links {
                pg_030_links_go_on_behind_own_events
                pg_031_a_linked_event_is_identical
                pg_032_a_link_expects_a_version
                pg_033_one_unknown_position_refuses_all
                pg_035_an_event_stands_in_a_stream_once
                links_keep_their_order_in_every_stream
                pages_of_links_count_places
                links_leave_the_log_as_it_is
                pg_038_a_link_of_a_link_leads_to_the_origin
                no_links_begin_no_stream
            }
            deletion {
                pg_065_a_deleted_stream_is_closed
                pg_065_the_events_of_a_deleted_stream_stay
                pg_060_a_deleted_stream_says_so
                pg_066_a_deletion_expects_a_version
                pg_066_a_missing_stream_cannot_be_deleted
                pg_066_a_stream_is_deleted_once
                pg_065_other_streams_stay_open
                pg_066_hard_deletion_is_off_by_default
            }
            snapshots {
                c_022_a_snapshot_reads_back_identical
                c_023_a_later_snapshot_replaces_an_earlier_one
                pg_070_an_earlier_snapshot_is_ignored
                a_snapshot_of_another_schema_version_replaces_any
                snapshots_of_streams_do_not_mix
                a_snapshot_can_be_deleted
                c_025_a_snapshot_needs_no_stream
                pg_070_the_latest_of_concurrent_snapshots_stays
            }
            checkpoints {
                a_handler_that_never_ran_has_no_checkpoint
                t_241_a_checkpoint_goes_forward_only
                checkpoints_of_handlers_do_not_mix
                t_240_a_forgotten_handler_starts_afresh
                the_highest_of_concurrent_checkpoints_stays
            }
            records {
                a_record_is_kept_as_it_was_written
                records_of_kinds_and_handlers_do_not_mix
                any_text_in_a_record_is_kept
                records_are_found_by_their_keys
                records_come_in_pages
                a_commit_of_a_fenced_owner_changes_nothing
                what_is_due_is_found
                many_records_are_written_at_once
            }
            expected {
                what_is_as_expected_is_written
                what_is_not_as_expected_changes_nothing
                what_does_not_change_is_not_compared
                a_fenced_owner_is_not_asked_what_he_expects
                of_concurrent_additions_one_is_made
                of_concurrent_changes_of_what_was_read_one_is_made
                what_expects_nothing_is_not_lost_between
            }
            leases {
                pg_098_a_lease_has_one_owner
                an_owner_takes_its_lease_anew
                t_335_a_lease_that_has_run_out_can_be_taken
                epochs_always_grow
                a_renewal_sets_the_time_anew
                a_renewal_lists_the_owners_leases
                a_lease_given_back_can_be_taken_at_once
                an_old_epoch_cannot_be_given_back
                a_lease_given_back_wakes_every_receiver
                a_call_of_the_owners_wakes_every_receiver
                leases_do_not_mix
                a_lease_without_an_end_is_kept
                pg_121_the_checkpoint_of_an_old_epoch_is_refused
                a_checkpoint_needs_the_lease_of_its_handler
                a_forgotten_checkpoint_leaves_the_lease
                pg_098_of_nodes_that_ask_at_once_one_gets_the_lease
                no_epoch_is_given_twice
            }
            lineage {
                correlated_events_come_in_the_order_of_the_log
                correlated_events_come_in_pages
                a_message_is_found_by_its_id
                an_unknown_message_is_not_found
            }
            tail {
                n_039_a_reader_at_the_head_misses_nothing
                m_006_what_is_there_and_what_comes_is_read_once
                an_append_wakes_every_receiver
                a_later_receiver_learns_the_head
                an_append_is_announced_as_a_whole
            }
            concurrency {
                t_218_writers_at_any_version_all_succeed
                pg_007_of_writers_at_one_version_one_wins
                n_013_of_appends_of_one_id_one_is_made
                pg_125_opposite_orders_do_not_deadlock
                of_appends_that_share_a_guard_one_is_written
                of_writers_of_one_state_one_wins
                c_020_of_appends_of_one_event_one_is_made
                pg_035_of_links_of_the_same_events_one_wins
                pg_117_a_caller_that_gives_up_leaves_no_half_append
            }
            identity {
                an_identity_stays_the_same
                the_first_application_owns_the_store
                of_concurrent_applications_one_becomes_the_owner
            }
            bad_input {
                pg_062_stream_ids_are_taken_literally
                pg_062_event_types_are_taken_literally
                pg_062_streams_and_categories_are_taken_literally
                pg_128_the_longest_stream_id_is_kept_whole
                stream_ids_differ_by_every_byte
                numbers_beyond_everything_are_no_failure
                pg_116_an_escaped_nul_is_kept_or_refused
            }
        }
        $crate::__store_conformance_tests! { run_with_two; $fresh;
            isolation {
                two_stores_have_two_identities
                n_008_one_append_happens_in_each_store
                nothing_crosses_from_store_to_store
                leases_do_not_cross_from_store_to_store
            }
        }
    };
}

/// Runs the cases of [`AuditStore`](crate::audit::AuditStore) on a store. The expression gives a fresh, empty one.
#[macro_export]
macro_rules! audit_conformance {
    ($fresh:expr $(,)?) => {
        $crate::__store_conformance_tests! { run_with_audit; $fresh;
            audit {
                t_440_a_record_is_open_until_it_ends
                t_440_an_end_is_kept_as_it_was_told
                a_record_is_kept_as_it_was_written
                a_record_is_written_once
                an_end_without_a_record_is_no_failure
                records_come_in_pages_by_id
                each_condition_chooses_its_records
                conditions_hold_together
                old_records_are_removed
            }
        }
    };
}

/// Runs the cases of [`RowStore`](crate::projection::RowStore) on a store of rows. The expression gives fresh, empty
/// [`TestRows`](crate::testing::conformance::TestRows).
#[macro_export]
macro_rules! row_conformance {
    ($fresh:expr $(,)?) => {
        $crate::__store_conformance_tests! { run_with_rows; $fresh;
            generations {
                a_projection_begins_without_generations
                a_generation_can_be_begun_at_once
                a_generation_describes_itself
                one_generation_is_built_at_a_time
                numbers_are_given_once
                what_readers_do_not_see_can_be_discarded
                what_is_discarded_takes_no_commits
                the_way_back_leads_to_what_was_kept_last
                rows_that_are_given_back_go_on
            }
            row_owners {
                an_owner_finds_what_is_made
                an_earlier_epoch_cannot_claim
                an_unknown_generation_cannot_be_claimed
                t_429_an_owner_that_was_followed_cannot_commit
                t_429_what_an_earlier_owner_wrote_is_undone
                an_earlier_owner_makes_no_rows
                of_concurrent_owners_the_latest_stays
            }
            row_transactions {
                rows_position_and_records_are_committed_together
                a_commit_without_a_position_keeps_it
                records_are_replaced_and_removed
                writes_are_seen_by_others_when_they_are_committed
                t_427_what_is_rolled_back_leaves_nothing
                t_427_what_is_dropped_leaves_nothing
                a_commit_from_another_position_is_refused
                of_concurrent_commits_from_one_position_one_wins
                a_making_that_is_undone_makes_nothing
                making_drops_what_was_there
                many_rows_and_large_positions_are_kept
            }
            activation {
                readers_see_rows_when_they_are_active
                ev_082_new_rows_take_the_place_of_the_active_ones
                rows_that_are_behind_are_not_activated
                an_activation_needs_the_owner_and_the_position
                an_activation_leaves_no_owner
                a_write_that_is_under_way_at_the_switch_is_undone
                of_a_commit_and_an_activation_at_once_one_wins
                active_rows_stand_still_for_the_next_ones
                rows_go_on_when_the_time_has_passed
                rows_stand_still_for_the_owner_of_the_next_ones_only
            }
            row_alone {
                one_alone_finds_how_far_the_rows_are_made
                the_second_one_alone_comes_after_the_first
                those_alone_lose_no_write_of_each_other
                only_the_owner_is_alone
                t_429_of_one_alone_and_its_follower_both_agree
                of_one_alone_and_an_activation_one_wins
                of_one_alone_and_rows_that_stand_still_both_agree
            }
            row_projections {
                t_428_projections_do_not_mix
                projections_are_built_side_by_side
                names_are_taken_literally
                clones_lead_to_the_same_rows
            }
        }
    };
}

/// One module per group, one test per case.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_conformance_tests {
    ($run:ident; $fresh:expr; $($group:ident { $($case:ident)* })*) => {
        $(
            mod $group {
                #[allow(unused_imports, reason = "the expression may name what its place has imported")]
                use super::*;

                $(
                    #[test]
                    fn $case() {
                        $crate::testing::conformance::$run(
                            $fresh,
                            $crate::testing::conformance::$group::$case,
                        );
                    }
                )*
            }
        )*
    };
}

#[cfg(test)]
mod tests {
    /// A case that is written but not listed would never run.
    #[test]
    fn every_case_is_listed() {
        let list = include_str!("list.rs");
        let groups = [
            include_str!("append.rs"),
            include_str!("append_all.rs"),
            include_str!("audit.rs"),
            include_str!("idempotency.rs"),
            include_str!("multi_stream.rs"),
            include_str!("state.rs"),
            include_str!("read_stream.rs"),
            include_str!("read_log.rs"),
            include_str!("filters.rs"),
            include_str!("links.rs"),
            include_str!("deletion.rs"),
            include_str!("snapshots.rs"),
            include_str!("checkpoints.rs"),
            include_str!("leases.rs"),
            include_str!("lineage.rs"),
            include_str!("tail.rs"),
            include_str!("concurrency.rs"),
            include_str!("identity.rs"),
            include_str!("bad_input.rs"),
            include_str!("hard_deletion.rs"),
            include_str!("isolation.rs"),
            include_str!("records.rs"),
            include_str!("expected.rs"),
            include_str!("generations.rs"),
            include_str!("row_alone.rs"),
            include_str!("row_owners.rs"),
            include_str!("row_transactions.rs"),
            include_str!("activation.rs"),
            include_str!("row_projections.rs"),
        ];
        for source in groups {
            for line in source.lines() {
                let Some(rest) = line.strip_prefix("pub async fn ") else {
                    continue;
                };
                let name = rest.split(['(', '<']).next().unwrap();
                assert!(list.lines().any(|line| line.trim() == name), "case {name} is not listed");
            }
        }
    }
}
