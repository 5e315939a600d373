//! Nodes of a pubsub service (XEP-0060): one publishes, every subscriber is
//! told. For servers that have one.

use std::rc::Rc;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::crowd::Crowd;
use super::group::{Groups, Member, Names, Pace};
use super::{Prepared, RATE_MAX, Share};
use crate::clock::now;
use crate::mark::{self, Template, filler};
use crate::scenario::Mistakes;
use crate::session::Session;
use crate::worker::Worker;

pub(super) const WORK: &str = "notifications";
const NODES_MAX: u64 = 10_000;
const SUBSCRIBERS_MAX: u64 = 20_000;
const WINDOW_MAX: u32 = 10_000;
const PAYLOAD_BYTES_MAX: usize = 100_000;
const NS: &str = "http://jabber.org/protocol/pubsub";

/// Nodes with as many subscribers each, of whom the first publishes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pubsub {
    nodes: u64,
    subscribers: u64,
    /// Items a second of all nodes. Without it: as fast as the window lets.
    rate: Option<f64>,
    /// Items of a node that may be on their way at a time, without a rate.
    #[serde(default = "one")]
    window: u32,
    #[serde(default = "payload_bytes")]
    payload_bytes: usize,
    /// The service; {} stands for the host.
    #[serde(default = "service")]
    service: String,
}

fn one() -> u32 {
    1
}

fn payload_bytes() -> usize {
    100
}

fn service() -> String {
    "pubsub.{}".to_owned()
}

impl Pubsub {
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        mistakes.range("pubsub.nodes", self.nodes, 1, NODES_MAX);
        mistakes.range("pubsub.subscribers", self.subscribers, 2, SUBSCRIBERS_MAX);
        mistakes.range("pubsub.rate", self.rate.unwrap_or(1.0), 0.001, RATE_MAX);
        mistakes.range("pubsub.window", self.window, 1, WINDOW_MAX);
        mistakes.range(
            "pubsub.payload_bytes",
            self.payload_bytes,
            mark::BYTES,
            PAYLOAD_BYTES_MAX,
        );
    }

    pub(super) fn users(&self) -> u64 {
        self.nodes.saturating_mul(self.subscribers)
    }

    pub(super) async fn prepare(
        &self,
        worker: &Rc<Worker>,
        share: Share,
        first: u64,
    ) -> Result<Prepared> {
        let nodes: Vec<u64> = share.units(self.nodes).collect();
        let size = self.subscribers;
        let service = self.service.replace("{}", &worker.target.host);
        // Another name in each run: nodes may outlive one.
        let run = format!("loadtest-{:x}", now());
        let opened: Rc<Vec<_>> =
            Rc::new((0..self.nodes).map(|_| watch::channel(false).0).collect());
        let (of_service, of_run) = (service.clone(), run.clone());
        let set_up = async move |session: &mut Session| {
            let node = (session.user - first) / size;
            let name = format!("{of_run}-{node}");
            let opened = &opened[usize::try_from(node)?];
            if (session.user - first).is_multiple_of(size) {
                let created = ask(
                    session,
                    &of_service,
                    "create",
                    &format!("<create node='{name}'/>"),
                )
                .await;
                opened.send_replace(true);
                created?;
            } else {
                opened.subscribe().wait_for(|opened| *opened).await?;
            }
            let bare = session.jid.split('/').next().unwrap_or_default();
            let subscribe = format!("<subscribe node='{name}' jid='{bare}'/>");
            ask(session, &of_service, "subscribe", &subscribe).await
        };
        let users = Groups::users(&nodes, size, first);
        let groups = Groups {
            crowd: Crowd::gather(worker, users, set_up).await,
            size,
            pace: Pace {
                rate: self.rate.map(|rate| rate / self.nodes as f64),
                window: self.window,
            },
            names: Names {
                work: WORK,
                series: "notification",
            },
            numbers: nodes,
        };
        let (load, worker) = (self.clone(), Rc::clone(worker));
        Ok(Box::new(move |phases| {
            let members =
                move |node, sessions| load.members(sessions, &service, &format!("{run}-{node}"));
            Box::pin(groups.run(worker, members, phases))
        }))
    }

    fn members(&self, sessions: Vec<Session>, service: &str, node: &str) -> Vec<Member> {
        let filler = filler(self.payload_bytes);
        let template = || {
            Template::new(
                &format!(
                    "<iq type='set' id='p' to='{service}'><pubsub xmlns='{NS}'><publish node='{node}'>\
                     <item><load xmlns='urn:xmpp:starling:loadtest'>"
                ),
                &format!("{filler}</load></item></publish></pubsub></iq>"),
            )
        };
        let places = sessions.into_iter().enumerate();
        places
            .map(|(place, session)| Member {
                session,
                template: (place == 0).then(template),
                hears_itself: true,
            })
            .collect()
    }
}

async fn ask(session: &mut Session, service: &str, id: &str, content: &str) -> Result<()> {
    let request = format!(
        "<iq type='set' id='{id}' to='{service}'><pubsub xmlns='{NS}'>{content}</pubsub></iq>"
    );
    session.send(request.as_bytes());
    session.answer(id).await?;
    Ok(())
}
