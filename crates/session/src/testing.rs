//! A scene for tests: one account over the in-memory store, its clients, and
//! everything the account says to anybody, as text.
//!
//! Work takes the same way as in a node, through `tasks`, the phases and the
//! features. Workers and the link have no part in it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "only tests use it, and tests panic on failure"
)]

mod fakes;
mod perform;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::FutureExt as _;
use smol_str::SmolStr;
use starling_cluster::{NodeId, Placement, SingleNode};
use starling_link::{
    Attach, Bind, Client, ConflictPolicy, Detached, Frame, LocalLink, MessageId, Routed, SessionId,
    SessionKey,
};
use starling_store::roster::{Item, Subscription};
use starling_store::{Change, Memory, Store, account};
use starling_xmpp::credentials::Credentials;
use starling_xmpp::time::UnixMillis;
use starling_xmpp::{BareJid, Element, Jid, Stanza, ns};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use self::fakes::{Nowhere, PlainPasswords};
use crate::account::Lasting;
use crate::outgoing::Outgoing;
use crate::work::{Alarm, Task};
use crate::{
    Account, Clock, Config, EntryIds, Env, Feature, Host, Hosts, ManualClock, Registry, Software,
};

/// When every scene begins.
pub const BEGIN: UnixMillis = UnixMillis(1_000_000_000_000);

/// One account and its clients.
pub struct Scene {
    env: Arc<Env>,
    clock: Arc<ManualClock>,
    account: Option<Box<Account>>,
    writes: u64,
    /// What was written, oldest first.
    pub written: Vec<Change>,
    /// What was delivered to sessions that were over.
    late: Vec<Outgoing>,
    /// What was put off.
    alarms: Vec<Alarm>,
    /// Stanzas that arrive are said once more.
    is_repeated: bool,
    /// The id of the server's last request to a client.
    asked: Option<SmolStr>,
    runtime: Runtime,
}

impl Scene {
    /// A stored account without contacts, and no features.
    pub fn new(account: &str) -> Self {
        Self::with(account, Vec::new(), Config::default())
    }

    /// A stored account without contacts.
    pub fn with(account: &str, features: Vec<Box<dyn Feature>>, config: Config) -> Self {
        let jid = BareJid::parse(account).unwrap();
        let store = Arc::new(Memory::new());
        let record = starling_store::Account::new(jid.clone(), Credentials::default(), BEGIN);
        now(store.create_account(record)).unwrap();
        let mut scene = Self::over(&jid, store, features, config);
        let bundle = now(scene.env.store.login(&jid)).unwrap().unwrap();
        scene.account = Some(Box::new(Account::stored(jid, bundle)));
        scene
    }

    /// A name that has no account.
    pub fn nobody(account: &str) -> Self {
        Self::unstored(account, Lasting::Session, Vec::new())
    }

    /// A host, or a name that has no account and may be bound anonymously.
    pub fn unstored(account: &str, lasting: Lasting, features: Vec<Box<dyn Feature>>) -> Self {
        let jid = BareJid::parse(account).unwrap();
        let store = Arc::new(Memory::new());
        let mut scene = Self::over(&jid, store, features, Config::default());
        scene.account = Some(Box::new(Account::unstored(jid, lasting)));
        scene
    }

    /// The account as it is after having been unloaded: read from the store,
    /// without sessions.
    pub fn reload(&mut self) {
        let jid = self.account().jid.clone();
        let bundle = now(self.env.store.login(&jid)).unwrap().unwrap();
        self.account = Some(Box::new(Account::stored(jid, bundle)));
    }

    /// Gives the account's host other settings.
    pub fn serve(&mut self, host: Host) {
        let mut hosts = Hosts::default();
        hosts.add(&self.account().jid.to_host(), host);
        self.env.hosts.store(Arc::new(hosts));
    }

