//! Tells the others who does not answer this node, and finds out who is gone.
//!
//! A report is a key under the reporter's lease. It decides nothing: whoever may
//! act on it looks for itself, and what was killed is told from what is slow by
//! the refusal of its port.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::PutOptions;
use starling_cluster::{Instance, NodeInfo};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::Error;
use crate::keys::Key;
use crate::mirror::Mirror;
use crate::shared::Shared;

/// How long a node that is reported has to accept a connection.
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_millis(300);

/// Fewest reporters on whose word a silent machine is given up.
const WITNESSES_MIN: usize = 2;

/// Keeps the reports in etcd equal to the suspicions of this node.
pub(crate) async fn run(shared: Arc<Shared>) {
    let stop = shared.stop.clone();
    let keep = async {
        let mut suspects = shared.suspects.subscribe();
        let mut lease = shared.lease.subscribe();
        let mut mirror = shared.mirror.subscribe();
        let mut told: BTreeMap<Instance, i64> = BTreeMap::new();
        loop {
            forget_the_dead(&shared);
            if let Err(error) = tell(&shared, &mut told).await {
                tracing::debug!(%error, "reports of peers are late");
            }
            tokio::select! {
                changed = suspects.changed() => if changed.is_err() { return },
                changed = lease.changed() => if changed.is_err() { return },
                changed = mirror.changed() => if changed.is_err() { return },
            }
        }
    };
    stop.run_until_cancelled(Box::pin(keep)).await;
}

/// A suspicion ends with the run of the node it was about; so they are bounded.
fn forget_the_dead(shared: &Shared) {
    let view = shared.view.load();
    let is_there = |suspect: &Instance| {
        let node = view.nodes.get(&suspect.node);
        node.is_some_and(|node| node.instance == *suspect)
    };
    shared.suspects.send_if_modified(|suspects| {
        let before = suspects.len();
        suspects.retain(is_there);
        suspects.len() != before
    });
}

/// Writes what is new under the present lease, deletes what is over.
async fn tell(shared: &Shared, told: &mut BTreeMap<Instance, i64>) -> Result<(), Error> {
    let suspects = shared.suspects.borrow().clone();
    let lease = *shared.lease.borrow();
    let key = |of: &Instance| {
        let (of, by) = (of.clone(), shared.local.node.clone());
        shared.key(&Key::Report { of, by })
    };
    for suspect in &suspects {
        if told.get(suspect) == Some(&lease) {
            continue;
        }
        let key = key(suspect);
        let put = shared.etcd.call(|mut client| {
            let (key, options) = (key.clone(), PutOptions::new().with_lease(lease));
            async move { client.put(key, "{}", Some(options)).await }
        });
        put.await?;
        told.insert(suspect.clone(), lease);
    }
    let over: Vec<Instance> = told
        .keys()
        .filter(|one| !suspects.contains(one))
        .cloned()
        .collect();
    for one in over {
        let key = key(&one);
        let delete = shared.etcd.call(|mut client| {
            let key = key.clone();
            async move { client.delete(key, None).await }
        });
        delete.await?;
        told.remove(&one);
    }
    Ok(())
}

/// What came of looking at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Its port accepts connections.
    Answers,
    /// Its machine answers, and no process has the port.
    Gone,
    /// Nothing answers.
    Silent,
}

/// The reported nodes that are gone, as far as this node can find out.
pub(crate) async fn confirmed(
    mirror: &Mirror,
    among: impl Fn(&Instance) -> bool,
) -> BTreeSet<Instance> {
    let nodes = mirror.nodes();
    let mut probes = Vec::new();
    for (suspect, reporters) in mirror.reports() {
        let Some(info) = nodes.get(&suspect.node).cloned() else {
            continue;
        };
        if info.instance == suspect && among(&suspect) {
            let witnesses = reporters.iter().filter(|by| nodes.contains_key(by)).count();
            let others = nodes.len() - 1;
            let is_certain = witnesses >= WITNESSES_MIN && 2 * witnesses > others;
            probes.push(tokio::spawn(async move {
                match probe(&info).await {
                    Found::Gone => Some(suspect),
                    Found::Silent => is_certain.then_some(suspect),
                    Found::Answers => None,
                }
            }));
        }
    }
    let mut gone = BTreeSet::new();
    for probe in probes {
        gone.extend(probe.await.ok().flatten());
    }
    gone
}

async fn probe(info: &NodeInfo) -> Found {
    let Some(link) = &info.link else {
        return Found::Silent;
    };
    match timeout(PROBE_TIMEOUT, TcpStream::connect(link.as_str())).await {
        Ok(Ok(_)) => Found::Answers,
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Found::Gone,
        Ok(Err(_)) | Err(_) => Found::Silent,
    }
}
