//! Counts what the accounts of each host look like before they are proved, so
//! that names without an account look the same (`starling_auth::shapes`).
//!
//! The count is kept in the store: after a restart every name gets the answer
//! it got before. It is taken anew after verifiers were made, and from time to
//! time, because a log-in may upgrade an account as well. In between, accounts
//! are made and changed without any cost for this.

use std::sync::Arc;
use std::time::Duration;

use starling_api::Administration;
use starling_auth::shapes::Shape;
use starling_auth::{ServerSecret, Shapes};
use starling_store::Store;
use starling_store::account::LIST_ACCOUNTS_MAX;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::passwords::Passwords;

/// Begins the names in the store; the host follows. Never change it: the
/// answers for names without an account would change.
const NAME: &str = "census/";

/// Between two counts when nothing is known to have changed.
const PERIOD: Duration = Duration::from_secs(600);

/// From a change to the count that sees it, at least: most changes come in
/// crowds, and a verifier is made a moment before it is stored.
const CALM: Duration = Duration::from_secs(5);

/// A count that takes long is made more rarely: it rests so many times as long.
const REST: u32 = 50;

/// The census of a node's hosts.
pub(crate) struct Census {
    store: Arc<dyn Store>,
    secret: ServerSecret,
    administration: Administration,
}

impl Census {
    /// A census that tells its results to `secret`, at first what was counted
    /// before the restart. Without that, names without an account look like new
    /// accounts until the next count.
    pub(crate) async fn restored(
        store: &Arc<impl Store>,
        secret: ServerSecret,
        administration: &Administration,
    ) -> Self {
        for host in administration.hosts() {
            match store.meta(&name(&host)).await {
                Ok(kept) => {
                    if let Some(shapes) = kept.and_then(|bytes| Shapes::from_bytes(&bytes)) {
                        secret.set_shapes(&host, shapes);
                    }
                }
                Err(error) => tracing::warn!(host, %error, "cannot read what accounts look like"),
            }
        }
        Self {
            store: Arc::clone(store) as _,
            secret,
            administration: administration.clone(),
        }
    }

    /// Counts until told to stop.
    pub(crate) async fn run(self, passwords: Passwords, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.count_again(passwords)).await;
    }

    async fn count_again(&self, passwords: Passwords) {
        loop {
            let began = Instant::now();
            for host in self.administration.hosts() {
                if let Err(error) = self.count(&host).await {
                    tracing::warn!(host, %error, "cannot count what accounts look like");
                }
            }
            let rest = began.elapsed() * REST;
            let _ = tokio::time::timeout(PERIOD, passwords.made()).await;
            tokio::time::sleep(CALM.max(rest)).await;
        }
    }

    /// Counts the accounts of one host.
    async fn count(&self, host: &str) -> anyhow::Result<()> {
        let mut shapes = Shapes::default();
        let mut after = None;
        loop {
            let page = self
                .store
                .accounts(host, after.as_ref(), LIST_ACCOUNTS_MAX)
                .await?;
            let Some(last) = page.last() else { break };
            after = Some(last.jid.clone());
            for account in &page {
                shapes.count(Shape::of(&account.credentials));
            }
        }
        let shapes = shapes.trimmed();
        // Stored first: what was once answered must be answered again.
        self.store
            .set_meta(&name(host), shapes.to_bytes().into())
            .await?;
        self.secret.set_shapes(host, shapes);
        Ok(())
    }
}

fn name(host: &str) -> String {
    format!("{NAME}{host}")
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use starling_auth::scram::{Derivation, derive, verifiers_for};
    use starling_link::LocalLink;
    use starling_store::{Account, Memory};
    use starling_xmpp::credentials::{Credentials, ScramHash};
    use starling_xmpp::{BareJid, UnixMillis};

    use super::*;

    const HOST: &str = "a.example";

    async fn census(store: &Arc<Memory>) -> Census {
        let hosts = vec![HOST.to_owned()];
        let administration = Administration::new(LocalLink::new(), Arc::clone(store) as _, hosts);
        Census::restored(store, ServerSecret::generate(), &administration).await
    }

    #[tokio::test]
    async fn what_was_counted_holds_after_a_restart() {
        let store = Arc::new(Memory::new());
        let new = verifiers_for("secret", &Derivation::default()).unwrap();
        let old = vec![derive("secret", ScramHash::Sha1, b"salt of 14 oct", 10_000).unwrap()];
        let count = LIST_ACCOUNTS_MAX + 3;
        for number in 0..count {
            let credentials = Credentials {
                verifiers: if number == 7 { &old } else { &new }.clone(),
                ..Credentials::default()
            };
            let jid = BareJid::parse(&format!("user{number}@{HOST}")).unwrap();
            let account = Account::new(jid, credentials, UnixMillis(0));
            store.create_account(account).await.unwrap();
        }
        let before = census(&store).await;
        assert_eq!(before.secret.shapes(HOST).iter().count(), 0);
        before.count(HOST).await.unwrap();
        let after = census(&store).await;
        assert_eq!(before.secret.shapes(HOST), after.secret.shapes(HOST));
        let counts: Vec<_> = after.secret.shapes(HOST).iter().map(|it| it.1).collect();
        assert_eq!(counts, [count as u64 - 1, 1]);
    }
}
