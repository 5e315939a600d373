//! Other servers as they come from Debian's packages, each with a folder, a
//! configuration and a port of its own: the system's own service is not touched.
//!
//! The configurations are in `rivals/`, to be argued with. Whether what they say
//! is fair is for their documentation to say; here they are only filled in.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use starling_testkit::identity;
use tempfile::TempDir;

use crate::device::RESUME_SECONDS;
use crate::error::Error;
use crate::node::{Node, Program};
use crate::target::{Role, Target, failed, free_address};

/// Another server, and what it keeps its data in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// Prosody with SQLite, which syncs every message.
    Prosody,
    /// Prosody with the files that are its default.
    ProsodyFiles,
    /// ejabberd with SQLite.
    Ejabberd,
    /// ejabberd with Mnesia, which is its default.
    EjabberdMnesia,
}

impl Rival {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Prosody,
        Self::ProsodyFiles,
        Self::Ejabberd,
        Self::EjabberdMnesia,
    ];

    /// Its name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prosody => "prosody",
            Self::ProsodyFiles => "prosody-files",
            Self::Ejabberd => "ejabberd",
            Self::EjabberdMnesia => "ejabberd-mnesia",
        }
    }

    /// The rival of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rival| rival.name() == name)
    }

    /// It, with an empty store on a free port.
    ///
    /// # Errors
    /// If there is no room for its data. That it is not installed shows when it
    /// is started.
    pub fn target(self) -> Result<Target, Error> {
        let folder = TempDir::new().map_err(failed)?;
        let address = free_address()?;
        let (certificate, key) = identity::self_signed("localhost").map_err(failed)?;
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).map_err(failed);
        write("server.crt", &certificate)?;
        write("server.key", &key)?;
        write("server.pem", &format!("{certificate}{key}"))?;
        std::fs::create_dir(folder.path().join("data")).map_err(failed)?;
        write(self.file(), &self.filled_in(folder.path(), address))?;
        let (path, arguments) = self.command(folder.path());
        let program = Program {
            path: path.into(),
            arguments,
            environment: self.environment(folder.path()),
            data: Some(folder),
            log: None,
        };
        let mut target = Target::running(address, "localhost");
        self.name().clone_into(&mut target.name);
        target.nodes.push(Node::new(Role::Server, program, address));
        Ok(target)
    }

    const fn is_prosody(self) -> bool {
        matches!(self, Self::Prosody | Self::ProsodyFiles)
    }

    const fn file(self) -> &'static str {
        if self.is_prosody() {
            "prosody.cfg.lua"
        } else {
            "ejabberd.yml"
        }
    }

    fn filled_in(self, folder: &Path, address: SocketAddr) -> String {
        let (template, storage, auth) = match self {
            Self::Prosody => (PROSODY, "sql", ""),
            Self::ProsodyFiles => (PROSODY, "internal", ""),
            Self::Ejabberd => (EJABBERD, "sql", "sql"),
            Self::EjabberdMnesia => (EJABBERD, "mnesia", "mnesia"),
        };
        template
            .replace("{folder}", &folder.display().to_string())
            .replace("{port}", &address.port().to_string())
            .replace("{storage}", storage)
            .replace("{auth}", auth)
            .replace("{resume_seconds}", &RESUME_SECONDS.to_string())
    }

    fn command(self, folder: &Path) -> (&'static str, Vec<OsString>) {
        if self.is_prosody() {
            let file = folder.join(self.file()).into();
            return ("prosody", vec!["-F".into(), "--config".into(), file]);
        }
        // What `ejabberdctl foreground` runs, without the user of the package
        // and without distribution, which would take ports of its own.
        let words = ["+K", "true", "+P", "250000", "-noinput", "-mnesia", "dir"];
        let mut arguments: Vec<OsString> = words.map(OsString::from).to_vec();
        arguments.push(format!("\"{}\"", folder.join("data").display()).into());
        arguments.extend(["-s", "ejabberd"].map(OsString::from));
        ("erl", arguments)
    }

    fn environment(self, folder: &Path) -> Vec<(OsString, OsString)> {
        if self.is_prosody() {
            return Vec::new();
        }
        let path = |name: &str| folder.join(name).into_os_string();
        vec![
            ("ERL_LIBS".into(), ERLANG_LIBRARIES.into()),
            ("EJABBERD_CONFIG_PATH".into(), path(self.file())),
            ("EJABBERD_LOG_PATH".into(), path("ejabberd.log")),
            ("ERL_CRASH_DUMP".into(), path("crash.dump")),
            ("HOME".into(), folder.into()),
        ]
    }
}

const PROSODY: &str = include_str!("../rivals/prosody.cfg.lua");
const EJABBERD: &str = include_str!("../rivals/ejabberd.yml");
/// Where Debian puts ejabberd.
const ERLANG_LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Rival;

    #[test]
    fn configurations_have_no_gaps() {
        for rival in Rival::ALL {
            let address = ([127, 0, 0, 1], 7).into();
            let text = rival.filled_in(Path::new("/nowhere"), address);
            for gap in ["folder", "port", "storage", "auth", "resume_seconds"] {
                assert!(!text.contains(&format!("{{{gap}}}")), "{rival:?}: {gap}");
            }
            assert_eq!(Rival::named(rival.name()), Some(rival));
        }
    }
}
