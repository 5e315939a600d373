//! The session node as others see it: it spreads work over its workers and
//! answers what needs no account in memory from the store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use starling_cluster::{Epoch, NodeId, Shard};
use starling_link::{
    Bind, BindError, Bound, Close, CredentialChange, Error, Frame, Reattach, ReattachError,
    Reattached, Refused, Registration, Resume, ResumeError, Resumed, Returned, SessionInfo,
    SessionKey, SessionNode, Tally,
};
use starling_store::Creation;
use starling_store::account::{Account, Change};
use starling_xmpp::BareJid;
use starling_xmpp::credentials::{Credentials, Fingerprint};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::Env;
use crate::work::{Done, Ownership, Survey, Task, Work};
use crate::worker::{Inbox, Worker};

/// Pause between two looks at whether the workers are done.
const DRAIN_PAUSE: Duration = Duration::from_millis(2);

/// Who a frame comes from, as far as being refused goes.
enum Pushed {
    /// A client, which waits.
    Stranger,
    /// A stanza that follows from one already accepted, which is bounced.
    Following,
    /// What must not be lost, and is bounded by the number of sessions.
    Owed,
}

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
        let workers = workers.max(1);
        for worker in 0..workers {
            let inbox = Inbox::new(env.config.worker_frames_max, worker, workers);
            let inbox = Arc::new(inbox);
            let worker = Worker::new(Arc::clone(&env), Arc::clone(&inbox));
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

    /// Waits until everything that was accepted is finished, also what follows
    /// from it at another worker. New work should have stopped coming. False if
    /// nothing was begun or stored for as long as `patience`, and something is
    /// unfinished.
    pub async fn drain(&self, patience: Duration) -> bool {
        let (mut before, mut since) = (None, Instant::now());
        loop {
            let now = self.done().await;
            let is_same = before.is_some_and(|before: Done| before.count == now.count);
            // Twice the same, and nobody busy: nothing is on its way between
            // two workers either.
            if now.is_all && before == Some(now) {
                return true;
            }
            if !is_same {
                since = Instant::now();
            } else if since.elapsed() >= patience {
                return false;
            }
            before = Some(now);
            sleep(DRAIN_PAUSE).await;
        }
    }

    /// This node owns a shard from now on, under this epoch. If another owned
    /// it before, its accounts are served once every edge has brought the
    /// sessions that it has there ([`SessionNode::attended`]).
    pub fn take(&self, shard: Shard, epoch: Epoch) {
        self.own(shard, Ownership::Take(shard, epoch));
    }

    /// Writes down how far the accounts of a shard are, while they are served, and
    /// waits for a moment in which nothing of it is in hand, for half a second at
    /// most; what has only just come is served first, if it can be within two
    /// seconds. Then finishes everything that was begun, tells the edges of its
    /// sessions to bring them elsewhere, and lets what comes after wait: also for
    /// accounts that the store does not let it read. It begins with
    /// this call. True when nothing of the shard is written any more until
    /// [`Engine::keep`] or [`Engine::take`]; false if one of them came first, or
    /// its worker has gone.
    pub fn freeze(&self, shard: Shard) -> impl Future<Output = bool> + Send + use<> {
        let (told, finished) = oneshot::channel();
        self.own(shard, Ownership::Freeze(shard, told));
        async move { finished.await.is_ok() }
    }

    /// A frozen shard is served again: it stays here after all.
    pub fn keep(&self, shard: Shard) {
        self.own(shard, Ownership::Keep(shard));
    }

    /// A shard is another node's from now on.
    pub fn give_up(&self, shard: Shard) {
        self.own(shard, Ownership::Drop(shard));
    }

    fn own(&self, shard: Shard, change: Ownership) {
        let worker = usize::from(shard.number()) % self.inboxes.len();
        self.inboxes[worker].surveys.push_owed(Survey::Own(change));
    }

    /// How much the workers have done, and whether none of them has anything left.
    async fn done(&self) -> Done {
        let mut all = Done {
            count: 0,
            is_all: true,
        };
        for inbox in &self.inboxes {
            let (answer, answered) = oneshot::channel();
            inbox.surveys.push_owed(Survey::Progress(answer));
            // A worker that has gone has nothing left.
            if let Ok(one) = answered.await {
                all.count += one.count;
                all.is_all &= one.is_all;
            }
        }
        all
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
        let kind = match &frame {
            Frame::FromClient { .. } | Frame::Answered { .. } | Frame::ClientState { .. } => {
                Pushed::Stranger
            }
            Frame::Routed(_) => Pushed::Following,
            // Acknowledgements are bounded by what there is to acknowledge.
            Frame::Acked { .. } | Frame::Enable { .. } | Frame::Detach { .. } => Pushed::Owed,
        };
        let target = frame.target().clone();
        let (worker, work) = self.work(&target, Task::Frame(frame));
        let mailbox = &self.inboxes[worker].work;
        let pushed = match kind {
            Pushed::Stranger => mailbox.push(work),
            Pushed::Following => mailbox.push_following(work),
            Pushed::Owed => {
                mailbox.push_owed(work);
                Ok(())
            }
        };
        pushed.map_err(|returned| match returned {
            Returned::Full(work) => Refused::Full(work.into_frame()),
            Returned::Closed(work) => Refused::Unavailable(work.into_frame()),
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
        basis: Option<Fingerprint>,
        changes: Vec<CredentialChange>,
    ) -> Result<Fingerprint, Error> {
        let is_disabling = changes
            .iter()
            .any(|change| matches!(change, CredentialChange::Disabled(true)));
        let changes = changes.into_iter().flat_map(stored).collect();
        let task = |answer| Task::Change {
            changes,
            basis,
            answer,
        };
        let fingerprint = self.ask(account, task).await??;
        if is_disabling {
            let task = |answer| Task::Kick {
                session: None,
                why: Close::NotAuthorized,
                answer,
            };
            self.ask(account, task).await?;
        }
        Ok(fingerprint)
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

    async fn resume(&self, resume: Resume) -> Result<Resumed, ResumeError> {
        let account = resume.account.clone();
        self.ask(&account, |answer| Task::Resume(Box::new(resume), answer))
            .await?
    }

    async fn reattach(&self, request: Reattach) -> Result<Reattached, ReattachError> {
        let account = request.session.account.clone();
        let task = |answer| Task::Reattach(Box::new(request), answer);
        self.ask(&account, task).await?
    }

    fn attended(&self, edge: &NodeId, shards: &[(Shard, Epoch)]) {
        for (shard, epoch) in shards {
            self.own(*shard, Ownership::Attended(*shard, *epoch, edge.clone()));
        }
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

    async fn tally(&self) -> Result<Tally, Error> {
        let mut all = Tally::default();
        for inbox in &self.inboxes {
            let (answer, answered) = oneshot::channel();
            inbox.surveys.push_owed(Survey::Tally(answer));
            let one = answered.await.map_err(|_| Error::ShuttingDown)?;
            all.sessions += one.sessions;
            all.storing = all.storing.max(one.storing);
        }
        Ok(all)
    }

    fn name(&self) -> &str {
        self.env.membership.local().as_str()
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

/// What a change means for the store.
fn stored(change: CredentialChange) -> Vec<Change> {
    match change {
        CredentialChange::Password(verifiers) => {
            vec![Change::SetVerifiers(verifiers), Change::ClearTokens]
        }
        CredentialChange::Verifiers(verifiers) => vec![Change::SetVerifiers(verifiers)],
        CredentialChange::PutToken(token) => vec![Change::PutToken(token)],
        CredentialChange::RemoveToken { device, slot } => {
            vec![Change::RemoveToken { device, slot }]
        }
        CredentialChange::Disabled(is_disabled) => vec![Change::SetDisabled(is_disabled)],
        CredentialChange::Attribute { name, value } => vec![Change::SetAttribute { name, value }],
    }
}

fn store_error(error: starling_store::Error) -> Error {
    Error::Store(error.to_string())
}
