//! The call that copies the store to a file, and tells how far it is.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use starling_api::Administration;
use starling_store::Backup;
use starling_wire::admin::v1::BackupResponse;
use starling_wire::grpc::Status;
use tokio::sync::mpsc;

use super::status;

/// What the system counts the room of a file in, on every file system.
const BLOCK_BYTES: u64 = 512;

/// How often the progress of a backup is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Writes it; `answers` are told how far it is, and that it is done.
pub(super) async fn write(
    administration: Administration,
    path: PathBuf,
    answers: mpsc::Sender<Result<BackupResponse, Status>>,
) -> Result<(), Status> {
    let mut backup = std::pin::pin!(administration.backup(&path));
    let mut tick = tokio::time::interval(PROGRESS_INTERVAL);
    let bytes_written = loop {
        tokio::select! {
            done = &mut backup => break done.map_err(|error| status::of(&error))?,
            _ = tick.tick() => {
                let bytes_written = written(&Backup::partial_name(&path)).await;
                let answer = BackupResponse { bytes_written, ..BackupResponse::default() };
                // A client that hung up still gets its backup.
                let _ = answers.try_send(Ok(answer));
            }
        }
    };
    tracing::info!(path = %path.display(), bytes = bytes_written, "backup written");
    let answer = BackupResponse {
        bytes_written,
        bytes_total: bytes_written,
        is_complete: true,
    };
    let _ = answers.send(Ok(answer)).await;
    Ok(())
}

/// How much of a file is written. Its length is not it: the store makes room
/// for much at once.
async fn written(path: &Path) -> u64 {
    let found = tokio::fs::metadata(path).await;
    found.map_or(0, |found| found.len().min(found.blocks() * BLOCK_BYTES))
}
