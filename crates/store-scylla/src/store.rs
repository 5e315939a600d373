//! The storage traits, each method handed to the module that knows its tables.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use starling_store::archive::{self, Entry, Order, Query, Tally};
use starling_store::blocklist::{self, Blocklist};
use starling_store::cursor::{self, Cursors};
use starling_store::fence::{Seal, ShardEpoch};
use starling_store::meta::Meta as _;
use starling_store::outbox::{self, Bucket, Outline, Row};
use starling_store::roster::{self, Roster};
use starling_store::{
    Account, Backup, Creation, Error, Fence, Health, LoginBundle, Position, Store, Write, meta,
    pep, private_xml, vcard,
};
use starling_xmpp::jid::BareJid;

use crate::log::index::Index;
use crate::log::page::Reader;
use crate::state::{BLOCKLIST_KINDS, CURSOR_KINDS, ROSTER_KINDS, State};
use crate::value::values;
use crate::{Scylla, account, commit, fence, login};

/// A key of meta that need not exist.
const CHECKED: &str = "check";

#[async_trait]
impl Store for Scylla {
    async fn commit(&self, batch: Vec<Write>) -> Result<(), Error> {
        commit::run(self, batch).await
    }

    async fn create_account(&self, account: Account) -> Result<Creation, Error> {
        account::create(&self.client, &account).await
    }

    async fn login(&self, owner: &BareJid) -> Result<Option<LoginBundle>, Error> {
        login::read(&self.client, owner).await
    }

    async fn check(&self) -> Result<Health, Error> {
        // Whether a majority answers, found out by the smallest of reads.
        self.meta(CHECKED).await?;
        Ok(Health::default())
    }

    async fn backup(&self, _to: &Path) -> Result<Backup, Error> {
        Err(Error::Refused {
            reason: "a CQL database is backed up with its own tools, on each of its nodes: \
                     `nodetool snapshot <keyspace>` copies nothing and disturbs nobody, then \
                     copy the snapshot folders away, or let ScyllaDB Manager or Medusa do both"
                .to_owned(),
        })
    }
}

#[async_trait]
impl starling_store::account::Read for Scylla {
    async fn account(&self, jid: &BareJid) -> Result<Option<Account>, Error> {
        account::read(&self.client, jid).await
    }

    async fn accounts(
        &self,
        host: &str,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<Account>, Error> {
        let limit = limit.min(starling_store::account::LIST_ACCOUNTS_MAX);
        account::list(&self.client, host, after, limit).await
    }

    async fn account_count(&self, host: &str) -> Result<u64, Error> {
        account::count(&self.client, host).await
    }
}

#[async_trait]
impl archive::Read for Scylla {
    async fn archive_page(&self, owner: &BareJid, query: &Query) -> Result<Vec<Entry>, Error> {
        let index = Index::read(&self.client, owner).await?;
        Reader::new(&self.client, owner, &index).page(query).await
    }

    async fn archive_entry(&self, owner: &BareJid, at: Position) -> Result<Option<Entry>, Error> {
        let index = Index::read(&self.client, owner).await?;
        let reader = Reader::new(&self.client, owner, &index);
        Ok(reader.at(Order::Ascending, &[at]).await?.pop())
    }

    async fn archive_last(&self, owner: &BareJid) -> Result<Option<Position>, Error> {
        let index = Index::read(&self.client, owner).await?;
        Reader::new(&self.client, owner, &index).last().await
    }

    async fn offline_tally(&self, owner: &BareJid, after: Position) -> Result<Tally, Error> {
        let index = Index::read(&self.client, owner).await?;
        Reader::new(&self.client, owner, &index).tally(after).await
    }
}

#[async_trait]
impl blocklist::Read for Scylla {
    async fn blocklist(&self, owner: &BareJid) -> Result<Blocklist, Error> {
        let state = State::read_kinds(&self.client, owner, BLOCKLIST_KINDS).await?;
        Ok(state.blocklist)
    }
}

#[async_trait]
impl cursor::Read for Scylla {
    async fn cursors(&self, owner: &BareJid) -> Result<Cursors, Error> {
        let state = State::read_kinds(&self.client, owner, CURSOR_KINDS).await?;
        Ok(state.cursors)
    }
}

#[async_trait]
impl Fence for Scylla {
    async fn fence(&self, node: &str, by: &str) -> Result<(), Error> {
        fence::fence(&self.client, node, by).await
    }

