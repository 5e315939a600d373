//! gRPC over a Unix socket: the listener of a node, the channel of a client.
//!
//! The rights of the socket file (0600) are the access control. Which service
//! is served, and when to stop, is the caller's decision.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::Router;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::Error;

/// Longest path a socket can have: `sun_path` is 108 bytes on Linux, the last
/// of them zero.
pub const PATH_BYTES_MAX: usize = 107;

/// Rights of the socket file: its owner only.
const MODE: u32 = 0o600;

/// Rights of the folder it is made in.
const FOLDER_MODE: u32 = 0o700;

/// A bound Unix socket. Its file goes away with it.
#[derive(Debug)]
pub struct Listener {
    inner: Option<UnixListener>,
    path: PathBuf,
}

impl Listener {
    /// Binds `path`. A socket left by a dead node is replaced; one that
    /// answers, and any other kind of file, is left alone.
    pub async fn bind(path: &Path) -> Result<Self, Error> {
        check_length(path)?;
        if UnixStream::connect(path).await.is_ok() {
            return Err(Error::InUse { path: path.into() });
        }
        let failed = |source| Error::Bind {
            path: path.into(),
            source,
        };
        remove_stale(path).map_err(failed)?;
        let inner = bind_privately(path).map_err(failed)?;
        Ok(Self {
            inner: Some(inner),
            path: path.into(),
        })
    }

    /// Where it is bound.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Serves `router` until `stop` resolves, then lets running calls finish.
    pub async fn serve(
        mut self,
        router: Router,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let Some(inner) = self.inner.take() else {
            return Ok(());
        };
        router
            .serve_with_incoming_shutdown(UnixListenerStream::new(inner), stop)
            .await?;
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Best effort: a file that stays is recognised as stale by `bind`.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Connects to the node behind `path`.
pub async fn connect(path: &Path) -> Result<Channel, Error> {
    check_length(path)?;
    // A try of our own first: tonic hides the reason inside its own errors.
    UnixStream::connect(path)
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Error::NotRunning { path: path.into() }
            }
            _ => Error::Connect {
                path: path.into(),
                source,
            },
        })?;
    let path = path.to_path_buf();
    // The address is never resolved; HTTP/2 only wants an authority.
    let channel = Endpoint::from_static("http://starling.invalid")
        .connect_with_connector(tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        }))
        .await?;
    Ok(channel)
}

fn check_length(path: &Path) -> Result<(), Error> {
    let length = path.as_os_str().as_bytes().len();
    if length > PATH_BYTES_MAX {
        return Err(Error::PathTooLong {
            path: path.into(),
            length,
        });
    }
    Ok(())
}

/// Binds a socket that nobody else could have opened for a moment: in a folder
/// of its own it gets its rights, and then its name, which must be free.
fn bind_privately(path: &Path) -> io::Result<UnixListener> {
    // As long as "admin.sock", since a path has few bytes to spare.
    let folder = path.with_file_name(format!(".{}", std::process::id()));
    let beside = folder.join("s");
    // In a container every run has the same number: one may have died here.
    let _ = std::fs::remove_file(&beside);
    let _ = std::fs::remove_dir(&folder);
    std::fs::DirBuilder::new()
        .mode(FOLDER_MODE)
        .create(&folder)?;
    let bound = UnixListener::bind(&beside).and_then(|listener| {
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(MODE))?;
        std::fs::hard_link(&beside, path)?;
        Ok(listener)
    });
    // Best effort: what stays is empty, and in nobody's way but ours.
    let _ = std::fs::remove_file(&beside);
    let _ = std::fs::remove_dir(&folder);
    bound
}

/// Removes the socket of a node that died. Never another kind of file.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file that is not a socket is there",
        )),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_the_file_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = Listener::bind(&path).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "nothing else stays");
        connect(&path).await.unwrap();
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_that_answers_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let _first = Listener::bind(&path).await.unwrap();
        let second = Listener::bind(&path).await.unwrap_err();
        assert!(matches!(second, Error::InUse { .. }));
        assert!(path.exists());
    }

    #[tokio::test]
    async fn another_file_in_the_way_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(
            Listener::bind(&path).await.unwrap_err(),
            Error::Bind { .. }
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn nobody_there_names_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let error = connect(&path).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("no node is running: nothing answers on {}", path.display())
        );
    }

    #[tokio::test]
    async fn a_path_longer_than_the_system_allows_is_named() {
        let path = PathBuf::from(format!("/{}", "x".repeat(PATH_BYTES_MAX)));
        assert!(matches!(
            connect(&path).await.unwrap_err(),
            Error::PathTooLong { length: 108, .. }
        ));
    }
}
