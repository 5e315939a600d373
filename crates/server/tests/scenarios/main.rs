//! Scenarios: scripted clients against whole servers, one file per RFC area or XEP.
//!
//! A scenario is a function over a [`World`](starling_testkit::World) and does
//! not know how many nodes there are. `scenarios!` runs it in the world that is
//! asked for; a function that is missing from its list does not compile without
//! a warning. Scenarios that need a process to kill or a command line start their
//! own, which is a cluster where the world is one (`installed.rs`). What means
//! nothing there is left out by name (`one_node.rs`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    dead_code,
    reason = "tests panic on failure; parts of the shared files are not used here"
)]

/// Runs scenarios of this file in the world that is asked for.
macro_rules! scenarios {
    ($($scenario:ident),+ $(,)?) => {
        mod in_world {
            $(
                #[tokio::test]
                async fn $scenario() {
                    super::$scenario($crate::world::world()).await;
                }
            )+
        }
    };
}

mod blocking;
mod caps;
mod carbons;
mod cli;
mod clients;
mod configured;
mod conversations;
mod delivery;
mod disco;
mod durability;
mod external;
mod hosts;
mod installed;
mod mam;
mod mds;
mod monitoring;
mod offline;
mod one_node;
mod pep;
mod ping_version_time_last;
mod presence;
mod private_vcard;
mod register;
mod rfc6120_stanzas;
mod rfc6120_streams;
mod roster;
mod sasl;
mod sasl2_bind2_fast;
mod sasl_upgrade;
#[path = "../shared/mod.rs"]
mod shared;
mod stream_management;
mod subscription;
mod subscription_tables;
mod traces;
mod ways;
mod world;