    async fn is_fenced(&self, node: &str) -> Result<bool, Error> {
        fence::is_fenced(&self.client, node).await
    }

    async fn seal(&self, owner: &BareJid, seal: Seal) -> Result<(), Error> {
        fence::seal(&self.client, owner, seal).await
    }

    async fn raise_epochs(&self, node: &str, epochs: &[ShardEpoch]) -> Result<(), Error> {
        fence::raise(&self.client, node, epochs).await
    }

    async fn highest_epochs(&self, shards: u16) -> Result<Vec<u32>, Error> {
        fence::highest(&self.client, shards).await
    }
}

#[async_trait]
impl meta::Meta for Scylla {
    async fn meta(&self, key: &str) -> Result<Option<Bytes>, Error> {
        crate::meta::read(&self.client, key).await
    }

    async fn init_meta(&self, key: &str, value: Bytes) -> Result<Bytes, Error> {
        crate::meta::init(&self.client, key, value).await
    }

    async fn set_meta(&self, key: &str, value: Bytes) -> Result<(), Error> {
        crate::meta::set(&self.client, key, value).await
    }
}

#[async_trait]
impl outbox::Read for Scylla {
    async fn outbox(&self, shard: u16) -> Result<Outline, Error> {
        crate::outbox::outline(&self.client, shard).await
    }

    async fn outbox_page(
        &self,
        bucket: Bucket,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Row>, Error> {
        let limit = limit.min(outbox::PAGE_ROWS_MAX);
        crate::outbox::page(&self.client, bucket, after, limit).await
    }
}

#[async_trait]
impl pep::Read for Scylla {
    async fn pep_nodes(&self, owner: &BareJid) -> Result<Vec<pep::Node>, Error> {
        crate::pep::nodes(&self.client, owner).await
    }

    async fn pep_index(&self, owner: &BareJid, node: &str) -> Result<Vec<pep::Glance>, Error> {
        crate::pep::index(&self.client, owner, node).await
    }

    async fn pep_items(
        &self,
        owner: &BareJid,
        node: &str,
        ids: &[String],
    ) -> Result<Vec<pep::Item>, Error> {
        crate::pep::items(&self.client, owner, node, ids).await
    }
}

#[async_trait]
impl private_xml::Read for Scylla {
    async fn private_xml(
        &self,
        owner: &BareJid,
        key: &private_xml::Key,
    ) -> Result<Option<Bytes>, Error> {
        let values = values![owner.as_str(), key.namespace.as_str(), key.name.as_str()];
        self.element(&self.client.statements.private, values).await
    }
}

#[async_trait]
impl roster::Read for Scylla {
    async fn roster(&self, owner: &BareJid) -> Result<Roster, Error> {
        let (account, mut state) = tokio::try_join!(
            account::created(&self.client, owner),
            State::read_kinds(&self.client, owner, ROSTER_KINDS)
        )?;
        Ok(state.roster(account.as_ref()))
    }
}

#[async_trait]
impl vcard::Read for Scylla {
    async fn vcard(&self, owner: &BareJid) -> Result<Option<Bytes>, Error> {
        self.element(&self.client.statements.vcard, values![owner.as_str()])
            .await
    }
}

impl Scylla {
    async fn element(
        &self,
        statement: &scylla::statement::prepared::PreparedStatement,
        values: Vec<crate::value::Value>,
    ) -> Result<Option<Bytes>, Error> {
        let row = self
            .client
            .row::<(Option<Vec<u8>>,)>(statement, values)
            .await?;
        Ok(row.and_then(|(element,)| element).map(Bytes::from))
    }
}
