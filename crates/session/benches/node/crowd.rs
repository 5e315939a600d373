//! One account whose contacts are all online at the same node.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use starling_link::SessionKey;
use starling_store::roster::{Change, Item, Subscription};
use starling_store::{Memory, Stamp, Write};
use starling_xmpp::Stanza;

use super::{Alone, bind, jid, register};

const USER: &str = "romeo@localhost";

/// The account, and the one session of it.
pub(crate) struct Crowd {
    alone: Alone,
    user: SessionKey,
    number: AtomicU32,
    contacts: usize,
}

impl Crowd {
    pub(crate) fn start(contacts: usize) -> Self {
        let names: Vec<String> = (0..contacts)
            .map(|number| format!("contact{number}@localhost"))
            .collect();
        let alone = Alone::start(Memory::default());
        let mut seq = 0;
        let mut writes = Vec::new();
        for name in &names {
            for (owner, contact) in [(USER, name.as_str()), (name.as_str(), USER)] {
                seq += 1;
                let mut item = Item::new(jid(contact).into());
                item.subscription = Subscription::Both;
                writes.push(Write::new(
                    jid(owner),
                    Stamp::new(0, seq),
                    Change::Put(item),
                ));
            }
        }
        let user = alone.runtime.block_on(async {
            // Rosters are read when accounts are loaded: with the first session.
            for name in names.iter().map(String::as_str).chain([USER]) {
                register(&alone, name).await;
            }
            alone.engine.env().store.commit(writes).await.unwrap();
            for name in &names {
                let (contact, _) = bind(&alone, name).await;
                alone.say(&contact, 1, parse("<presence xmlns='jabber:client'/>"));
            }
            bind(&alone, USER).await.0
        });
        let crowd = Self {
            alone,
            user,
            number: AtomicU32::new(0),
            contacts,
        };
        crowd.change_presence(false);
        crowd
    }

    /// From the user to every contact.
    pub(crate) fn change_presence(&self, is_away: bool) {
        let show = if is_away { "<show>away</show>" } else { "" };
        self.alone.expect(self.contacts);
        self.say(&format!(
            "<presence xmlns='jabber:client'>{show}</presence>"
        ));
        self.alone.work();
    }

    /// What every client does that comes back without knowing a version.
    pub(crate) fn ask_roster(&self) {
        self.alone.expect(1);
        self.say(
            "<iq xmlns='jabber:client' type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>",
        );
        self.alone.work();
    }

    fn say(&self, stanza: &str) {
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        self.alone.say(&self.user, number, parse(stanza));
    }
}

fn parse(stanza: &str) -> Stanza {
    Stanza::parse(Bytes::copy_from_slice(stanza.as_bytes())).unwrap()
}
