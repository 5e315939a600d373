//! Where work for a worker arrives, and what it has sent elsewhere. Everybody
//! may have it; only the worker reads.

use std::sync::Arc;

use starling_link::Mailbox;

use crate::outbox::Outbox;
use crate::work::{Survey, Work};

/// Surveys that may wait for one worker.
const SURVEYS_MAX: usize = 64;

/// Where work for a worker arrives.
pub(crate) struct Inbox {
    pub(crate) work: Mailbox<Work>,
    pub(crate) surveys: Mailbox<Survey>,
    /// What it sent to other nodes and is not settled yet.
    pub(crate) outbox: Outbox,
}

impl Inbox {
    /// That of one of so many workers.
    pub(crate) fn new(frames_max: usize, worker: usize, workers: usize) -> Self {
        Self {
            work: Mailbox::new(frames_max),
            surveys: Mailbox::new(SURVEYS_MAX),
            outbox: Outbox::new(worker, workers),
        }
    }
}

/// However a worker ends, those who wait for it learn of it.
pub(super) struct Closing(pub(super) Arc<Inbox>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.work.close();
        self.0.surveys.close();
    }
}
