//! The storage traits, over the writer's queue and snapshots.
//!
//! Reads run where they are called: from cached pages a login bundle takes
//! microseconds, less than handing it to another thread. Only what grows with
//! a host (listings, counts, backups) goes to the blocking pool, and the login
//! of an account for which much waits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use starling_store::archive::{self, Entry, Query, Tally};
use starling_store::blocklist::{self, Blocklist};
use starling_store::cursor::{self, Cursors};
use starling_store::outbox::{self, Bucket, Outline, Row};
use starling_store::roster::{self, Roster};
use starling_store::{
    Account, Backup, Creation, Error, Fence, LoginBundle, Position, Store, Write, account, meta,
    pep, private_xml, vcard,
};
use starling_xmpp::jid::BareJid;
use tokio::sync::oneshot;

use crate::fault::{Fault, Health};
use crate::snapshot::{Login, Snapshot};
use crate::writer::{Answer, Job, Task};
use crate::{Embedded, backup, metrics, open, size};

/// Octets of a log that a login looks at on the thread that asked: a
/// millisecond's worth.
const LOGIN_LOG_BYTES_MAX: usize = 256 * 1024;

/// Octets of the write whose room is asked for by a check: a usual message.
const CHECKED_BYTES: usize = 1_024;

impl Embedded {
    /// Queues a task and waits until it is durable.
    async fn perform(&self, task: Task) -> Result<Answer, Error> {
        self.health.check()?;
        size::check(&task)?;
        let (done, answer) = oneshot::channel();
        let Some(jobs) = &self.jobs else {
            return Err(self.gone());
        };
        jobs.send(Job { task, done })
            .await
            .map_err(|_| self.gone())?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Whether a path names one of the store's files.
    fn is_own(&self, path: &Path) -> bool {
        let folder = open::folder_of(&self.path);
        let segments = [0, 1].map(|number| open::segment_path(folder, number));
        path.canonicalize().is_ok_and(|path| {
            let mut own = std::iter::once(&self.path).chain(&segments);
            own.any(|own| own.canonicalize().is_ok_and(|own| own == path))
        })
    }

    /// The writer never ends before its queue does, except by a fault.
    fn gone(&self) -> Error {
        self.health.fail_of_panic("waiting for the writer")
    }

    /// Reads here and now.
    fn read<T>(
        &self,
        place: &dyn std::fmt::Display,
        read: impl FnOnce(&Snapshot) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        read_from(&self.health, place, || {
            read(&Snapshot::now(&self.database, &self.layers)?)
        })
    }

    /// Reads on the blocking pool.
    async fn read_long<T: Send + 'static>(
        &self,
        place: String,
        read: impl FnOnce(&Snapshot) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        let (database, layers) = (Arc::clone(&self.database), Arc::clone(&self.layers));
        let health = Arc::clone(&self.health);
        let task = tokio::task::spawn_blocking(move || {
            read_from(&health, &place, || {
                read(&Snapshot::now(&database, &layers)?)
            })
        });
        task.await.unwrap_or_else(|error| {
            Err(Error::Unavailable {
                reason: format!("a read was given up: {error}"),
            })
        })
    }
}

