//! Questions to the session node, and how they are asked.
//!
//! Questions are never abandoned half way: a session that was bound without
//! anyone hearing of it would stay for ever.

use std::sync::Arc;
use std::time::Duration;

use starling_auth::scram::{Derivation, verifiers_for};
use starling_auth::{Exchange, Mechanism, Step};
use starling_link::{
    self as link, Bind, BindError, Bound, CredentialChange, Registration, Resume, ResumeError,
    Resumed, SessionNode,
};
use starling_xmpp::BareJid;
use starling_xmpp::credentials::{Credentials, Fingerprint};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::shared::Shared;

/// A question that has no answer by then has none.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A question.
pub(crate) enum Ask {
    /// Look the account up and let the exchange judge the proof by it.
    Prove {
        exchange: Box<Exchange>,
        account: BareJid,
    },
    /// Make these changes, in this order, if the account still has the
    /// credentials that were looked up.
    Change {
        account: BareJid,
        basis: Option<Fingerprint>,
        changes: Vec<CredentialChange>,
    },
    /// Make an account with this password.
    Register {
        account: BareJid,
        password: Zeroizing<String>,
        how: Derivation,
    },
    /// Bind a session.
    Bind(Bind),
    /// Take an earlier one over.
    Resume(Box<Resume>),
}

/// Its answer.
pub(crate) enum Answer {
    Proved(Box<Proof>),
    Changed(Result<Fingerprint, link::Error>),
    Registered(Result<bool, Unregistered>),
    Bound(Result<Bound, BindError>),
    Resumed(Result<Resumed, ResumeError>),
    /// The exchange panicked, and is lost with the attempt.
    Fault,
}

/// The end of [`Ask::Prove`].
pub(crate) struct Proof {
    pub(crate) exchange: Box<Exchange>,
    pub(crate) step: Result<(Step, Option<Credentials>), link::Error>,
}

/// Why an account was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unregistered {
    /// The password cannot be used.
    #[error(transparent)]
    Password(starling_auth::Error),
    /// It may work later.
    #[error(transparent)]
    Link(link::Error),
    /// Deriving panicked.
    #[error("deriving verifiers stopped")]
    Fault,
}

impl Ask {
    /// Finds out.
    pub(crate) async fn perform(self, shared: &Shared) -> Answer {
        match self {
            Self::Prove { exchange, account } => prove(shared, exchange, &account).await,
            Self::Change {
                account,
                basis,
                changes,
            } => Answer::Changed(change(shared, &account, basis, changes).await),
            Self::Register {
                account,
                password,
                how,
            } => Answer::Registered(register(shared, account, password, how).await),
            Self::Bind(bind) => Answer::Bound(self::bind(shared, bind).await),
            Self::Resume(resume) => Answer::Resumed(self::resume(shared, *resume).await),
        }
    }
}

async fn prove(shared: &Shared, mut exchange: Box<Exchange>, account: &BareJid) -> Answer {
    let found = match shared.link.owner(account) {
        Ok(node) => within(node.credentials(account)).await,
        Err(why) => Err(why),
    };
    let step = match found {
        Ok(credentials) => {
            let now = shared.now();
            let is_slow = exchange.mechanism() == Mechanism::Plain;
            let judge = move || {
                let step = exchange.supply(credentials.as_ref(), now);
                (exchange, step, credentials)
            };
            let judged = if is_slow {
                away(shared, judge).await
            } else {
                Some(judge())
            };
            return match judged {
                Some((exchange, step, credentials)) => Answer::Proved(Box::new(Proof {
                    exchange,
                    step: Ok((step, credentials)),
                })),
                None => Answer::Fault,
            };
        }
        Err(why) => Err(why),
    };
    Answer::Proved(Box::new(Proof { exchange, step }))
}

async fn change(
    shared: &Shared,
    account: &BareJid,
    basis: Option<Fingerprint>,
    changes: Vec<CredentialChange>,
) -> Result<Fingerprint, link::Error> {
    let node = shared.link.owner(account)?;
    within(node.change_credentials(account, basis, changes)).await
}

async fn register(
    shared: &Shared,
    account: BareJid,
    password: Zeroizing<String>,
    how: Derivation,
) -> Result<bool, Unregistered> {
    let node = shared.link.owner(&account).map_err(Unregistered::Link)?;
    let derived = away(shared, move || verifiers_for(&password, &how)).await;
    let verifiers = derived
        .ok_or(Unregistered::Fault)?
        .map_err(Unregistered::Password)?;
    let registration = Registration { account, verifiers };
    within(node.register(registration))
        .await
        .map_err(Unregistered::Link)
}

async fn bind(shared: &Shared, bind: Bind) -> Result<Bound, BindError> {
    let node: Arc<dyn SessionNode> = shared.link.owner(&bind.account)?;
    node.bind(bind).await
}

async fn resume(shared: &Shared, resume: Resume) -> Result<Resumed, ResumeError> {
    let node: Arc<dyn SessionNode> = shared.link.owner(&resume.account)?;
    node.resume(resume).await
}

async fn within<T>(answer: impl Future<Output = Result<T, link::Error>>) -> Result<T, link::Error> {
    timeout(ANSWER_TIMEOUT, answer)
        .await
        .unwrap_or(Err(link::Error::Unavailable))
}

/// Runs what takes milliseconds of CPU away from the sockets, a few at a time.
/// `None` if it panicked, which the panic itself has told.
async fn away<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let permit = Arc::clone(&shared.derivations).acquire_owned().await.ok()?;
    tokio::task::spawn_blocking(move || {
        let done = work();
        drop(permit);
        done
    })
    .await
    .ok()
}
