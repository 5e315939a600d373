//! Rooms (XEP-0045): one occupant writes, every occupant gets a copy. For
//! servers that have rooms.

use std::rc::Rc;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::crowd::Crowd;
use super::group::{Groups, Member, Names, Pace};
use super::{Prepared, RATE_MAX, Share};
use crate::clock::now;
use crate::mark::{self, Template, filler};
use crate::scan;
use crate::scenario::Mistakes;
use crate::session::{Session, condition};
use crate::worker::Worker;

pub(super) const WORK: &str = "copies";
const ROOMS_MAX: u64 = 10_000;
const OCCUPANTS_MAX: u64 = 20_000;
const WINDOW_MAX: u32 = 10_000;
const BODY_BYTES_MAX: usize = 100_000;

/// Rooms of the same size.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Room {
    rooms: u64,
    occupants: u64,
    /// Messages a second of all rooms. Without it: as fast as the window lets.
    rate: Option<f64>,
    /// Messages of a room that may be on their way at a time, without a rate.
    #[serde(default = "one")]
    window: u32,
    #[serde(default = "body_bytes")]
    body_bytes: usize,
    /// Whether servers may keep messages.
    #[serde(default)]
    store: bool,
    /// Where rooms are; {} stands for the host.
    #[serde(default = "service")]
    service: String,
}

fn one() -> u32 {
    1
}

fn body_bytes() -> usize {
    100
}

fn service() -> String {
    "conference.{}".to_owned()
}

impl Room {
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        mistakes.range("room.rooms", self.rooms, 1, ROOMS_MAX);
        mistakes.range("room.occupants", self.occupants, 2, OCCUPANTS_MAX);
        mistakes.range("room.rate", self.rate.unwrap_or(1.0), 0.001, RATE_MAX);
        mistakes.range("room.window", self.window, 1, WINDOW_MAX);
        mistakes.range(
            "room.body_bytes",
            self.body_bytes,
            mark::BYTES,
            BODY_BYTES_MAX,
        );
    }

    pub(super) fn users(&self) -> u64 {
        self.rooms.saturating_mul(self.occupants)
    }

    pub(super) async fn prepare(
        &self,
        worker: &Rc<Worker>,
        share: Share,
        first: u64,
    ) -> Result<Prepared> {
        let rooms: Vec<u64> = share.units(self.rooms).collect();
        let occupants = self.occupants;
        let service = self.service.replace("{}", &worker.target.host);
        // Another name in each run: rooms may outlive one.
        let run = format!("{:x}", now());
        let name = move |room: u64| format!("loadtest-{run}-{room}@{service}");
        let opened: Rc<Vec<_>> =
            Rc::new((0..self.rooms).map(|_| watch::channel(false).0).collect());
        let of = name.clone();
        let set_up = async move |session: &mut Session| {
            let (room, place) = (
                (session.user - first) / occupants,
                (session.user - first) % occupants,
            );
            let opened = &opened[usize::try_from(room)?];
            if place > 0 {
                opened.subscribe().wait_for(|opened| *opened).await?;
                return join(session, &of(room)).await;
            }
            let entered = enter(session, &of(room)).await;
            // Those who wait find out by themselves what went wrong.
            opened.send_replace(true);
            entered
        };
        let users = Groups::users(&rooms, occupants, first);
        let groups = Groups {
            crowd: Crowd::gather(worker, users, set_up).await,
            size: occupants,
            pace: Pace {
                rate: self.rate.map(|rate| rate / self.rooms as f64),
                window: self.window,
            },
            names: Names {
                work: WORK,
                series: "copy",
            },
            numbers: rooms,
        };
        let (load, worker) = (self.clone(), Rc::clone(worker));
        Ok(Box::new(move |phases| {
            let members = move |room, sessions| load.members(sessions, &name(room));
            Box::pin(groups.run(worker, members, phases))
        }))
    }

    fn members(&self, sessions: Vec<Session>, room: &str) -> Vec<Member> {
        let hint = if self.store {
            ""
        } else {
            "<no-store xmlns='urn:xmpp:hints'/>"
        };
        let filler = filler(self.body_bytes);
        let template = || {
            Template::new(
                &format!("<message to='{room}' type='groupchat' id='r'><body>"),
                &format!("{filler}</body>{hint}</message>"),
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

/// Opens a room with what the server thinks right (§10.1.2).
async fn enter(session: &mut Session, room: &str) -> Result<()> {
    join(session, room).await?;
    let accept = format!(
        "<iq type='set' id='owner' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
         <x xmlns='jabber:x:data' type='submit'/></query></iq>"
    );
    session.send(accept.as_bytes());
    session.answer("owner").await?;
    Ok(())
}

async fn join(session: &mut Session, room: &str) -> Result<()> {
    let nick = session.user;
    let join = format!(
        "<presence to='{room}/n{nick}'><x xmlns='http://jabber.org/protocol/muc'>\
         <history maxstanzas='0'/></x></presence>"
    );
    session.send(join.as_bytes());
    let from = format!("{room}/n{nick}");
    let is_own = |element: &[u8]| {
        element.starts_with(b"<presence")
            && scan::attribute(element, "from") == Some(from.as_bytes())
            || scan::attribute(element, "type") == Some(b"error")
    };
    let presence = session.find(is_own).await?;
    if scan::attribute(&presence, "type") == Some(b"error") {
        let error = scan::child(&presence, "error").unwrap_or_default();
        bail!("the room cannot be entered: {}", condition(error));
    }
    Ok(())
}
