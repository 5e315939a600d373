//! The node's sign of life: one lease, kept alive, with its key under it.
//!
//! Silence is failure: an answer that does not come in time is looked for at
//! another member. A lease that ended is replaced, and the node goes on, unless
//! somebody else owns its name or its shards by then; that is seen by whoever
//! reads the mirror.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Compare, CompareOp, PutOptions, Txn, TxnOp, TxnOpResponse};
use starling_cluster::{Lost, NodeInfo};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::error::Error;
use crate::etcd::Connection;
use crate::keys::Key;
use crate::record::{self, Record};
use crate::shared::Shared;

/// How many times within its life a lease is renewed.
const RENEWALS: u32 = 3;

/// How often a new node looks whether its name is free yet.
const NAME_INTERVAL: Duration = Duration::from_millis(200);

/// How long to wait before the next attempt after a failed one.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Who has the name of this node.
enum Name {
    Ours,
    Fenced,
    Taken { by: NodeInfo, lease: i64 },
}

/// Takes a lease and the node's name. If an earlier run of the node has it, its
/// lease may be about to end: that is waited for, unless it shows signs of life.
pub(crate) async fn join(shared: &Shared) -> Result<(), Error> {
    let lease = grant(shared).await?;
    let mut left_before = None;
    let deadline = Instant::now() + 2 * shared.lease_ttl;
    loop {
        let (by, held) = match register(shared, lease).await? {
            Name::Ours => {
                shared.lease.send_replace(lease);
                return Ok(());
            }
            // A run that has not begun cannot have been fenced.
            Name::Fenced => return Err(Error::Refused("this run is fenced".to_owned())),
            Name::Taken { by, lease } => (by, lease),
        };
        let left = time_to_live(shared, held).await?;
        let is_renewed = left_before.is_some_and(|before| left > before);
        if is_renewed || Instant::now() >= deadline {
            return Err(Error::IdentityTaken {
                node: shared.local.node.clone(),
                other: by.instance,
                link: by.link.map_or_else(|| "none".to_owned(), String::from),
            });
        }
        left_before = Some(left);
        // The lease of the waiting node must not end meanwhile.
        keep_alive_once(shared, lease).await?;
        sleep(NAME_INTERVAL).await;
    }
}

/// Renews the lease until the node stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let stop = shared.stop.clone();
    let keep = async {
        let mut renewed = Instant::now();
        loop {
            match stream(&shared, &mut renewed).await {
                Ended::Broken(error) => {
                    tracing::debug!(%error, "the stream that renews the lease broke");
                    if error.is_passing() && renewed.elapsed() > shared.lease_ttl {
                        shared.etcd.silent(&error);
                    }
                }
                Ended::Gone => {
                    shared.metrics.lease_lost();
                    tracing::warn!("the lease of this node ended; taking another");
                    renew(&shared).await;
                    renewed = Instant::now();
                }
            }
            sleep(RETRY_INTERVAL).await;
        }
    };
    stop.run_until_cancelled(Box::pin(keep)).await;
}

enum Ended {
    /// The stream broke; the lease may live.
    Broken(Error),
    /// The lease is no more.
    Gone,
}

/// Renews over one stream until it breaks.
async fn stream(shared: &Shared, renewed: &mut Instant) -> Ended {
    let interval = shared.lease_ttl / RENEWALS;
    let connection = match shared.etcd.connection().await {
        Ok(connection) => connection,
        Err(error) => return Ended::Broken(error),
    };
    let lease = *shared.lease.borrow();
    let broken = async |reason: &str, connection: &Connection| {
        shared.etcd.failed(connection).await;
        Ended::Broken(shared.etcd.unreachable(reason))
    };
    let mut client = connection.client.clone();
    let (mut keeper, mut answers) = match timeout(interval, client.lease_keep_alive(lease)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(etcd_client::Error::LeaseKeepAliveError(_))) => return Ended::Gone,
        Ok(Err(error)) => {
            let error = shared.etcd.classify(&error);
            shared.etcd.failed(&connection).await;
            return Ended::Broken(error);
        }
        Err(_) => return broken("the lease is not renewed", &connection).await,
    };
    *renewed = Instant::now();
    shared.etcd.answered();
    loop {
        sleep_until(*renewed + interval).await;
        let asked = Instant::now();
        if keeper.keep_alive().await.is_err() {
            return broken("the stream of renewals ended", &connection).await;
        }
        match timeout(interval, answers.message()).await {
            Ok(Ok(Some(answer))) if answer.ttl() <= 0 => return Ended::Gone,
            Ok(Ok(Some(_))) => {
                *renewed = asked;
                shared.metrics.lease_renewed(asked.elapsed());
            }
            Ok(Ok(None)) => return broken("the stream of renewals ended", &connection).await,
            Ok(Err(error)) => {
                let error = shared.etcd.classify(&error);
                shared.etcd.failed(&connection).await;
                return Ended::Broken(error);
            }
            Err(_) => return broken("the lease is not renewed", &connection).await,
        }
    }
}

