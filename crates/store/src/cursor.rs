//! How far the log has been delivered: one cursor for the account's offline
//! messages and one per device. When a cursor moves is for features to say.

use std::collections::BTreeMap;

use async_trait::async_trait;
use smol_str::SmolStr;
use starling_xmpp::jid::BareJid;

use crate::{Error, Position};

/// Every cursor of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursors {
    /// Offline entries up to and including this one are delivered (XEP-0160).
    pub offline: Option<Position>,
    /// Entries up to and including this one are known to have arrived at a
    /// client, or wait and are marked so. What came in later and does not wait
    /// was on its way to a session when this was written.
    pub delivered: Option<Position>,
    /// The last entry each device has acknowledged.
    pub devices: BTreeMap<SmolStr, Position>,
}

impl Cursors {
    /// Where reading offline entries begins.
    #[must_use]
    pub fn offline_or_start(&self) -> Position {
        self.offline.unwrap_or(Position::START)
    }

    /// Where looking for what was on its way begins.
    #[must_use]
    pub fn delivered_or_start(&self) -> Position {
        self.delivered.unwrap_or(Position::START)
    }

    /// Does to this value what the store does to its rows.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::SetOffline(position) => self.offline = Some(*position),
            Change::SetDelivered(position) => self.delivered = Some(*position),
            Change::SetDevice { device, position } => {
                self.devices.insert(device.clone(), *position);
            }
            Change::RemoveDevice { device } => {
                self.devices.remove(device);
            }
        }
    }
}

/// What happens to cursors. The owner sees to it that none goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Moves the account's offline cursor.
    SetOffline(Position),
    /// Moves the account's cursor of what has arrived.
    SetDelivered(Position),
    /// Moves a device's cursor.
    SetDevice {
        /// The device, by a name that is stable over its sessions.
        device: SmolStr,
        /// The last entry it has acknowledged.
        position: Position,
    },
    /// Forgets a device.
    RemoveDevice {
        /// The device.
        device: SmolStr,
    },
}

/// Reads of cursors.
#[async_trait]
pub trait Read: Send + Sync {
    /// All cursors of an account.
    async fn cursors(&self, owner: &BareJid) -> Result<Cursors, Error>;
}
