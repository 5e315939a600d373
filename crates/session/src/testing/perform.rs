//! How a scene does one piece of work: through the account, into the store, and
//! out to whoever hears of it.

use std::sync::Arc;

use starling_cluster::Epoch;
use starling_link::{Enable, Frame};
use starling_store::{Change, Stamp, Write};
use starling_xmpp::{Kind, Stanza};

use super::{Scene, now, predictable};
use crate::Ctx;
use crate::account::Lasting;
use crate::effects::Effect;
use crate::ring::Delivery;
use crate::tasks::{self, Handling};
use crate::work::Task;

impl Scene {
    /// The client with this resource enables stream management, to resume.
    pub fn enables(&mut self, resource: &str) -> Vec<String> {
        self.enables_behind(resource, 0)
    }

    /// The same behind so many stanzas.
    pub fn enables_behind(&mut self, resource: &str, number: u32) -> Vec<String> {
        let (session, attach, _) = self.stream(resource);
        self.perform(Task::Frame(Frame::Enable {
            session,
            attach,
            number,
            request: Enable {
                wants_resume: true,
                max: None,
            },
        }))
    }

    pub(super) fn perform(&mut self, task: Task) -> Vec<String> {
        let account = self.account.take().expect("one thing is done at a time");
        let (env, progress) = (Arc::clone(&self.env), Arc::default());
        // What waits in a scene waits for a thread that derives keys.
        let entered = self.runtime.enter();
        let handling = tasks::run(Ctx::new(env, progress, Epoch::FIRST, account), task);
        drop(entered);
        let ctx = match handling {
            Handling::Done(ctx) => ctx,
            Handling::Waiting(handler) => self.runtime.block_on(handler),
        };
        self.settle(ctx)
    }

    /// Commits what was written and tells what was said, in order. Whoever
    /// gets a stanza comes first: `balcony:` for a client of the account,
    /// `out:` for everybody else.
    fn settle(&mut self, ctx: Box<Ctx>) -> Vec<String> {
        let Ctx {
            account,
            mut effects,
            ..
        } = *ctx;
        self.account = Some(account);
        self.alarms
            .extend(effects.alarms.drain(..).map(|(_, alarm)| alarm));
        self.commit(std::mem::take(&mut effects.writes));
        let releases = std::mem::take(&mut effects.releases);
        for effect in &releases {
            if let Effect::Deliver { outgoing, .. } = effect
                && self.is_servers(&outgoing.stanza)
            {
                self.asked.clone_from(&outgoing.stanza.head.id);
            }
        }
        let lines = releases.into_iter().filter_map(|effect| self.line(effect));
        let mut said: Vec<String> = lines.collect();
        for outgoing in std::mem::take(&mut self.late) {
            said.extend(self.perform(Task::Undelivered(Box::new(outgoing))));
        }
        said
    }

    /// Whether the server asks this of a client.
    fn is_servers(&self, stanza: &Stanza) -> bool {
        let from = stanza.head.from.as_ref();
        stanza.head.kind == Kind::Iq
            && stanza.head.type_.is_request()
            && from.is_none_or(|from| *from == *self.account().jid.as_jid())
    }

    fn line(&mut self, effect: Effect) -> Option<String> {
        match effect {
            Effect::Route { stanza, .. } => Some(format!("out: {stanza}")),
            Effect::Deliver { ring, outgoing, .. } => {
                let stanza = outgoing.stanza.clone();
                if let Delivery::Over(outgoing) = ring.deliver(outgoing, None) {
                    self.late.push(outgoing);
                }
                let found = self.account().session(ring.key.id);
                let resource = found.and_then(|found| found.jid.resource());
                let stanza = match self.is_servers(&stanza) {
                    true => predictable(stanza),
                    false => stanza,
                };
                Some(format!("{}: {stanza}", resource.unwrap_or("?")))
            }
            Effect::Close { ring, why } => {
                ring.close(why);
                Some(format!("close: {why:?}"))
            }
            Effect::Enable {
                ring,
                received,
                resumption,
            } => {
                ring.enable(received, resumption);
                None
            }
            Effect::Hold { ring, holder } => {
                ring.hold(holder);
                None
            }
            Effect::Remember { ring, summary } => {
                ring.remember(summary);
                None
            }
            Effect::Settle(receipt) => {
                receipt.settle();
                None
            }
            Effect::ReportDrained { ring } => {
                ring.request_ack();
                None
            }
            Effect::WhenCaughtUp { .. } => None,
            Effect::Tell(tell) => {
                tell();
                None
            }
        }
    }

    /// Invariant of every step: what is in memory is what is stored.
    pub(super) fn commit(&mut self, changes: Vec<Change>) {
        self.written.extend(changes.iter().cloned());
        let owner = self.account().jid.clone();
        let writes = &mut self.writes;
        let batch = changes.into_iter().map(|change| {
            *writes += 1;
            Write::new(owner.clone(), Stamp::new(1, *writes), change)
        });
        now(self.env.store.commit(batch.collect())).unwrap();
        if self.account().lasting == Lasting::Stored {
            let stored = now(self.env.store.login(&owner)).unwrap().unwrap();
            assert_eq!(self.account().roster, stored.roster, "memory and store");
            assert_eq!(
                self.account().blocklist,
                stored.blocklist,
                "memory and store"
            );
        }
    }
}
