//! Every statement on data, prepared once. Those of the schema are in `schema`
//! and `migrate`.

use scylla::client::session::Session;
use scylla::errors::PrepareError;
use scylla::statement::prepared::PreparedStatement;

/// Rows of one answer; a longer one comes in several.
const PAGE_ROWS: i32 = 5_000;

/// The names of all statements, and what they say. The ones of the second list
/// are lightweight transactions: the driver must not repeat them by itself,
/// because who asked has to learn whether it was its own that was applied.
macro_rules! statements {
    (plain { $($plain:ident: $plain_cql:expr,)+ } conditional { $($lwt:ident: $lwt_cql:expr,)+ }) => {
        /// The prepared statements.
        #[derive(Debug)]
        pub(crate) struct Statements {
            $(pub(crate) $plain: PreparedStatement,)+
            $(pub(crate) $lwt: PreparedStatement,)+
        }

        impl Statements {
            /// Prepares all of them.
            pub(crate) async fn prepare(session: &Session) -> Result<Self, PrepareError> {
                Ok(Statements {
                    $($plain: prepare(session, $plain_cql, true).await?,)+
                    $($lwt: prepare(session, $lwt_cql, false).await?,)+
                })
            }
        }
    };
}

async fn prepare(
    session: &Session,
    text: &str,
    is_idempotent: bool,
) -> Result<PreparedStatement, PrepareError> {
    let mut statement = session.prepare(text).await?;
    statement.set_is_idempotent(is_idempotent);
    statement.set_page_size(PAGE_ROWS);
    Ok(statement)
}

