//! A store that takes its time, fails at times, and can be made to lie.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use starling_check::dice::Dice;
use starling_store::account::Account;
use starling_store::archive::{Entry, Query, Tally};
use starling_store::blocklist::Blocklist;
use starling_store::cursor::Cursors;
use starling_store::fence::{Seal, ShardEpoch};
use starling_store::outbox::{Bucket, Outline, Row};
use starling_store::private_xml::Key;
use starling_store::roster::Roster;
use starling_store::{
    Backup, Creation, Error, Fence, LoginBundle, Memory, Position, Store, Write, account, archive,
    blocklist, cursor, meta, outbox, pep, private_xml, roster, vcard,
};
use starling_xmpp::BareJid;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The longest that one way to the store takes, in milliseconds.
const WAY_MS_MAX: u64 = 30;
/// How long a store that lies takes to do what it said it had done.
const LATER: Duration = Duration::from_millis(200);

/// The same rows for every node, each by a way of its own.
pub(crate) struct SlowStore {
    pub(crate) rows: Arc<Memory>,
    pub(crate) dice: Mutex<Dice>,
    /// Says that rows are stored, and stores them later, unless the node dies.
    pub(crate) lies: bool,
    /// The node does not reach it.
    pub(crate) is_parted: AtomicBool,
    /// The end of the node.
    pub(crate) gone: CancellationToken,
}

impl SlowStore {
    fn roll(&self, to: u64) -> u64 {
        self.dice.lock().unwrap().within(0, to)
    }

    pub(crate) async fn way(&self) {
        let way = self.roll(WAY_MS_MAX);
        sleep(Duration::from_millis(way)).await;
    }

    /// A database that does not answer may have done what it was asked.
    fn fails(&self) -> Result<(), Error> {
        if self.roll(100) > 2 && !self.is_parted.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(Error::Unavailable {
            reason: "as the dice fell".to_owned(),
        })
    }
}

#[async_trait]
impl Store for SlowStore {
    async fn commit(&self, batch: Vec<Write>) -> Result<(), Error> {
        self.way().await;
        self.fails()?;
        if self.lies {
            let (rows, gone) = (Arc::clone(&self.rows), self.gone.clone());
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    () = gone.cancelled() => {}
                    () = sleep(LATER) => { let _ = rows.commit(batch).await; }
                }
            });
            return Ok(());
        }
        self.rows.commit(batch).await?;
        self.way().await;
        self.fails()
    }

    async fn create_account(&self, account: Account) -> Result<Creation, Error> {
        self.rows.create_account(account).await
    }

    async fn login(&self, owner: &BareJid) -> Result<Option<LoginBundle>, Error> {
        self.way().await;
        self.fails()?;
        self.rows.login(owner).await
    }

    async fn backup(&self, to: &Path) -> Result<Backup, Error> {
        self.rows.backup(to).await
    }
}

#[async_trait]
impl account::Read for SlowStore {
    async fn account(&self, jid: &BareJid) -> Result<Option<Account>, Error> {
        self.rows.account(jid).await
    }

    async fn accounts(
        &self,
        host: &str,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<Account>, Error> {
        self.rows.accounts(host, after, limit).await
    }

    async fn account_count(&self, host: &str) -> Result<u64, Error> {
        self.rows.account_count(host).await
    }
}

#[async_trait]
impl archive::Read for SlowStore {
    async fn archive_page(&self, owner: &BareJid, query: &Query) -> Result<Vec<Entry>, Error> {
        self.way().await;
        self.fails()?;
        self.rows.archive_page(owner, query).await
    }

    async fn archive_entry(&self, owner: &BareJid, at: Position) -> Result<Option<Entry>, Error> {
        self.rows.archive_entry(owner, at).await
    }

    async fn archive_last(&self, owner: &BareJid) -> Result<Option<Position>, Error> {
        self.rows.archive_last(owner).await
    }

    async fn offline_tally(&self, owner: &BareJid, after: Position) -> Result<Tally, Error> {
        self.rows.offline_tally(owner, after).await
    }
}

#[async_trait]
impl blocklist::Read for SlowStore {
    async fn blocklist(&self, owner: &BareJid) -> Result<Blocklist, Error> {
        self.rows.blocklist(owner).await
    }
}

#[async_trait]
impl cursor::Read for SlowStore {
    async fn cursors(&self, owner: &BareJid) -> Result<Cursors, Error> {
        self.rows.cursors(owner).await
    }
}

#[async_trait]
impl outbox::Read for SlowStore {
    async fn outbox(&self, shard: u16) -> Result<Outline, Error> {
        self.way().await;
        self.fails()?;
        self.rows.outbox(shard).await
    }

    async fn outbox_page(
        &self,
        bucket: Bucket,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Row>, Error> {
        self.way().await;
        self.fails()?;
        self.rows.outbox_page(bucket, after, limit).await
    }
}

#[async_trait]
impl pep::Read for SlowStore {
    async fn pep_nodes(&self, owner: &BareJid) -> Result<Vec<pep::Node>, Error> {
        self.rows.pep_nodes(owner).await
    }

    async fn pep_index(&self, owner: &BareJid, node: &str) -> Result<Vec<pep::Glance>, Error> {
        self.rows.pep_index(owner, node).await
    }

    async fn pep_items(
        &self,
        owner: &BareJid,
        node: &str,
        ids: &[String],
    ) -> Result<Vec<pep::Item>, Error> {
        self.rows.pep_items(owner, node, ids).await
    }
}

#[async_trait]
impl private_xml::Read for SlowStore {
    async fn private_xml(&self, owner: &BareJid, key: &Key) -> Result<Option<Bytes>, Error> {
        self.rows.private_xml(owner, key).await
    }
}

#[async_trait]
impl roster::Read for SlowStore {
    async fn roster(&self, owner: &BareJid) -> Result<Roster, Error> {
        self.rows.roster(owner).await
    }
}

#[async_trait]
impl vcard::Read for SlowStore {
    async fn vcard(&self, owner: &BareJid) -> Result<Option<Bytes>, Error> {
        self.rows.vcard(owner).await
    }
}

#[async_trait]
impl meta::Meta for SlowStore {
    async fn meta(&self, key: &str) -> Result<Option<Bytes>, Error> {
        self.way().await;
        self.rows.meta(key).await
    }

    async fn init_meta(&self, key: &str, value: Bytes) -> Result<Bytes, Error> {
        self.rows.init_meta(key, value).await
    }

    async fn set_meta(&self, key: &str, value: Bytes) -> Result<(), Error> {
        self.rows.set_meta(key, value).await
    }
}

#[async_trait]
impl Fence for SlowStore {
    async fn fence(&self, node: &str, by: &str) -> Result<(), Error> {
        self.rows.fence(node, by).await
    }

    async fn is_fenced(&self, node: &str) -> Result<bool, Error> {
        self.way().await;
        self.fails()?;
        let is_fenced = self.rows.is_fenced(node).await;
        self.way().await;
        is_fenced
    }

    async fn seal(&self, owner: &BareJid, seal: Seal) -> Result<(), Error> {
        self.way().await;
        self.fails()?;
        self.rows.seal(owner, seal).await?;
        self.way().await;
        self.fails()
    }

    async fn raise_epochs(&self, node: &str, epochs: &[ShardEpoch]) -> Result<(), Error> {
        self.rows.raise_epochs(node, epochs).await
    }
}
