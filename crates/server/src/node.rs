//! A running node, for `main.rs` and for programs that have one of their own.
//!
//! See `docs/embedding.md`. What a node consists of is decided in `roles`.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use starling_api::Administration;
use starling_auth::scram;
use starling_link::Sampler;
use starling_session::{Clock as _, Component, Feature, Registry, SystemClock};
use starling_store_embedded::Embedded;
use starling_xmpp::BareJid;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{Facts, Listener};
use crate::config::Config;
use crate::data::DataFolder;
use crate::hosts::{self, Components};
use crate::passwords::Passwords;
use crate::roles::joined::Joined;
use crate::roles::{clustered, embedded};

/// After so long in which the engine has finished nothing of what it accepted,
/// it is not waited for any longer. What it has not finished is acknowledged to
/// nobody.
const FINISH_PATIENCE: Duration = Duration::from_secs(10);

/// How long all of that may take, after the edge has let its clients go and
/// shards are with others.
const FINISH_TIMEOUT: Duration = Duration::from_secs(30);

/// A node to be.
#[must_use = "nothing runs before `start`"]
#[derive(Default)]
pub struct Builder {
    config: Config,
    data: Option<PathBuf>,
    extras: Extras,
}

/// What a program adds to a node.
#[derive(Default)]
pub(crate) struct Extras {
    pub(crate) metrics: Option<starling_telemetry::Metrics>,
    pub(crate) sampler: Sampler,
    pub(crate) features: Vec<Box<dyn Feature>>,
    pub(crate) components: Components,
}

impl Builder {
    /// Settings; those of an empty file unless given.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The folder of everything the node keeps; "data" unless given.
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// Adds a feature behind those of this program.
    pub fn feature(mut self, feature: impl Feature) -> Self {
        self.extras.features.push(Box::new(feature));
        self
    }

    /// Adds a service with a domain of its own.
    pub fn component(mut self, domain: BareJid, component: Arc<dyn Component>) -> Self {
        self.extras.components.push((domain, component));
        self
    }

    /// What `/metrics` shows, if the program has installed a recorder.
    pub fn metrics(mut self, metrics: Option<starling_telemetry::Metrics>) -> Self {
        self.extras.metrics = metrics;
        self
    }

    /// Which stanzas are traced, and where to; none unless given.
    pub fn sampler(mut self, sampler: Sampler) -> Self {
        self.extras.sampler = sampler;
        self
    }

    /// Opens the ports and serves.
    ///
    /// # Errors
    /// The folder, the store, a certificate or a port cannot be used.
    pub async fn start(self) -> anyhow::Result<Node> {
        let data = DataFolder::open(self.data.as_deref().unwrap_or(Path::new("data")))?;
        if self.config.node.cluster {
            return Box::pin(clustered::start(self.config, data, self.extras)).await;
        }
        Box::pin(embedded::start(self.config, data, self.extras)).await
    }
}

/// A node that serves. Dropping it without [`Node::stop`] breaks its streams
/// off; nothing that was acknowledged is lost by that.
pub struct Node {
    /// With the role.
    pub(crate) edge: Option<JoinHandle<()>>,
    pub(crate) handle: Option<starling_edge::Handle>,
    /// With the role.
    pub(crate) engine: Option<starling_session::Parts>,
    /// The features, where there is no engine that has them.
    pub(crate) registry: Option<Registry>,
    /// The cluster that it is part of.
    pub(crate) joined: Option<Joined>,
    pub(crate) census: Option<JoinHandle<()>>,
    pub(crate) api: JoinHandle<Result<(), starling_wire::Error>>,
    /// Monitoring, where it is served.
    pub(crate) monitor: Option<JoinHandle<()>>,
    pub(crate) store: Option<Arc<Embedded>>,
    pub(crate) administration: Administration,
    pub(crate) facts: Arc<Facts>,
    pub(crate) passwords: Passwords,
    pub(crate) components: Components,
    pub(crate) data: DataFolder,
    pub(crate) config: Config,
    /// What it was started with: some of it stays in force until it ends.
    pub(crate) started_with: Config,
    /// In the order of stopping: edge, engine, administration, monitoring.
    pub(crate) stops: [CancellationToken; 4],
}

