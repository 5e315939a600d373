//! The session node as others see it: it spreads work over its workers and
//! answers what needs no account in memory from the store.

use std::sync::Arc;

use async_trait::async_trait;
use starling_link::{
    Bind, BindError, Bound, Close, CredentialChange, Error, Frame, Mailbox, Refused, Registration,
    SessionInfo, SessionKey, SessionNode,
};
use starling_store::Creation;
use starling_store::account::{Account, Change};
use starling_xmpp::BareJid;
use starling_xmpp::credentials::Credentials;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Env;
use crate::work::{Survey, Task, Work};
use crate::worker::{Inbox, Worker};

/// The session node.
pub struct Engine {
    env: Arc<Env>,
    inboxes: Vec<Arc<Inbox>>,
}

/// What a running engine consists of.
pub struct Parts {
    /// The node, to join to a link.
    pub node: Arc<Engine>,
    /// Its workers. One that ends with an error has lost the store: the
    /// process must stop and say so.
    pub workers: JoinSet<Result<(), starling_store::Error>>,
}

impl Engine {
    /// Starts an engine with this many workers. They end, after finishing what
    /// they accepted, when `shutdown` is cancelled.
    pub fn start(env: Arc<Env>, workers: usize, shutdown: &CancellationToken) -> Parts {
        let mut tasks = JoinSet::new();
        let mut inboxes = Vec::new();
        for number in 0..workers.max(1) {
            let inbox = Arc::new(Inbox::new(env.config.worker_frames_max));
            let worker = Worker::new(Arc::clone(&env), Arc::clone(&inbox), number as u64);
            tasks.spawn(worker.run(shutdown.clone()));
            inboxes.push(inbox);
        }
        let node = Arc::new(Self { env, inboxes });
        Parts {
            node,
            workers: tasks,
        }
    }

    /// The surroundings it runs in.
    pub fn env(&self) -> &Arc<Env> {
        &self.env
    }

    fn work(&self, target: &BareJid, task: Task) -> (usize, Work) {
        let shard = self.env.placement.shard_of(target);
        let worker = usize::from(shard.number()) % self.inboxes.len();
        (
            worker,
            Work {
                shard,
                target: target.clone(),
                task,
            },
        )
    }

    /// Asks the owner of an account something and waits for the answer.
    async fn ask<T>(
        &self,
        target: &BareJid,
        task: impl FnOnce(oneshot::Sender<T>) -> Task,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let (worker, work) = self.work(target, task(answer));
        self.inboxes[worker].work.push_owed(work);
        answered.await.map_err(|_| Error::ShuttingDown)
    }
}

#[async_trait]
impl SessionNode for Engine {
    fn push(&self, frame: Frame) -> Result<(), Refused<Frame>> {
        let target = frame.target().clone();
        let is_owed = !matches!(frame, Frame::FromClient { .. });
        let (worker, work) = self.work(&target, Task::Frame(frame));
        let mailbox: &Mailbox<Work> = &self.inboxes[worker].work;
        if is_owed {
            mailbox.push_owed(work);
            return Ok(());
        }
        mailbox.push(work).map_err(|work| match work.task {
            Task::Frame(frame) => Refused::Full(frame),
            // Invariant: the task that comes back is the one made above.
            _ => unreachable!("a frame was pushed"),
        })
    }

    async fn room(&self, account: &BareJid) {
        let shard = self.env.placement.shard_of(account);
        let worker = usize::from(shard.number()) % self.inboxes.len();
        self.inboxes[worker].work.room().await;
    }

    async fn credentials(&self, account: &BareJid) -> Result<Option<Credentials>, Error> {
        self.env
            .store
            .credentials(account)
            .await
            .map_err(store_error)
    }

    async fn change_credentials(
        &self,
        account: &BareJid,
        change: CredentialChange,
    ) -> Result<(), Error> {
        let is_disabling = matches!(change, CredentialChange::Disabled(true));
        let changes = match change {
            CredentialChange::Password(verifiers) => {
                vec![Change::SetVerifiers(verifiers), Change::ClearTokens]
            }
            CredentialChange::Verifiers(verifiers) => vec![Change::SetVerifiers(verifiers)],
            CredentialChange::PutToken(token) => vec![Change::PutToken(token)],
            CredentialChange::RemoveToken { device, slot } => {
                vec![Change::RemoveToken { device, slot }]
            }
            CredentialChange::Disabled(is_disabled) => vec![Change::SetDisabled(is_disabled)],
        };
        self.ask(account, |answer| Task::Change(changes, answer))
            .await??;
        if is_disabling {
            let why = Close::NotAuthorized;
            self.ask(account, |answer| Task::Kick {
                session: None,
                why,
                answer,
            })
            .await?;
        }
        Ok(())
    }

    async fn register(&self, registration: Registration) -> Result<bool, Error> {
        let credentials = Credentials {
            verifiers: registration.verifiers,
            ..Credentials::default()
        };
        let account = Account::new(registration.account, credentials, self.env.clock.now());
        let creation = self
            .env
            .store
            .create_account(account)
            .await
            .map_err(store_error)?;
        Ok(creation == Creation::Created)
    }

    async fn remove(&self, account: &BareJid) -> Result<bool, Error> {
        self.ask(account, Task::Remove).await?
    }

    async fn bind(&self, bind: Bind) -> Result<Bound, BindError> {
        let account = bind.account.clone();
        self.ask(&account, |answer| Task::Bind(Box::new(bind), answer))
            .await?
    }

    async fn sessions(&self, account: &BareJid) -> Result<Vec<SessionInfo>, Error> {
        self.ask(account, Task::Sessions).await
    }

    async fn all_sessions(&self, limit: usize) -> Result<Vec<SessionInfo>, Error> {
        let mut all = Vec::new();
        for inbox in &self.inboxes {
            let (answer, answered) = oneshot::channel();
            inbox
                .surveys
                .push_owed(Survey::Sessions(limit - all.len(), answer));
            all.extend(answered.await.map_err(|_| Error::ShuttingDown)?);
        }
        Ok(all)
    }

    async fn kick(&self, session: &SessionKey) -> Result<bool, Error> {
        let (session, account) = (Some(session.id), &session.account);
        let why = Close::NotAuthorized;
        self.ask(account, |answer| Task::Kick {
            session,
            why,
            answer,
        })
        .await
    }
}

fn store_error(error: starling_store::Error) -> Error {
    Error::Store(error.to_string())
}
