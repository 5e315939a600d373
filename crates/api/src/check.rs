//! Whether the node is well: one question per part of it, asked side by side.
//!
//! Who can answer for a part implements [`Check`]; the roles say which parts a
//! node has. How the answers are shown is [`crate::http`]'s and the command
//! line's.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long one check may take. A part that answers later is not ready.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// A part of the node that can say whether it is well.
#[async_trait]
pub trait Check: Send + Sync {
    /// The part, in a word: "store".
    fn name(&self) -> &'static str;

    /// Whether it can do its work, now.
    ///
    /// # Errors
    /// Why not, as a sentence for the operator.
    async fn check(&self) -> Result<(), String>;
}

/// The answer of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The part.
    pub name: &'static str,
    /// Whether it is well.
    pub is_ready: bool,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answers of all parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether every part is well.
    pub is_ready: bool,
    /// Each part, in the order in which they were given.
    pub checks: Vec<Finding>,
}

/// The checks of a node. Cheap to clone.
#[derive(Clone, Default)]
pub struct Checks(Arc<[Arc<dyn Check>]>);

impl Checks {
    /// Asks these parts.
    #[must_use]
    pub fn new(checks: Vec<Arc<dyn Check>>) -> Self {
        Self(checks.into())
    }

    /// Asks all of them side by side.
    pub async fn ask(&self) -> Readiness {
        let mut asked = JoinSet::new();
        for (place, check) in self.0.iter().enumerate() {
            let check = Arc::clone(check);
            asked.spawn(async move { (place, ask(&*check).await) });
        }
        let mut checks: Vec<Finding> = self.0.iter().map(|check| fell(&**check)).collect();
        while let Some(answered) = asked.join_next().await {
            // One that panicked keeps the finding that it has given none.
            if let Ok((place, finding)) = answered {
                checks[place] = finding;
            }
        }
        Readiness {
            is_ready: checks.iter().all(|finding| finding.is_ready),
            checks,
        }
    }
}

async fn ask(check: &dyn Check) -> Finding {
    let answer = timeout(CHECK_TIMEOUT, check.check()).await;
    let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {CHECK_TIMEOUT:?}")));
    Finding {
        name: check.name(),
        is_ready: answer.is_ok(),
        reason: answer.err(),
    }
}

fn fell(check: &dyn Check) -> Finding {
    Finding {
        name: check.name(),
        is_ready: false,
        reason: Some("the check itself has failed".into()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A part that answers as told; `None` never does.
    pub(crate) struct Part(
        pub(crate) &'static str,
        pub(crate) Option<Result<(), String>>,
    );

    #[async_trait]
    impl Check for Part {
        fn name(&self) -> &'static str {
            self.0
        }

        async fn check(&self) -> Result<(), String> {
            match &self.1 {
                Some(answer) => answer.clone(),
                None => std::future::pending().await,
            }
        }
    }

    struct Broken;

    #[async_trait]
    impl Check for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }

        async fn check(&self) -> Result<(), String> {
            panic!("as asked");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_part_is_asked_and_none_is_waited_for_long() {
        let checks = Checks::new(vec![
            Arc::new(Part("well", Some(Ok(())))),
            Arc::new(Part("full", Some(Err("the disk is full".into())))),
            Arc::new(Part("silent", None)),
            Arc::new(Broken),
        ]);
        let readiness = checks.ask().await;
        assert!(!readiness.is_ready);
        let told: Vec<_> = readiness
            .checks
            .iter()
            .map(|finding| (finding.name, finding.reason.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("well", None),
                ("full", Some("the disk is full")),
                ("silent", Some("no answer within 2s")),
                ("broken", Some("the check itself has failed")),
            ]
        );
    }

    #[tokio::test]
    async fn a_node_is_ready_when_every_part_is() {
        let checks = Checks::new(vec![Arc::new(Part("well", Some(Ok(()))))]);
        assert!(checks.ask().await.is_ready);
    }
}
