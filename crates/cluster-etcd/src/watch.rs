//! Keeps the mirror equal to etcd.
//!
//! The discipline: list, watch from the next revision, apply each answer as one;
//! list again when etcd says that the revision is compacted, when it cancels,
//! and every minute in any case; take silence for a broken stream. With etcd
//! gone the last mirror stays, and service goes on with it.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{GetOptions, WatchOptions, WatchStream};
use tokio::time::{Instant, sleep, timeout};

use crate::error::Error;
use crate::etcd::Connection;
use crate::mirror::Mirror;
use crate::shared::Shared;

/// How often everything is listed again, whatever the watch said.
const RELIST_INTERVAL: Duration = Duration::from_secs(60);

/// How often an idle watch is asked whether it is still there.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// After so long without any answer a watch is broken.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// How long to wait before the next attempt after a failed one.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// An absence of etcd shorter than this lets no lease end.
const OUTAGE_MIN: Duration = Duration::from_secs(1);

/// Lists everything, for a start.
pub(crate) async fn first_list(shared: &Shared) -> Result<(), Error> {
    let mirror = list(shared).await?;
    shared.publish(mirror);
    Ok(())
}

/// Runs until the node stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let stop = shared.stop.clone();
    let follow = async {
        loop {
            let error = Box::pin(follow(&shared)).await;
            shared.metrics.watch_broke();
            if error.is_passing() {
                tracing::debug!(%error, "the watch broke");
            } else {
                tracing::warn!(%error, "the watch of the cluster's keys broke");
            }
            sleep(RETRY_INTERVAL).await;
            while let Err(error) = relist(&shared).await {
                tracing::debug!(%error, "the cluster's keys cannot be listed");
                sleep(RETRY_INTERVAL).await;
            }
        }
    };
    stop.run_until_cancelled(Box::pin(follow)).await;
}

/// Watches until something is wrong.
async fn follow(shared: &Shared) -> Error {
    let connection = match shared.etcd.connection().await {
        Ok(connection) => connection,
        Err(error) => return error,
    };
    match open(shared, &connection).await {
        Ok(stream) => {
            let error = tokio::select! {
                error = read(shared, stream) => error,
                () = shared.etcd.given_up(&connection) => {
                    shared.etcd.unreachable("another member is used now")
                }
            };
            if error.is_passing() {
                shared.etcd.failed(&connection).await;
            }
            error
        }
        Err(error) => {
            shared.etcd.failed(&connection).await;
            error
        }
    }
}

async fn open(shared: &Shared, connection: &Connection) -> Result<WatchStream, Error> {
    let next = shared.mirror().revision + 1;
    let options = WatchOptions::new()
        .with_prefix()
        .with_start_revision(next)
        .with_progress_notify();
    let mut client = connection.client.clone();
    let watch = client.watch(shared.keys.all(), Some(options));
    match timeout(PROGRESS_INTERVAL, watch).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(shared.etcd.classify(&error)),
        Err(_) => Err(shared.etcd.unreachable("the watch does not begin")),
    }
}

/// Applies answers until there are none.
async fn read(shared: &Shared, mut stream: WatchStream) -> Error {
    let mut heard = Instant::now();
    let mut listed = heard;
    loop {
        if listed.elapsed() >= RELIST_INTERVAL {
            if let Err(error) = relist(shared).await {
                return error;
            }
            listed = Instant::now();
        }
        let answer = match timeout(PROGRESS_INTERVAL, stream.message()).await {
            Ok(Ok(Some(answer))) => answer,
            Ok(Ok(None)) => return shared.etcd.unreachable("the watch ended"),
            Ok(Err(error)) => return shared.etcd.classify(&error),
            Err(_) if heard.elapsed() >= SILENCE_MAX => {
                return shared.etcd.unreachable("the watch is silent");
            }
            Err(_) => {
                if let Err(error) = stream.request_progress().await {
                    return shared.etcd.classify(&error);
                }
                continue;
            }
        };
        if answer.canceled() {
            let reason = match answer.compact_revision() {
                0 => answer.cancel_reason().to_owned(),
                revision => format!("compacted up to revision {revision}"),
            };
            return Error::Refused(format!("watch cancelled: {reason}"));
        }
        heard = Instant::now();
        shared.heard.send_replace(heard);
        if !answer.events().is_empty() {
            let mut mirror = Mirror::clone(&shared.mirror());
            mirror.apply(&shared.keys, answer.events());
            shared.publish(mirror);
        }
    }
}

/// Lists everything again, and mends what the watch missed.
async fn relist(shared: &Shared) -> Result<(), Error> {
    let mirror = list(shared).await?;
    let now = Instant::now();
    let away = now - *shared.heard.borrow();
    if away >= OUTAGE_MIN + PROGRESS_INTERVAL {
        // Who is missing may be on its way back, as this node was.
        shared
            .settled_at
            .send_replace(now + shared.lease_ttl + OUTAGE_MIN);
    }
    shared.heard.send_replace(now);
    shared.metrics.listed();
    let before = shared.mirror();
    if mirror.revision >= before.revision {
        let is_drift = mirror.revision == before.revision && !mirror.says_the_same(&before);
        if is_drift {
            shared.metrics.drifted();
            tracing::error!("the watch had missed a change; the full list mended it");
        }
        shared.publish(mirror);
        return Ok(());
    }
    // Lists are linearizable, so this is another etcd than before: a restored
    // or an emptied one. Whoever owned shards sees it in the rows and ends.
    tracing::error!(
        was = before.revision,
        is = mirror.revision,
        "etcd went back in time"
    );
    shared.publish(mirror);
    Ok(())
}

async fn list(shared: &Shared) -> Result<Mirror, Error> {
    let list = shared
        .etcd
        .call(|mut client| async move {
            let options = GetOptions::new().with_prefix();
            client.get(shared.keys.all(), Some(options)).await
        })
        .await?;
    let revision = list
        .header()
        .map_or(0, etcd_client::ResponseHeader::revision);
    Ok(Mirror::of_list(&shared.keys, list.kvs(), revision))
}
