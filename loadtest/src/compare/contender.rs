//! Which servers there are, and what each can do.

use anyhow::Result;
use clap::ValueEnum;

use super::common::Wants;
use super::server::{Ground, Server};
use super::{ejabberd, prosody, relay, starling};
use crate::load::Load;
use crate::scenario::{Mechanism, Scenario};

/// A server to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contender {
    Starling,
    Prosody,
    Ejabberd,
    /// Bytes from one TLS connection to another.
    Relay,
}

/// A server as it is set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) contender: Contender,
    /// Whether users' messages are archived (XEP-0313).
    pub(super) archive: bool,
}

impl Contender {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Starling => "starling",
            Self::Prosody => "prosody",
            Self::Ejabberd => "ejabberd",
            Self::Relay => "relay",
        }
    }

    /// Whether archives mean nothing to it.
    pub(super) fn has_one_setting(self) -> bool {
        self == Self::Relay
    }

    /// Whether it can do what the scenario asks.
    pub(super) fn can(self, scenario: &Scenario) -> bool {
        let is_starling = self == Self::Starling;
        let has_mechanism = match scenario.login.mechanism {
            Mechanism::ScramSha1 => true,
            // The accounts that are made have verifiers of SHA-1 alone.
            Mechanism::ScramSha256 => false,
            Mechanism::Sasl2 | Mechanism::Fast => is_starling,
        };
        let can_load = |load: &Load| match load {
            Load::Chat(chat) => self != Self::Relay || chat.is_for_relays(),
            Load::Room(_) | Load::Pubsub(_) => matches!(self, Self::Prosody | Self::Ejabberd),
            _ => self != Self::Relay,
        };
        let has_rosters = self != Self::Relay || scenario.login.roster_entries == 0;
        has_mechanism && has_rosters && scenario.load.iter().all(can_load)
    }
}

impl Setting {
    /// What it is called in reports.
    pub(super) fn label(self, scenario: &Scenario) -> String {
        let name = self.contender.name();
        if scenario.compare.archive.len() < 2 || self.contender.has_one_setting() {
            return name.to_owned();
        }
        format!(
            "{name}, archive {}",
            if self.archive { "on" } else { "off" }
        )
    }

    pub(super) async fn start(self, ground: &Ground, wants: Wants) -> Result<Server> {
        let users = wants.users;
        match self.contender {
            Contender::Starling => starling::start(ground, wants, self.archive).await,
            Contender::Prosody => prosody::start(ground, users, self.archive).await,
            Contender::Ejabberd => ejabberd::start(ground, users, self.archive).await,
            Contender::Relay => relay::start(ground).await,
        }
    }
}