fn read_from<T>(
    health: &Health,
    place: &dyn std::fmt::Display,
    read: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, Error> {
    health.check()?;
    // A damaged page may make redb panic; that is this read's fault alone.
    let result = catch_unwind(AssertUnwindSafe(read));
    let Ok(result) = result else {
        let reason = "a damaged page of the data file".to_owned();
        return Err(Error::Corrupt {
            place: place.to_string(),
            reason,
        });
    };
    result.map_err(|fault| {
        let error = fault.at(place.to_string());
        if error.is_fatal() {
            health.fail(error)
        } else {
            error
        }
    })
}

#[async_trait]
impl Store for Embedded {
    async fn commit(&self, batch: Vec<Write>) -> Result<(), Error> {
        if batch.is_empty() {
            return self.health.check();
        }
        self.perform(Task::Commit(batch)).await.map(|_| ())
    }

    async fn create_account(&self, account: Account) -> Result<Creation, Error> {
        match self.perform(Task::Create(Box::new(account))).await? {
            Answer::Creation(creation) => Ok(creation),
            Answer::Done | Answer::Value(_) => Err(self.gone()),
        }
    }

    async fn login(&self, owner: &BareJid) -> Result<Option<LoginBundle>, Error> {
        let short = self.read(owner, |snapshot| {
            snapshot.login_within(owner, LOGIN_LOG_BYTES_MAX)
        })?;
        if let Some(Login(bundle)) = short {
            return Ok(bundle);
        }
        let name = owner.clone();
        self.read_long(owner.to_string(), move |snapshot| snapshot.login(&name))
            .await
    }

    async fn backup(&self, to: &Path) -> Result<Backup, Error> {
        if self.is_own(to) {
            let reason = format!("{} is the store itself", to.display());
            return Err(Error::Refused { reason });
        }
        // Two that write to one place would take each other's file for theirs.
        let Ok(turn) = Arc::clone(&self.backups).try_lock_owned() else {
            let reason = "another backup is being written".to_owned();
            return Err(Error::Refused { reason });
        };
        // Beyond that room, the disk would be full for the store as well.
        let space = backup::is_disk_shared(to, &self.path).then(|| Arc::clone(&self.space));
        let to = to.to_owned();
        self.read_long("the backup".to_owned(), move |snapshot| {
            let result = backup::write(snapshot, &to, space.as_deref());
            drop(turn);
            Ok(result)
        })
        .await?
    }

    async fn check(&self) -> Result<starling_store::Health, Error> {
        self.health.check()?;
        self.pulse.check()?;
        let owed_bytes = self.layers.bytes();
        let mut budget = self.space.budget(owed_bytes);
        let free_bytes = budget.free_bytes();
        metrics::looked(free_bytes);
        budget.take(CHECKED_BYTES, false)?;
        Ok(starling_store::Health {
            last_commit: self.pulse.last(),
            free_bytes,
        })
    }
}

#[async_trait]
impl account::Read for Embedded {
    async fn account(&self, jid: &BareJid) -> Result<Option<Account>, Error> {
        self.read(jid, |snapshot| snapshot.account(jid))
    }

    async fn accounts(
        &self,
        host: &str,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<Account>, Error> {
        let (name, after) = (host.to_owned(), after.cloned());
        let limit = limit.min(account::LIST_ACCOUNTS_MAX);
        self.read_long(host.to_owned(), move |snapshot| {
            snapshot.accounts(&name, after.as_ref(), limit)
        })
        .await
    }

    async fn account_count(&self, host: &str) -> Result<u64, Error> {
        let name = host.to_owned();
        self.read_long(host.to_owned(), move |snapshot| {
            snapshot.account_count(&name)
        })
        .await
    }
}

#[async_trait]
impl archive::Read for Embedded {
    async fn archive_page(&self, owner: &BareJid, query: &Query) -> Result<Vec<Entry>, Error> {
        // What the layers have of the log is looked through for one address, and
        // all pointers to a bare one for a resource: there may be many.
        if query.with.is_none() {
            return self.read(owner, |snapshot| snapshot.archive_page(owner, query));
        }
        let (name, query) = (owner.clone(), query.clone());
        self.read_long(owner.to_string(), move |snapshot| {
            snapshot.archive_page(&name, &query)
        })
        .await
    }

    async fn archive_entry(&self, owner: &BareJid, at: Position) -> Result<Option<Entry>, Error> {
        self.read(owner, |snapshot| snapshot.archive_entry(owner, at))
    }

    async fn archive_last(&self, owner: &BareJid) -> Result<Option<Position>, Error> {
        self.read(owner, |snapshot| snapshot.archive_last(owner))
    }

    async fn offline_tally(&self, owner: &BareJid, after: Position) -> Result<Tally, Error> {
        self.read(owner, |snapshot| snapshot.offline_tally(owner, after))
    }
}

#[async_trait]
impl blocklist::Read for Embedded {
    async fn blocklist(&self, owner: &BareJid) -> Result<Blocklist, Error> {
        self.read(owner, |snapshot| snapshot.blocklist(owner))
    }
}

#[async_trait]
impl cursor::Read for Embedded {
    async fn cursors(&self, owner: &BareJid) -> Result<Cursors, Error> {
        self.read(owner, |snapshot| snapshot.cursors(owner))
    }
}

/// One process has the file, so what the trait provides is enough.
impl Fence for Embedded {}

#[async_trait]
impl meta::Meta for Embedded {
    async fn meta(&self, key: &str) -> Result<Option<Bytes>, Error> {
        self.read(&"meta", |snapshot| snapshot.meta(key))
    }

    async fn init_meta(&self, key: &str, value: Bytes) -> Result<Bytes, Error> {
        // Not a write for nothing: a node starts on a full disk, too.
        if let Some(found) = self.meta(key).await? {
            return Ok(found);
        }
        match self
            .perform(Task::InitMeta {
                key: key.to_owned(),
                value,
            })
            .await?
        {
            Answer::Value(value) => Ok(value),
            Answer::Done | Answer::Creation(_) => Err(self.gone()),
        }
    }

    async fn set_meta(&self, key: &str, value: Bytes) -> Result<(), Error> {
        self.perform(Task::SetMeta {
            key: key.to_owned(),
            value,
        })
        .await
        .map(|_| ())
    }
}

#[async_trait]
impl outbox::Read for Embedded {
    async fn outbox(&self, shard: u16) -> Result<Outline, Error> {
        self.read(&"outbox_mark", |snapshot| snapshot.outbox(shard))
    }

    async fn outbox_page(
        &self,
        bucket: Bucket,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Row>, Error> {
        let limit = limit.min(outbox::PAGE_ROWS_MAX);
        self.read(&"outbox", |snapshot| {
            snapshot.outbox_page(bucket, after, limit)
        })
    }
}

#[async_trait]
impl pep::Read for Embedded {
    async fn pep_nodes(&self, owner: &BareJid) -> Result<Vec<pep::Node>, Error> {
        self.read(owner, |snapshot| snapshot.pep_nodes(owner))
    }

    async fn pep_index(&self, owner: &BareJid, node: &str) -> Result<Vec<pep::Glance>, Error> {
        self.read(owner, |snapshot| snapshot.pep_index(owner, node))
    }

    async fn pep_items(
        &self,
        owner: &BareJid,
        node: &str,
        ids: &[String],
    ) -> Result<Vec<pep::Item>, Error> {
        self.read(owner, |snapshot| snapshot.pep_items(owner, node, ids))
    }
}

#[async_trait]
impl private_xml::Read for Embedded {
    async fn private_xml(
        &self,
        owner: &BareJid,
        key: &private_xml::Key,
    ) -> Result<Option<Bytes>, Error> {
        self.read(owner, |snapshot| snapshot.private_xml(owner, key))
    }
}

#[async_trait]
impl roster::Read for Embedded {
    async fn roster(&self, owner: &BareJid) -> Result<Roster, Error> {
        self.read(owner, |snapshot| snapshot.roster(owner))
    }
}

#[async_trait]
impl vcard::Read for Embedded {
    async fn vcard(&self, owner: &BareJid) -> Result<Option<Bytes>, Error> {
        self.read(owner, |snapshot| snapshot.vcard(owner))
    }
}
