//! What several test programs of this crate share: a node's administration, and
//! clusters of real processes.
//!
//! - [`admin`]: accounts and facts by the socket of a node.
//! - [`ground`]: the etcd and the database that clusters stand on.
//! - [`nodes`]: the processes of one cluster.

pub(crate) mod admin;
pub(crate) mod ground;
pub(crate) mod nodes;

use std::path::{Path, PathBuf};

use starling_testkit::process::Program;
use starling_testkit::world::Hosts;

/// What every world is configured with. Scenarios fail to log in on purpose and
/// register often, all from one address; and a machine that runs many clusters at
/// once may keep a client waiting for longer than a server should.
pub(crate) const CONFIGURATION: &str = r#"
[edge.tcp]
listen = "127.0.0.1:0"
direct_tls_listen = "127.0.0.1:0"

[edge.auth]
failures_per_address_max = 1_000_000

[edge.limits]
negotiation_timeout = "5m"
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

/// What the program prints once it serves.
const READY: &str = "Starling is ready";

/// An empty folder below the target folder; what an earlier run left is gone.
pub(crate) fn new_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The program with these arguments, and the data and configuration of a folder.
pub(crate) fn program(folder: &Path, arguments: &[&str]) -> Program {
    let mut arguments: Vec<_> = arguments.iter().map(Into::into).collect();
    arguments.extend(["--data".into(), folder.into()]);
    arguments.extend(["--config".into(), folder.join("starling.toml").into()]);
    Program {
        path: env!("CARGO_BIN_EXE_starling").into(),
        arguments,
        ready: READY.to_owned(),
    }
}
