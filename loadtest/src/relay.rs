//! A relay that knows nothing of XMPP: TLS, and bytes from the connection of an
//! even user to that of the next odd one and back. What it costs no server can
//! go below; how servers compare to it says what XMPP costs them.

use std::collections::HashMap;
use std::io::{Write as _, stdout};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::compare::certificate;

/// Bytes of the name that a connection begins with.
const NAME_BYTES_MAX: usize = 256;
/// Connections that have said their names and wait to be paired.
const ARRIVALS_MAX: usize = 1024;
/// Connections in all.
const CONNECTIONS_MAX: usize = 100_000;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where to listen, with TLS from the first byte.
    #[arg(long, default_value = "127.0.0.1:5223")]
    listen: SocketAddr,
}

type Stream = TlsStream<TcpStream>;

/// Serves for ever.
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let listener = TcpListener::bind(arguments.listen).await?;
    writeln!(stdout(), "ready {}", listener.local_addr()?)?;
    let acceptor = acceptor()?;
    let (sender, mut arrivals) = mpsc::channel::<(u64, Stream)>(ARRIVALS_MAX);
    let mut waiting = HashMap::<u64, Stream>::new();
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if tasks.len() < CONNECTIONS_MAX => {
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                let stream = accepted?.0;
                tasks.spawn(async move {
                    // Who does not say a name is no concern of the others.
                    if let Ok(arrival) = Box::pin(name(acceptor, stream)).await {
                        let _ = sender.send(arrival).await;
                    }
                });
            }
            Some((user, mut stream)) = arrivals.recv() => match waiting.remove(&(user ^ 1)) {
                None => {
                    waiting.insert(user, stream);
                }
                Some(mut other) => {
                    tasks.spawn(async move {
                        let _ = copy_bidirectional(&mut stream, &mut other).await;
                    });
                }
            },
            Some(_) = tasks.join_next() => {}
        }
    }
}

fn acceptor() -> Result<TlsAcceptor> {
    let (certificate, key) = certificate::make("localhost")?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The number of the user that a connection is of.
async fn name(acceptor: TlsAcceptor, stream: TcpStream) -> Result<(u64, Stream)> {
    stream.set_nodelay(true)?;
    let mut stream = acceptor.accept(stream).await?;
    let mut name = Vec::new();
    while name.last() != Some(&b'\n') {
        anyhow::ensure!(name.len() < NAME_BYTES_MAX, "the name is too long");
        name.push(stream.read_u8().await?);
    }
    stream.write_all(b"ok\n").await?;
    stream.flush().await?;
    let name = String::from_utf8(name)?;
    let user = name.split('@').next().unwrap_or_default();
    let digits = user.trim_start_matches(|c: char| !c.is_ascii_digit());
    Ok((digits.parse().context("a name without a number")?, stream))
}