impl Node {
    /// A node to be.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where clients connect, and monitoring.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.facts.listeners
    }

    /// What an operator may do to it.
    #[must_use]
    pub fn administration(&self) -> &Administration {
        &self.administration
    }

    /// Adds a user, as `starling user add` does.
    ///
    /// # Errors
    /// The address or the password cannot be used, or the user exists already.
    pub async fn add_user(&self, address: &str, password: &str) -> anyhow::Result<()> {
        let account = self.administration.address(address)?;
        let how = self.passwords.derivation();
        let password = password.to_owned();
        let derived = tokio::task::spawn_blocking(move || scram::verifiers_for(&password, &how));
        let verifiers = derived.await.context("deriving stopped")??;
        Ok(self.administration.add(account, verifiers).await?)
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Takes over certificates, hosts and the settings of the edge. Open
    /// streams keep what they have; ports, the store, the engine and the socket
    /// keep what they were started with, and a warning says so.
    ///
    /// # Errors
    /// Something cannot be used; then nothing changes.
    pub fn reload(&mut self, config: Config) -> anyhow::Result<()> {
        let env = self.engine.as_ref().map(|engine| engine.node.env());
        let registry = env.map(|env| &env.registry).or(self.registry.as_ref());
        let session = hosts::for_session(&config, &self.components)?;
        if let (Some(handle), Some(registry)) = (&self.handle, registry) {
            let now = SystemClock.now();
            let (edge, certificates) = hosts::for_edge(&config, &self.data, registry, now)?;
            handle.reload(config.edge.clone(), edge)?;
            self.facts.set_certificates(certificates);
        }
        self.passwords.replace(&config.edge.auth);
        if let Some(env) = env {
            env.hosts.store(Arc::new(session));
        }
        self.administration.set_hosts(hosts::names(&config));
        for section in self.started_with.fixed_differences(&config) {
            tracing::warn!(section, "changed, which takes effect at the next start");
        }
        self.config = config;
        Ok(())
    }

    /// Waits until a part of the node has failed for good, and tells why. Never
    /// returns while it works.
    pub async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            error = store_failed(self.store.as_deref()) => error.into(),
            error = cluster_failed(&mut self.joined) => error,
            worker = join_next(self.engine.as_mut().map(|engine| &mut engine.workers)) => match worker {
                Ok(Err(error)) => error.into(),
                Ok(Ok(())) => anyhow!("a worker ended by itself"),
                Err(panic) => anyhow!("a worker stopped: {panic}"),
            },
            monitor = ended(&mut self.monitor) => match monitor {
                Ok(()) => anyhow!("monitoring ended by itself"),
                Err(panic) => anyhow!("monitoring stopped: {panic}"),
            },
            edge = ended(&mut self.edge) => match edge {
                Ok(()) => anyhow!("the edge ended by itself"),
                Err(panic) => anyhow!("the edge stopped: {panic}"),
            },
            api = &mut self.api => match api {
                Ok(Ok(())) => anyhow!("administration ended by itself"),
                Ok(Err(error)) => error.into(),
                Err(panic) => anyhow!("administration stopped: {panic}"),
            },
        }
    }

    /// Lets the clients go (`edge.tcp.drain_timeout` at most), gives its shards
    /// to others (`cluster.drain_timeout` at most), finishes what was accepted,
    /// and closes the store.
    ///
    /// # Errors
    /// It did not end in time, or not well. What was acknowledged is stored all
    /// the same.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let [accepting, working, administering, monitoring] = &self.stops;
        self.facts.set_draining(true);
        accepting.cancel();
        if let Some(edge) = self.edge.take() {
            edge.await.context("the edge stopped")?;
        }
        let left = match &self.joined {
            Some(joined) => joined.drain(self.config.cluster.drain_timeout).await,
            None => Vec::new(),
        };
        administering.cancel();
        let finish = async {
            if let Some(engine) = &self.engine {
                // Nothing more is begun in what others must take over.
                left.iter()
                    .for_each(|shard| drop(engine.node.freeze(*shard)));
                if !engine.node.drain(FINISH_PATIENCE).await {
                    tracing::warn!("not everything that was accepted can be finished");
                }
            }
            working.cancel();
            let mut workers = self.engine.take().map(|engine| engine.workers);
            while let Some(worker) = next(workers.as_mut()).await {
                worker.context("a worker stopped")??;
            }
            if let Some(census) = self.census.take() {
                census.await.context("the census stopped")?;
            }
            if let Some(joined) = self.joined.take() {
                joined.leave().await;
            }
            (&mut self.api).await.context("administration stopped")??;
            anyhow::Ok(())
        };
        let finished = tokio::time::timeout(FINISH_TIMEOUT, finish).await;
        // Last, so that whoever watches sees the drain to its end.
        monitoring.cancel();
        if let Some(monitor) = self.monitor {
            monitor.await.context("monitoring stopped")?;
        }
        finished
            .with_context(|| format!("the node did not finish within {FINISH_TIMEOUT:?}"))??;
        let count = left.len();
        ensure!(
            count == 0,
            "{count} shards were not taken by others in time; they take them over now"
        );
        Ok(())
    }
}

/// The end of a task; never, if there is none.
pub(crate) async fn ended<T>(
    task: &mut Option<JoinHandle<T>>,
) -> Result<T, tokio::task::JoinError> {
    match task {
        Some(task) => task.await,
        None => pending().await,
    }
}

/// The next worker to end; never, once there is none.
async fn join_next<T: 'static>(
    workers: Option<&mut tokio::task::JoinSet<T>>,
) -> Result<T, tokio::task::JoinError> {
    match next(workers).await {
        Some(ended) => ended,
        None => pending().await,
    }
}

/// The next worker to end, if there is one.
async fn next<T: 'static>(
    workers: Option<&mut tokio::task::JoinSet<T>>,
) -> Option<Result<T, tokio::task::JoinError>> {
    workers?.join_next().await
}

/// Why the store has stopped; never, without one of this node's own.
async fn store_failed(store: Option<&Embedded>) -> starling_store::Error {
    match store {
        Some(store) => store.failed().await,
        None => pending().await,
    }
}

/// Why the cluster is lost; never, without one.
async fn cluster_failed(joined: &mut Option<Joined>) -> anyhow::Error {
    match joined {
        Some(joined) => joined.failed().await,
        None => pending().await,
    }
}
