//! Clients by other hands on a cluster, each through one port before all edges,
//! so that its users meet at different ones.
//!
//! On one node they are steps of `cargo xtask test`, which installs them and
//! tells here where they are; alone these tests check nothing and say so.

use std::io::Write as _;
use std::time::Duration;

use starling_testkit::Account;
use starling_testkit::balancer::Balancer;
use tokio::process::Command;
use tokio::time::timeout;

use crate::shared::HOSTS;
use crate::world::{Kind, kind, world};

/// The users that the scripts know, as in `crates/xtask/src/node.rs`.
const USERS: [&str; 6] = ["romeo", "juliet", "mercutio", "benvolio", "nurse", "tybalt"];
const PASSWORD: &str = "Call me but love";

/// A bound on failure: the scripts have bounds of their own.
const DEADLINE: Duration = Duration::from_secs(600);

#[tokio::test]
async fn slixmpp_does_not_see_that_there_are_several_nodes() {
    run("STARLING_TEST_SLIXMPP", HOSTS.main).await;
}

#[tokio::test]
async fn xmpp_js_does_not_see_that_there_are_several_nodes() {
    run("STARLING_TEST_XMPP_JS", HOSTS.other).await;
}

/// Runs the command that a variable holds, one word a line, with the users of a
/// host, which no other client has.
#[expect(
    clippy::disallowed_methods,
    reason = "tests have no configuration but the environment"
)]
async fn run(variable: &str, host: &str) {
    let words = match std::env::var(variable) {
        Ok(words) if kind() == Kind::Cluster => words,
        _ => {
            let _ = writeln!(std::io::stderr(), "left out: {variable} names no client");
            return;
        }
    };
    for user in USERS {
        let account = Account {
            user: user.to_owned(),
            host: host.to_owned(),
            password: PASSWORD.to_owned(),
        };
        world().create(&account).await;
    }
    let entrances = world().entrances();
    let starttls = entrances.iter().map(|entrance| entrance.starttls);
    let starttls = Balancer::before(starttls.collect()).await;
    let tls = entrances.iter().map(|entrance| entrance.tls);
    let tls = Balancer::before(tls.collect()).await;
    let mut words = words.lines();
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .env("XMPP_HOST", host)
        .env("XMPP_STARTTLS_PORT", starttls.address().port().to_string())
        .env("XMPP_TLS_PORT", tls.address().port().to_string())
        .env("XMPP_PASSWORD", PASSWORD)
        .kill_on_drop(true);
    let output = timeout(DEADLINE, command.output()).await.unwrap().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let _ = writeln!(std::io::stderr(), "{out}");
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.trim_end().ends_with(" 0 failed"), "{out}\n{err}");
}
