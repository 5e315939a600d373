//! The worlds that scenarios run in.
//!
//! A world is started by the first scenario that asks for it, on a runtime of
//! its own, and serves all of them at once until the tests are over.

use std::path::{Path, PathBuf};
use std::sync::{OnceLock, mpsc};

use async_trait::async_trait;
use starling_server::Node;
use starling_server::config::{self, Environment};
use starling_testkit::World;
use starling_testkit::world::{Entrance, Hosts, Registrar};
use starling_wire::AdminClient;
use starling_wire::admin::v1::new_account::Secret;
use starling_wire::admin::v1::{AddAccountRequest, GetStatusRequest, NewAccount};

/// What every world is configured with. Scenarios fail to log in on purpose and
/// register often, all from one address.
pub(crate) const CONFIGURATION: &str = r#"
[edge.tcp]
listen = "127.0.0.1:0"
direct_tls_listen = "127.0.0.1:0"

[edge.auth]
failures_per_address_max = 1_000_000

[edge.limits]
registrations_per_address_hour_max = 1_000_000

[host."localhost"]
contact.abuse = ["mailto:abuse@localhost"]

[host."verona.example"]

[host."open.example"]
registration = true
anonymous = true
"#;

pub(crate) const HOSTS: Hosts = Hosts {
    main: "localhost",
    other: "verona.example",
    open: "open.example",
};

/// One node with every role and the embedded store.
pub(crate) fn embedded() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let (started, world) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(serve(&started));
        });
        world.recv().expect("the node did not start")
    })
}

/// Serves until the tests are over.
async fn serve(started: &mpsc::Sender<World>) {
    let data = new_folder("embedded");
    let file = data.join("starling.toml");
    std::fs::write(&file, CONFIGURATION).unwrap();
    let nothing = Environment::from_iter(Vec::new());
    let config = config::load(Some(&file), &nothing).unwrap().config;
    let mut node = Node::builder()
        .config(config)
        .data(&data)
        .start()
        .await
        .unwrap();
    let admin = Admin::new(&data);
    let entrance = admin.entrance().await.unwrap();
    started
        .send(World::new(vec![entrance], HOSTS, Box::new(admin)))
        .unwrap();
    let error = node.failed().await;
    eprintln!("the node failed: {error:#}");
    std::process::exit(1);
}

/// An empty folder below the target folder; what an earlier run left is gone.
pub(crate) fn new_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Makes accounts by the admin API of a node.
pub(crate) struct Admin {
    socket: PathBuf,
}

impl Admin {
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            socket: data.join("admin.sock"),
        }
    }

    /// Where the node listens.
    pub(crate) async fn entrance(&self) -> Result<Entrance, String> {
        let mut client = self.client().await?;
        let status = client
            .get_status(GetStatusRequest {})
            .await
            .map_err(|error| error.to_string())?;
        let listeners = status.into_inner().listeners;
        let port_of = |protocol: &str| {
            let listener = listeners.iter().find(|one| one.protocol == protocol);
            listener
                .and_then(|one| one.address.parse().ok())
                .ok_or(format!("no port for {protocol}"))
        };
        Ok(Entrance {
            starttls: port_of("starttls")?,
            tls: port_of("tls")?,
        })
    }

    async fn client(&self) -> Result<AdminClient<starling_wire::grpc::Channel>, String> {
        // A connection for each call: it must not outlive the caller's runtime.
        let channel = starling_wire::unix::connect(&self.socket).await;
        channel
            .map(AdminClient::new)
            .map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Registrar for Admin {
    async fn create(&self, jid: &str, password: &str) -> Result<(), String> {
        let secret = Some(Secret::Password(password.to_owned()));
        let account = Some(NewAccount {
            account: jid.to_owned(),
            secret,
        });
        let added = self
            .client()
            .await?
            .add_account(AddAccountRequest { account })
            .await;
        added.map(drop).map_err(|error| error.to_string())
    }
}