    fn over(
        jid: &BareJid,
        store: Arc<dyn Store>,
        features: Vec<Box<dyn Feature>>,
        config: Config,
    ) -> Self {
        let clock = Arc::new(ManualClock::at(BEGIN));
        let mut hosts = Hosts::default();
        hosts.add(&jid.to_host(), Host::default());
        let env = Env {
            fence: None,
            config,
            hosts: ArcSwap::from_pointee(hosts),
            store,
            link: LocalLink::new(),
            placement: Placement::new([0; 16]),
            membership: Arc::new(SingleNode::new(NodeId::new("test"))),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            passwords: Arc::new(PlainPasswords),
            registry: Registry::new(features),
            entry_ids: EntryIds::new([0; 16]),
            software: Software {
                name: "Starling".into(),
                version: "test".into(),
                os: None,
            },
        };
        Self {
            env: Arc::new(env),
            clock,
            account: None,
            writes: 0,
            written: Vec::new(),
            late: Vec::new(),
            is_repeated: false,
            alarms: Vec::new(),
            asked: None,
            runtime: Builder::new_current_thread().build().unwrap(),
        }
    }

    /// The surroundings, to read from the store or to reload hosts.
    pub fn env(&self) -> &Arc<Env> {
        &self.env
    }

    /// The account.
    pub fn account(&self) -> &Account {
        self.account.as_ref().expect("nothing is being done")
    }

    /// The account, to prepare it.
    pub fn account_mut(&mut self) -> &mut Account {
        self.account.as_mut().expect("nothing is being done")
    }

    /// Lets time pass.
    pub fn wait_millis(&mut self, millis: i64) {
        self.clock.advance_millis(millis);
    }

    /// Adds a contact with this subscription, as if it had always been there.
    pub fn contact(&mut self, contact: &str, subscription: Subscription) {
        self.item(Item {
            subscription,
            ..Item::new(Jid::parse(contact).unwrap())
        });
    }

    /// Adds a contact as if it had always been there; its version is given.
    pub fn item(&mut self, item: Item) {
        let version = match item.is_listed {
            true => self.account().roster.next_version(),
            false => 0,
        };
        let change = starling_store::roster::Change::Put(Item { version, ..item });
        self.account_mut().roster.apply(&change);
        self.commit(vec![change.into()]);
    }

    /// Binds a session. It is neither available nor interested.
    pub fn bind(&mut self, resource: &str) -> SessionId {
        self.bind_asking(resource, Vec::new()).0
    }

    /// Binds a session by Bind 2; tells what belongs into `<bound/>`.
    pub fn bind2(&mut self, resource: &str) -> String {
        let inline = vec![Element::new(ns::BIND2, "bind")];
        let (_, bound) = self.bind_asking(resource, inline);
        let bound = bound
            .iter()
            .map(|element| String::from_utf8_lossy(&element.to_bytes()).into_owned());
        bound.collect()
    }

    fn bind_asking(&mut self, resource: &str, inline: Vec<Element>) -> (SessionId, Vec<Element>) {
        let (answer, bound) = oneshot::channel();
        let bind = Bind {
            account: self.account().jid.clone(),
            resource: Some(resource.into()),
            tag: None,
            basis: None,
            is_anonymous: self.account().lasting == Lasting::Session,
            conflict: ConflictPolicy::Replace,
            client: Client {
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
                is_encrypted: true,
                mechanism: "SCRAM-SHA-256".into(),
                user_agent_id: None,
                software: None,
            },
            management: None,
            inline,
            outlet: Arc::new(Nowhere),
        };
        self.perform(Task::Bind(Box::new(bind), answer));
        let bound = now(bound).unwrap().unwrap();
        (bound.session, bound.inline)
    }

    /// An operator notes something of the account.
    pub fn notes(&mut self, name: &str, value: Option<&str>) -> Vec<String> {
        let (answer, _) = oneshot::channel();
        self.perform(Task::Change {
            changes: vec![account::Change::SetAttribute {
                name: name.into(),
                value: value.map(str::to_owned),
            }],
            basis: None,
            answer,
        })
    }

    /// Binds a session that has asked for the roster and sent initial presence.
    pub fn online(&mut self, resource: &str) -> SessionId {
        let id = self.bind(resource);
        self.account_mut().session_mut(id).unwrap().is_interested = true;
        self.sends(resource, "<presence/>");
        id
    }

    /// Binds a session that sends this first.
    pub fn bind_and_send(&mut self, resource: &str, stanza: &str) -> Vec<String> {
        self.bind(resource);
        self.sends(resource, stanza)
    }

