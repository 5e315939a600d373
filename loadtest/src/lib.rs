//! `loadtest`: what an XMPP server costs and how fast it is, for any server.
//!
//! - [`cli`]: the commands.
//! - `scenario`, `target`: what is to be done, and to whom.
//! - `run`: one run: `run/crew.rs` the worker processes, `run/watch.rs` the
//!   processes under observation; `worker`: what a worker process does.
//! - `load`: what clients do, one kind a file.
//! - `session`, `negotiate`, `route`, `scram`, `tls`, `connection`, `scan`: a client.
//! - `mark`, `pace`, `timer`, `clock`: what is sent when, and how it is known.
//! - `record`, `histogram`, `process`, `gauges`: what is measured.
//! - `report`, `html`, `progress`: how it is told.
//! - `compare`: several servers side by side, and clusters of Starling beside one
//!   node; `relay`: the floor below them.
//!
//! It knows no server from within: nothing of Starling's is used but in tests,
//! and `testkit` to start the etcd and the database that clusters stand on.

pub mod cli;
mod clock;
mod compare;
mod connection;
mod gauges;
mod histogram;
mod html;
mod load;
mod mark;
mod negotiate;
mod pace;
mod process;
mod progress;
mod record;
mod relay;
mod report;
mod route;
mod run;
mod scan;
mod scenario;
mod scram;
mod session;
mod target;
mod timer;
mod tls;
mod worker;
