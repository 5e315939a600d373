//! Scenarios: scripted clients against whole servers, one file per RFC area or XEP.
//!
//! A scenario is a function over a [`World`](starling_testkit::World) and does
//! not know how many nodes there are. `scenarios!` runs it in every world; a
//! function that is missing from its list does not compile without a warning.
//! Scenarios that need a process to kill or a command line start their own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

/// Runs scenarios of this file in every world.
macro_rules! scenarios {
    ($($scenario:ident),+ $(,)?) => {
        mod embedded {
            $(
                #[tokio::test]
                async fn $scenario() {
                    super::$scenario($crate::world::embedded()).await;
                }
            )+
        }
    };
}

mod blocking;
mod caps;
mod carbons;
mod cli;
mod configured;
mod delivery;
mod disco;
mod durability;
mod external;
mod hosts;
mod installed;
mod mam;
mod monitoring;
mod offline;
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
mod stream_management;
mod subscription;
mod subscription_tables;
mod traces;
mod world;
