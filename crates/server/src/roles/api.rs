//! The api role: administration over a Unix socket.

use std::sync::Arc;

use starling_api::Administration;
use starling_wire::AdminServer;
use starling_wire::grpc::Server;
use starling_wire::unix::Listener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{Facts, Service};
use crate::passwords::Passwords;

/// Serves until `shutdown`.
pub(crate) fn start(
    passwords: Passwords,
    socket: Listener,
    administration: Administration,
    facts: Arc<Facts>,
    shutdown: CancellationToken,
) -> JoinHandle<Result<(), starling_wire::Error>> {
    let service = Service::new(administration, facts, passwords);
    let router = Server::builder().add_service(AdminServer::new(service));
    tokio::spawn(socket.serve(router, async move { shutdown.cancelled().await }))
}