statements! {
    plain {
        account: "SELECT base, account FROM account WHERE owner = ?",
        list_put: "INSERT INTO account_list (host, slot, local) VALUES (?, ?, ?) USING TIMESTAMP ?",
        list_delete: "DELETE FROM account_list USING TIMESTAMP ? \
            WHERE host = ? AND slot = ? AND local = ?",
        list_page: "SELECT local FROM account_list \
            WHERE host = ? AND slot = ? AND local > ? LIMIT ?",
        list_count: "SELECT COUNT(*) FROM account_list WHERE host = ? AND slot = ?",

        state: "SELECT kind, name, value FROM owner_state WHERE owner = ?",
        state_range: "SELECT kind, name, value FROM owner_state \
            WHERE owner = ? AND kind >= ? AND kind <= ?",
        state_times: "SELECT WRITETIME(value) FROM owner_state WHERE owner = ?",
        state_put: "INSERT INTO owner_state (owner, kind, name, value) VALUES (?, ?, ?, ?) \
            USING TIMESTAMP ?",
        state_delete: "DELETE FROM owner_state USING TIMESTAMP ? \
            WHERE owner = ? AND kind = ? AND name = ?",
        state_delete_kind: "DELETE FROM owner_state USING TIMESTAMP ? \
            WHERE owner = ? AND kind = ?",
        state_delete_all: "DELETE FROM owner_state USING TIMESTAMP ? WHERE owner = ?",

        private: "SELECT element FROM private_xml WHERE owner = ? AND namespace = ? AND name = ?",
        private_put: "INSERT INTO private_xml (owner, namespace, name, element) \
            VALUES (?, ?, ?, ?) USING TIMESTAMP ?",
        private_delete: "DELETE FROM private_xml USING TIMESTAMP ? \
            WHERE owner = ? AND namespace = ? AND name = ?",
        private_delete_all: "DELETE FROM private_xml USING TIMESTAMP ? WHERE owner = ?",

        pep_nodes: "SELECT node, body FROM pep WHERE owner = ? AND kind = 'node'",
        pep_node_put: "INSERT INTO pep (owner, kind, node, item, body) \
            VALUES (?, 'node', ?, '', ?) USING TIMESTAMP ?",
        pep_node_delete: "DELETE FROM pep USING TIMESTAMP ? \
            WHERE owner = ? AND kind = 'node' AND node = ?",
        pep_index: "SELECT item, at, bytes FROM pep \
            WHERE owner = ? AND kind = 'item' AND node = ?",
        pep_item: "SELECT at, publisher, body FROM pep \
            WHERE owner = ? AND kind = 'item' AND node = ? AND item = ?",
        pep_item_put: "INSERT INTO pep (owner, kind, node, item, at, publisher, bytes, body) \
            VALUES (?, 'item', ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
        pep_item_delete: "DELETE FROM pep USING TIMESTAMP ? \
            WHERE owner = ? AND kind = 'item' AND node = ? AND item = ?",
        pep_items_delete: "DELETE FROM pep USING TIMESTAMP ? \
            WHERE owner = ? AND kind = 'item' AND node = ?",
        pep_delete_all: "DELETE FROM pep USING TIMESTAMP ? WHERE owner = ?",

        vcard: "SELECT element FROM vcard WHERE owner = ?",
        vcard_put: "INSERT INTO vcard (owner, element) VALUES (?, ?) USING TIMESTAMP ?",
        vcard_delete: "DELETE FROM vcard USING TIMESTAMP ? WHERE owner = ?",

        index: "SELECT kind, position, value FROM archive_index WHERE owner = ?",
        index_put: "INSERT INTO archive_index (owner, kind, position, value) \
            VALUES (?, ?, ?, ?) USING TIMESTAMP ?",
        index_delete_before: "DELETE FROM archive_index USING TIMESTAMP ? \
            WHERE owner = ? AND kind = ? AND position < ?",
        index_delete_all: "DELETE FROM archive_index USING TIMESTAMP ? WHERE owner = ?",

        log_put: "INSERT INTO archive (owner, bucket, facet, position, entry) \
            VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?",
        // A pointer has no value: the row itself says it all.
        log_point: "INSERT INTO archive (owner, bucket, facet, position) \
            VALUES (?, ?, ?, ?) USING TIMESTAMP ?",
        log_up: "SELECT position, entry FROM archive \
            WHERE owner = ? AND bucket = ? AND facet = ? AND position > ? AND position < ? \
            ORDER BY facet ASC, position ASC LIMIT ?",
        log_down: "SELECT position, entry FROM archive \
            WHERE owner = ? AND bucket = ? AND facet = ? AND position > ? AND position < ? \
            ORDER BY facet DESC, position DESC LIMIT ?",
        places_up: "SELECT position FROM archive \
            WHERE owner = ? AND bucket = ? AND facet = ? AND position > ? AND position < ? \
            ORDER BY facet ASC, position ASC LIMIT ?",
        places_down: "SELECT position FROM archive \
            WHERE owner = ? AND bucket = ? AND facet = ? AND position > ? AND position < ? \
            ORDER BY facet DESC, position DESC LIMIT ?",
        log_at: "SELECT position, entry FROM archive \
            WHERE owner = ? AND bucket = ? AND facet = ? AND position IN ?",
        log_delete_through: "DELETE FROM archive USING TIMESTAMP ? \
            WHERE owner = ? AND bucket = ? AND facet = ? AND position <= ?",
        log_delete_run: "DELETE FROM archive USING TIMESTAMP ? \
            WHERE owner = ? AND bucket = ? AND facet = ? AND position >= ? AND position <= ?",
        log_delete_bucket: "DELETE FROM archive USING TIMESTAMP ? WHERE owner = ? AND bucket = ?",

        offline_up: "SELECT position, bytes FROM offline \
            WHERE owner = ? AND position > ? AND position < ? ORDER BY position ASC LIMIT ?",
        offline_down: "SELECT position, bytes FROM offline \
            WHERE owner = ? AND position > ? AND position < ? ORDER BY position DESC LIMIT ?",
        offline_put: "INSERT INTO offline (owner, position, bytes) VALUES (?, ?, ?) \
            USING TIMESTAMP ?",
        offline_delete_through: "DELETE FROM offline USING TIMESTAMP ? \
            WHERE owner = ? AND position <= ?",
        offline_delete_run: "DELETE FROM offline USING TIMESTAMP ? \
            WHERE owner = ? AND position >= ? AND position <= ?",
        offline_delete_all: "DELETE FROM offline USING TIMESTAMP ? WHERE owner = ?",

        fence: "SELECT node FROM node_fence WHERE node = ?",
        fence_put: "INSERT INTO node_fence (node, fenced_by) VALUES (?, ?) USING TIMESTAMP ?",

        epoch_all: "SELECT shard, epoch, node FROM shard_epoch WHERE part = ?",
        epoch_of: "SELECT shard, epoch, node FROM shard_epoch WHERE part = ? AND shard = ?",
        epoch_put: "INSERT INTO shard_epoch (part, shard, epoch, node) VALUES (?, ?, ?, ?) \
            USING TIMESTAMP ?",
        epoch_delete_before: "DELETE FROM shard_epoch USING TIMESTAMP ? \
            WHERE part = ? AND shard = ? AND epoch < ?",

        outbox_page: "SELECT position, row FROM outbox \
            WHERE shard = ? AND hour = ? AND position > ? ORDER BY position ASC LIMIT ?",
        outbox_put: "INSERT INTO outbox (shard, hour, position, row) VALUES (?, ?, ?, ?) \
            USING TIMESTAMP ?",
        outbox_clear: "DELETE FROM outbox USING TIMESTAMP ? WHERE shard = ? AND hour = ?",
        outbox_marks: "SELECT peer, value FROM outbox_mark WHERE shard = ?",
        outbox_mark_put: "INSERT INTO outbox_mark (shard, peer, value) VALUES (?, ?, ?) \
            USING TIMESTAMP ?",
        outbox_mark_delete: "DELETE FROM outbox_mark USING TIMESTAMP ? \
            WHERE shard = ? AND peer > ''",

        meta: "SELECT value FROM meta WHERE key = ?",
    }
    conditional {
        account_create: "INSERT INTO account (owner, claim, base, account) VALUES (?, ?, ?, ?) \
            IF NOT EXISTS",
        account_delete: "DELETE FROM account WHERE owner = ? IF base < ?",
        meta_init: "INSERT INTO meta (key, value) VALUES (?, ?) IF NOT EXISTS",
        meta_replace: "UPDATE meta SET value = ? WHERE key = ? IF EXISTS",
    }
}
