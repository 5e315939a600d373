//! A node by its socket: accounts are made, and it says where it listens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use starling_testkit::world::{Entrance, Registrar};
use starling_wire::AdminClient;
use starling_wire::admin::v1::new_account::Secret;
use starling_wire::admin::v1::{
    AddAccountRequest, GetStatusRequest, NewAccount, ShowAccountRequest,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The administration of one node.
#[derive(Clone)]
pub(crate) struct Admin {
    socket: PathBuf,
}

impl Admin {
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            socket: data.join("admin.sock"),
        }
    }

    /// Where clients connect.
    pub(crate) async fn entrance(&self) -> Result<Entrance, String> {
        Ok(Entrance {
            starttls: self.port("starttls").await?,
            tls: self.port("tls").await?,
        })
    }

    /// Where the node listens for a protocol.
    async fn port(&self, protocol: &str) -> Result<SocketAddr, String> {
        let status = self.client().await?.get_status(GetStatusRequest {}).await;
        let status = status.map_err(|error| error.to_string())?.into_inner();
        let mut listeners = status.listeners.iter();
        let listener = listeners.find(|one| one.protocol == protocol);
        listener
            .and_then(|one| one.address.parse().ok())
            .ok_or(format!("no port for {protocol}"))
    }

    /// How many messages wait for an account.
    pub(crate) async fn waiting(&self, account: &str) -> Result<u32, String> {
        let account = account.to_owned();
        let shown = self
            .client()
            .await?
            .show_account(ShowAccountRequest { account })
            .await;
        let shown = shown.map_err(|error| error.to_string())?;
        Ok(shown.into_inner().offline_messages)
    }

    /// The sum of a metric over its labels; the node serves them.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64, String> {
        let port = self.port("http").await?;
        let text = get(port, "/metrics")
            .await
            .map_err(|error| error.to_string())?;
        let of_metric = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with([' ', '{']))
        });
        let values: Vec<f64> = of_metric
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        match values.is_empty() {
            true => Err(format!("no metric {name}")),
            false => Ok(values.iter().sum()),
        }
    }

    async fn client(&self) -> Result<AdminClient<starling_wire::grpc::Channel>, String> {
        // A connection for each call: it must not outlive the caller's runtime.
        let channel = starling_wire::unix::connect(&self.socket).await;
        channel
            .map(AdminClient::new)
            .map_err(|error| error.to_string())
    }
}

async fn get(port: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut tcp = TcpStream::connect(port).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[async_trait]
impl Registrar for Admin {
    async fn create(&self, jid: &str, password: &str) -> Result<(), String> {
        let secret = Some(Secret::Password(password.to_owned()));
        let account = Some(NewAccount {
            account: jid.to_owned(),
            secret,
        });
        let added = self
            .client()
            .await?
            .add_account(AddAccountRequest { account })
            .await;
        added.map(drop).map_err(|error| error.to_string())
    }
}
