//! Debian's packages of the other servers: whether they are there, and how to
//! get them. Their services are not started: a policy says so while they are
//! installed, and running ones are left alone.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::contender::Contender;
use super::{ejabberd, prosody};

/// Asked by Debian's tools before they start a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// What a policy answers that forbids it.
const FORBIDDEN: &str = "#!/bin/sh\nexit 101\n";

/// A package, and a file that is there if it is.
const PACKAGES: [(Contender, &str, &str); 5] = [
    (Contender::Prosody, "prosody", prosody::PROGRAM),
    (Contender::Ejabberd, "ejabberd", "/usr/sbin/ejabberdctl"),
    (Contender::Ejabberd, "erlang-base", ejabberd::PROGRAM),
    (
        Contender::Ejabberd,
        "erlang-p1-sqlite3",
        "/usr/share/doc/erlang-p1-sqlite3",
    ),
    (Contender::Ejabberd, "sqlite3", "/usr/bin/sqlite3"),
];

/// Makes sure that what is needed is there.
pub(super) fn have(servers: &[Contender], is_forbidden: bool) -> Result<()> {
    let is_missing = |(server, _, file): &(Contender, &str, &str)| {
        servers.contains(server) && !Path::new(file).exists()
    };
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|one| is_missing(one))
        .map(|one| one.1)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if is_forbidden || !rustix::process::geteuid().is_root() {
        bail!("these packages are missing: sudo apt-get install --no-install-recommends {names}");
    }
    let guard = Policy::forbid()?;
    let mut install = Command::new("apt-get");
    install
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&missing);
    let status = install.env("DEBIAN_FRONTEND", "noninteractive").status();
    drop(guard);
    let status = status.context("apt-get")?;
    ensure!(
        status.success(),
        "apt-get could not install {names}; try apt-get update"
    );
    Ok(())
}

/// Forbids services to be started, unless a policy is there already.
struct Policy {
    is_ours: bool,
}

impl Policy {
    fn forbid() -> Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let is_ours = !Path::new(POLICY).exists();
        if is_ours {
            std::fs::write(POLICY, FORBIDDEN)?;
            std::fs::set_permissions(POLICY, std::fs::Permissions::from_mode(0o755))?;
        }
        Ok(Self { is_ours })
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = std::fs::remove_file(POLICY);
        }
    }
}