/// Takes another lease for a node that is alive and lost its own.
async fn renew(shared: &Shared) {
    loop {
        let name = async {
            let lease = grant(shared).await?;
            Ok::<_, Error>((lease, register(shared, lease).await?))
        };
        match name.await {
            Ok((lease, Name::Ours)) => {
                shared.lease.send_replace(lease);
                return;
            }
            Ok((_, Name::Fenced)) => {
                shared.lose(Lost::Fenced("its lease had ended".to_owned()));
                return;
            }
            Ok((_, Name::Taken { by, .. })) => {
                shared.lose(Lost::IdentityTaken(by.instance));
                return;
            }
            Err(error) => tracing::debug!(%error, "no lease"),
        }
        sleep(RETRY_INTERVAL).await;
    }
}

/// Puts the node's key under a lease, unless the name is somebody else's.
async fn register(shared: &Shared, lease: i64) -> Result<Name, Error> {
    let key = shared.key(&Key::Node(shared.local.node.clone()));
    let fence = shared.key(&Key::Fenced(shared.local.clone()));
    let info = record::node(&shared.info.borrow());
    let options = PutOptions::new().with_lease(lease);
    let put = TxnOp::put(key.clone(), info, Some(options));
    let txn = Txn::new()
        .when([
            Compare::version(key.clone(), CompareOp::Equal, 0),
            Compare::version(fence.clone(), CompareOp::Equal, 0),
        ])
        .and_then([put.clone()])
        .or_else([
            TxnOp::get(key.clone(), None),
            TxnOp::get(fence.clone(), None),
        ]);
    let answer = shared.etcd.txn(txn).await?;
    if answer.succeeded() {
        return Ok(Name::Ours);
    }
    let mut found = answer
        .op_responses()
        .into_iter()
        .filter_map(|answer| match answer {
            TxnOpResponse::Get(found) => found.kvs().first().cloned(),
            _ => None,
        });
    let Some(kv) = found.next() else {
        return Err(shared.etcd.unreachable("the key of this node is changing"));
    };
    if kv.key() == fence.as_bytes() {
        return Ok(Name::Fenced);
    }
    let Some(Record::Node(by)) = record::parse(&Key::Node(shared.local.node.clone()), kv.value())
    else {
        return Err(Error::Refused(format!("{key} cannot be read")));
    };
    if by.instance != shared.local {
        let lease = kv.lease();
        return Ok(Name::Taken { by, lease });
    }
    // Our own key, under the old lease or after a request that was repeated.
    let is_same = Compare::mod_revision(key, CompareOp::Equal, kv.mod_revision());
    let not_fenced = Compare::version(fence, CompareOp::Equal, 0);
    let txn = Txn::new().when([is_same, not_fenced]).and_then([put]);
    match shared.etcd.txn(txn).await?.succeeded() {
        true => Ok(Name::Ours),
        false => Err(shared.etcd.unreachable("the key of this node is changing")),
    }
}

/// How often what a node tells of itself is written once more, when two parts of
/// it have something to tell at the same time.
const ANNOUNCEMENTS_MAX: u32 = 8;

/// Pause before that.
const ANNOUNCE_PAUSE: Duration = Duration::from_millis(20);

/// Writes what the node tells of itself, after it changed.
pub(crate) async fn announce(shared: &Shared) -> Result<(), Error> {
    let lease = *shared.lease.borrow();
    let mut registered = register(shared, lease).await;
    for _ in 1..ANNOUNCEMENTS_MAX {
        if !registered.as_ref().is_err_and(Error::is_passing) {
            break;
        }
        sleep(ANNOUNCE_PAUSE).await;
        registered = register(shared, lease).await;
    }
    match registered? {
        Name::Ours => Ok(()),
        Name::Fenced => Err(Error::Refused("this node is fenced".to_owned())),
        Name::Taken { by, .. } => Err(Error::IdentityTaken {
            node: shared.local.node.clone(),
            other: by.instance,
            link: by.link.map_or_else(|| "none".to_owned(), String::from),
        }),
    }
}

/// A lease for something that is to vanish by itself.
pub(crate) async fn grant_for(shared: &Shared, time: Duration) -> Result<i64, Error> {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX).max(1);
    let grant = shared
        .etcd
        .call(|mut client| async move { client.lease_grant(seconds, None).await });
    Ok(grant.await?.id())
}

async fn grant(shared: &Shared) -> Result<i64, Error> {
    grant_for(shared, shared.lease_ttl).await
}

/// Ends a lease, and so whatever is under it. Best effort: it ends by itself.
pub(crate) async fn revoke(shared: &Shared, lease: i64) {
    let revoke = shared
        .etcd
        .call(|mut client| async move { client.lease_revoke(lease).await });
    if let Err(error) = revoke.await {
        tracing::debug!(%error, "a lease is left to end by itself");
    }
}

async fn time_to_live(shared: &Shared, lease: i64) -> Result<i64, Error> {
    let left = shared
        .etcd
        .call(|mut client| async move { client.lease_time_to_live(lease, None).await });
    Ok(left.await?.ttl())
}

async fn keep_alive_once(shared: &Shared, lease: i64) -> Result<(), Error> {
    let once = shared
        .etcd
        .call(|mut client| async move { client.lease_keep_alive(lease).await });
    once.await.map(drop)
}
