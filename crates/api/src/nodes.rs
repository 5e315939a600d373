//! The session nodes as a whole: which of them answer, and how they are.
//!
//! A node that hangs must not make the operator wait who wants to know which one
//! it is: all are asked side by side, and none is waited for long.

use std::sync::Arc;
use std::time::Duration;

use starling_link::{SessionNode, Tally};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::Administration;

/// How long a node may take to tell how it is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What a session node answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The node; empty where there is no other.
    pub node: String,
    /// How long it took.
    pub took: Duration,
    /// How it is; or why it did not say, as a sentence.
    pub tally: Result<Tally, String>,
}

impl Administration {
    /// Asks every session node how it is, in the order of their names.
    pub async fn tallies(&self) -> Vec<Answer> {
        let mut asked = JoinSet::new();
        for node in self.link.nodes() {
            asked.spawn(ask(node));
        }
        let mut answers = Vec::new();
        // One whose asking panicked has not answered, and is not told.
        while let Some(answered) = asked.join_next().await {
            answers.extend(answered);
        }
        answers.sort_by(|one, other| one.node.cmp(&other.node));
        answers
    }
}

async fn ask(node: Arc<dyn SessionNode>) -> Answer {
    let began = Instant::now();
    let tally = match timeout(ANSWER_TIMEOUT, node.tally()).await {
        Ok(answered) => answered.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {ANSWER_TIMEOUT:?}")),
    };
    Answer {
        node: node.name().to_owned(),
        took: began.elapsed(),
        tally,
    }
}
