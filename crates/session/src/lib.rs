//! The engine of a session node: it owns shards, and a shard owns accounts.
//!
//! A stanza reaches [`Engine`] as a [`starling_link::Frame`], goes to the one
//! worker that owns its shard, finds its account, and is taken through the
//! named [`Phase`]s. Features only look and push effects; the worker makes the
//! durable ones durable and only then releases the rest.
//!
//! RFC 6121 lives here, because presence and delivery are routing. No XEP
//! does: those are [`Feature`]s, handed in by whoever builds the engine.

mod account;
mod bind;
mod came;
mod clock;
mod commit;
mod component;
mod config;
mod ctx;
mod delivery;
mod effects;
mod ended;
mod engine;
mod entry_id;
mod env;
pub mod failpoint;
mod feature;
mod hosts;
mod inbound;
mod iq;
mod management;
mod metrics;
mod outbound;
mod outbox;
mod outgoing;
mod own_fence;
mod password;
mod pending;
mod pipeline;
pub mod presence;
mod reattach;
mod recent;
mod registry;
mod reject;
mod returned;
mod ring;
pub mod roster;
mod router;
mod sent;
mod session;
mod shard;
mod slots;
mod source;
pub mod subscription;
mod summary;
mod takeover;
mod tasks;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod work;
mod worker;

pub use account::{Account, LastSeen, Lasting};
pub use clock::{Clock, ManualClock, SystemClock};
pub use component::Component;
pub use config::Config;
pub use ctx::{Ctx, Kept, Origin, Place};
pub use delivery::Targets;
pub use engine::{Engine, Parts};
pub use entry_id::EntryIds;
pub use env::{Env, Software};
pub use feature::{
    BoxFuture, Event, EventKind, Feature, Hook, Manifest, Outcome, Phase, Side, Spec, To,
};
pub use hosts::{Host, Hosts};
pub use metrics::describe as describe_metrics;
pub use own_fence::{OwnFence, Peers};
pub use password::PasswordDeriver;
pub use presence::Availability;
pub use registry::Registry;
pub use ring::{Hold, Holder};
pub use session::Session;
pub use slots::Slots;
pub use starling_link::{MessageId, SessionId};
