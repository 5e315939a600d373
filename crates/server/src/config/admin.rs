//! The section `[admin]`.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name of the socket in the data folder.
const SOCKET: &str = "admin.sock";

/// How a running node is administered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// The Unix socket that `starling user`, `starling status` and the other
    /// commands speak to. Whoever may open it may do everything, so only the
    /// user of the node can. Without this key: "admin.sock" in the data folder.
    #[schemars(example = "/run/starling/admin.sock")]
    pub socket: Option<PathBuf>,
}

impl Admin {
    /// Where the socket is.
    #[must_use]
    pub fn socket(&self, data: &Path) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| data.join(SOCKET))
    }
}
