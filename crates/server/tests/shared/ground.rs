//! What clusters stand on: an etcd, a database and the nodes' certificates.
//!
//! Starting them takes longer than starting nodes, so that clusters of one test
//! program share them, each under a prefix and a keyspace of its own.

use std::path::{Path, PathBuf};
use std::sync::{OnceLock, mpsc};

use starling_cluster::{NodeId, Role};
use starling_testkit::cassandra::{self, Wanted};
use starling_testkit::etcd::Etcd;
use starling_wire::certificates;
use starling_wire::link::Identity;

use super::new_folder;

/// The name of every cluster: certificates are good for any of them.
pub(crate) const NAME: &str = "verona";

/// Where etcd and the database are, and the certificates.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub(crate) endpoints: Vec<String>,
    pub(crate) contact_points: Vec<String>,
    pub(crate) certificates: PathBuf,
}

/// The one that this test program shares, until it ends.
pub(crate) fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| {
        let (started, ground) = mpsc::channel();
        // A child of tokio needs the runtime that it was started by.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let etcd = Etcd::start(1).await;
                let database = tokio::task::spawn_blocking(database).await.unwrap();
                let contact_points = match &database {
                    Ok(database) => database.contact_points(),
                    Err(points) => points.clone(),
                };
                let ground = Ground {
                    endpoints: etcd.endpoints(),
                    contact_points,
                    certificates: new_folder("certificates"),
                };
                started.send(ground).unwrap();
                std::future::pending::<()>().await;
                drop((etcd, database));
            });
        });
        ground.recv().expect("there is no etcd or no database")
    })
}

/// One node, or the points of one that runs already.
fn database() -> Result<cassandra::Cluster, Vec<String>> {
    match cassandra::wanted() {
        Wanted::Running(points) => Err(points),
        Wanted::Own => Ok(cassandra::Cluster::start_throwaway().unwrap()),
        Wanted::Skip => panic!("a cluster needs a database"),
    }
}

impl Ground {
    /// The certificate of a node and its key, made the first time.
    pub(crate) fn certificate(&self, node: &str, roles: &[Role]) -> (PathBuf, PathBuf) {
        static AUTHORITY: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _one_at_a_time = AUTHORITY.lock().unwrap_or_else(|held| held.into_inner());
        let now = time::OffsetDateTime::now_utc();
        let (authority, authority_key) = self.pair("ca");
        if !authority_key.exists() {
            let pair = certificates::authority(NAME, now).unwrap();
            write(&authority, &pair.certificate);
            write(&authority_key, &pair.key);
        }
        let (certificate, key) = self.pair(node);
        if !key.exists() {
            let identity = Identity {
                cluster: NAME.to_owned(),
                node: NodeId::new(node),
                roles: roles.to_vec(),
            };
            let authority_key = std::fs::read_to_string(authority_key).unwrap();
            let pair = certificates::node(&identity, &authority_key, now).unwrap();
            write(&certificate, &pair.certificate);
            write(&key, &pair.key);
        }
        (certificate, key)
    }

    /// The certificate of who signs the nodes'.
    pub(crate) fn authority(&self) -> PathBuf {
        self.pair("ca").0
    }

    fn pair(&self, name: &str) -> (PathBuf, PathBuf) {
        let file = |ending: &str| self.certificates.join(format!("{name}.{ending}"));
        (file("crt"), file("key"))
    }
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
}