    /// The client with this resource sends a stanza.
    pub fn sends(&mut self, resource: &str, stanza: &str) -> Vec<String> {
        let jid = self.account().jid.with_resource(resource).unwrap();
        let found = self.account().session_by_jid(&jid).unwrap();
        self.perform(Task::Frame(Frame::FromClient {
            session: found.ring.key.clone(),
            attach: found.attach,
            number: found.ledger.received().wrapping_add(1),
            stanza: parse(stanza).from(jid),
            trace: None,
        }))
    }

    /// A stanza arrives for the account.
    pub fn gets(&mut self, stanza: &str) -> Vec<String> {
        self.gets_numbered(stanza, None)
    }

    /// The same, said once more by a sender who does not know what became of it.
    pub fn gets_again(&mut self, stanza: &str, id: u128) -> Vec<String> {
        self.is_repeated = true;
        let said = self.gets_numbered(stanza, Some(MessageId(id)));
        self.is_repeated = false;
        said
    }

    /// A stanza arrives for the account, with the number of a message.
    pub fn gets_numbered(&mut self, stanza: &str, id: Option<MessageId>) -> Vec<String> {
        let stanza = parse(stanza);
        let target = stanza.head.to.as_ref().unwrap().to_bare();
        self.perform(Task::Frame(Frame::Routed(Routed {
            target,
            stanza,
            receipt: None,
            id,
            is_repeated: self.is_repeated,
            trace: None,
        })))
    }

    /// The connection of the client with this resource breaks.
    pub fn loses(&mut self, resource: &str) -> Vec<String> {
        let (session, attach, _) = self.stream(resource);
        self.perform(Task::Frame(Frame::Detach {
            session,
            attach,
            how: Detached::Lost,
            acked: None,
        }))
    }

    /// The id of the server's last request to a client.
    pub fn asked(&self) -> &str {
        self.asked.as_ref().expect("a client was asked something")
    }

    /// The client with this resource answers the server's last request.
    pub fn answers(&mut self, resource: &str, payload: &str) -> Vec<String> {
        let id = self.asked.take().expect("the client was asked something");
        let answer = format!("<iq type='result' id='{id}'>{payload}</iq>");
        self.sends(resource, &answer)
    }

    /// All that was delivered to this resource is written to its connection.
    pub fn drains(&mut self, resource: &str) -> Vec<String> {
        let (session, attach, number) = self.stream(resource);
        self.perform(Task::Frame(Frame::Acked {
            session,
            attach,
            number,
        }))
    }

    /// The client with this resource has everything that it was sent.
    pub fn acknowledges(&mut self, resource: &str) -> Vec<String> {
        self.drains(resource)
    }

    /// What was put off is due now.
    pub fn alarms_ring(&mut self) -> Vec<String> {
        let alarms = std::mem::take(&mut self.alarms).into_iter();
        alarms
            .flat_map(|alarm| self.perform(Task::Alarm(alarm)))
            .collect()
    }

    /// A session, its stream, and the number of the last stanza it was sent.
    fn stream(&self, resource: &str) -> (SessionKey, Attach, u32) {
        let jid = self.account().jid.with_resource(resource).unwrap();
        let found = self.account().session_by_jid(&jid).unwrap();
        (found.ring.key.clone(), found.attach, found.ring.sent())
    }

    /// The account is removed.
    pub fn removed(&mut self) -> Vec<String> {
        let (answer, _) = oneshot::channel();
        self.perform(Task::Remove(answer))
    }
}

/// A stanza as a test writes it, without its namespace.
pub fn parse(stanza: &str) -> Stanza {
    let end = stanza.find([' ', '/', '>']).unwrap();
    let end = if stanza[..end].len() > 1 {
        end
    } else {
        stanza.len()
    };
    let whole = format!("{} xmlns='jabber:client'{}", &stanza[..end], &stanza[end..]);
    Stanza::parse(Bytes::from(whole)).unwrap_or_else(|error| panic!("{stanza}: {error}"))
}

/// A request of the server has an id that nobody can guess; in a test it is
/// `push`.
fn predictable(mut stanza: Stanza) -> Stanza {
    stanza.head.id = Some("push".into());
    stanza
}

/// The store in memory is never waited for.
fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("nothing waits in a scene")
}
