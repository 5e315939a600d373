//! Programs that only the system's package manager can provide.
//!
//! They are installed where that is possible without asking anybody: as root,
//! with apt-get, as in a container. Elsewhere it is told what to install; how to
//! leave the step out, `report` says.

use anyhow::{Result, bail};

use crate::command::Command;
use crate::report::say;

/// Something a step needs.
pub(crate) struct Need {
    /// Commands that end well if it is there.
    pub(crate) probes: &'static [&'static [&'static str]],
    /// The Debian packages it comes with.
    pub(crate) packages: &'static [&'static str],
    /// Its name for people.
    pub(crate) name: &'static str,
}

/// Python with its own way to keep packages apart.
pub(crate) const PYTHON: Need = Need {
    probes: &[&["python3", "-c", "import ensurepip, venv"]],
    packages: &["python3", "python3-venv"],
    name: "Python 3 with its venv module",
};

/// Node.js with its package manager.
pub(crate) const NODE: Need = Need {
    probes: &[&["node", "--version"], &["npm", "--version"]],
    packages: &["nodejs", "npm"],
    name: "Node.js 20 or later with npm",
};

/// Where a cluster keeps who owns what.
pub(crate) const ETCD: Need = Need {
    probes: &[&["etcd", "--version"]],
    packages: &["etcd-server"],
    name: "etcd 3.4 or later",
};

/// What counts instructions.
pub(crate) const VALGRIND: Need = Need {
    probes: &[&["valgrind", "--version"]],
    packages: &["valgrind"],
    name: "Valgrind 3.19 or later",
};

/// What runs Apache Cassandra.
pub(crate) const JAVA: Need = Need {
    probes: &[&["java", "-version"]],
    packages: &["openjdk-17-jre-headless"],
    name: "Java 17",
};

/// What fetches it.
pub(crate) const MAVEN: Need = Need {
    probes: &[&["mvn", "--version"]],
    packages: &["maven"],
    name: "Maven",
};

impl Need {
    /// Sees to it that it is there.
    pub(crate) fn provide(&self) -> Result<()> {
        if self.is_there() {
            return Ok(());
        }
        let packages = self.packages.join(" ");
        if is_root() && has_apt() {
            say(&format!("installing {packages}"));
            install(self.packages)?;
            if self.is_there() {
                return Ok(());
            }
        }
        bail!(
            "{} is needed: install it (Debian: apt-get install {packages})",
            self.name
        )
    }

    fn is_there(&self) -> bool {
        self.probes.iter().all(|probe| match probe {
            [program, arguments @ ..] => Command::new(program).args(arguments).succeeds_silently(),
            [] => true,
        })
    }
}

fn is_root() -> bool {
    let id = Command::new("id").args(&["-u"]).output();
    id.is_ok_and(|id| id.trim() == "0")
}

fn has_apt() -> bool {
    Command::new("apt-get")
        .args(&["--version"])
        .succeeds_silently()
}

fn install(packages: &[&str]) -> Result<()> {
    let apt = || Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive");
    // The lists may be there, and then this only takes time; or the network
    // may not, and then installing says so.
    let _ = apt().args(&["update", "--quiet"]).succeeds()?;
    let arguments = ["install", "--quiet", "--yes", "--no-install-recommends"];
    if !apt().args(&arguments).args(packages).succeeds()? {
        bail!("apt-get cannot install {}", packages.join(" "));
    }
    Ok(())
}
