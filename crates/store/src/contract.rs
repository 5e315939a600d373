//! The suite every backend runs: each function is one sentence of the contract
//! and takes a fresh, empty store. What a restart or a crash must preserve is
//! for each backend's own tests, which can cause one.
//!
//! A backend's tests say `starling_store::contract_suite!(open().await);`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "tests panic on failure"
)]

pub mod accounts;
pub mod archive;
pub mod archive_queries;
pub mod fences;
pub mod outboxes;
pub mod pep;
pub mod rest;
pub mod rosters;
pub mod sample;

/// Makes one `#[tokio::test]` of every function of the contract.
///
/// The argument is an expression that makes a fresh store; it may await. What
/// it evaluates to must deref to a [`Store`](crate::Store), and may carry what
/// has to live as long, such as a temporary folder.
#[macro_export]
macro_rules! contract_suite {
    ($fresh:expr) => {
        $crate::contract_suite!(@ $fresh;
            accounts: an_account_is_created_once,
            accounts: of_two_creations_at_once_one_wins,
            accounts: every_change_of_an_account_is_read_back,
            accounts: changes_of_no_account_are_lost,
            accounts: accounts_are_listed_by_host_in_order,
            accounts: removal_erases_every_domain_and_no_neighbour,
            archive: a_log_is_read_in_order,
            archive: a_repeated_append_stores_one_entry,
            archive: pages_are_bounded,
            archive: only_offline_entries_when_asked,
            archive: a_log_is_shortened_from_its_oldest_end,
            archive: a_log_is_swept,
            archive: logs_of_similar_owners_do_not_mix,
            archive: a_large_stanza_comes_back_byte_for_byte,
            fences: a_fence_is_seen_and_stays,
            fences: no_epoch_is_used_twice,
            fences: a_seal_keeps_what_it_found,
            archive_queries: a_conversation_is_found_by_its_address,
            archive_queries: a_conversation_keeps_to_its_owner_and_its_address,
            archive_queries: what_is_purged_or_replaced_is_in_no_conversation,
            archive_queries: a_time_is_a_place_in_the_log,
            archive_queries: only_archived_entries_when_asked,
            archive_queries: entries_are_fetched_by_their_positions,
            archive_queries: filters_combine,
            archive_queries: pages_from_both_ends_hold_while_the_log_grows,
            outboxes: rows_of_an_outbox_come_back_in_order,
            outboxes: buckets_of_an_outbox_do_not_mix,
            outboxes: pages_of_an_outbox_are_bounded,
            outboxes: marks_of_an_outbox_are_kept,
            archive_queries: pages_end_where_they_are_heavy,
            archive_queries: what_no_archive_has_is_asked_for,
            rosters: items_are_replaced_whole,
            rosters: removals_are_remembered_until_forgotten,
            rosters: a_pending_request_is_kept_whole_and_unlisted,
            rosters: versions_never_repeat_for_a_new_account,
            pep: nodes_are_replaced_whole,
            pep: items_are_read_in_their_order,
            pep: items_and_nodes_are_removed,
            pep: a_node_is_emptied_and_filled_at_once,
            rest: later_writes_of_a_batch_win,
            rest: cursors_are_kept_per_device,
            rest: block_lists_are_kept,
            rest: private_elements_are_kept_by_name,
            rest: a_vcard_is_kept,
            rest: nodes_agree_on_the_first_meta_value,
            rest: the_login_bundle_agrees_with_every_read,
        );
    };
    (@ $fresh:expr; $($file:ident: $test:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $test() {
            let fresh = $fresh;
            $crate::contract::$file::$test(&*fresh).await;
        })+
    };
}

/// Makes tests of what only stores have to do that several processes can have
/// open at once; beside [`contract_suite!`](crate::contract_suite).
#[macro_export]
macro_rules! shared_contract_suite {
    ($fresh:expr) => {
        $crate::contract_suite!(@ $fresh;
            fences: what_comes_after_the_seal_is_void,
            fences: an_empty_log_can_be_sealed,
        );
    };
}
