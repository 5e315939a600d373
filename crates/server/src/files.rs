//! How many files, and so how many connections, the process may have open.
//!
//! Systems start programs with room for 1,024 and let them ask for more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are open besides connections: the store, logs, the runtime.
const FILES_BESIDES: u64 = 64;

/// Takes all the room there is, and warns if it is less than the connections
/// that are allowed.
pub fn raise_limit(connections_max: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    // `None` is no limit.
    let connections = files.map(|files| files.saturating_sub(FILES_BESIDES));
    if let Some(connections) = connections
        && connections < connections_max as u64
    {
        tracing::warn!(
            connections,
            connections_max,
            "the system lets this process have fewer connections than edge.limits.connections_max: \
             raise LimitNOFILE (systemd) or \"ulimit -Hn\" to serve more"
        );
    }
}
