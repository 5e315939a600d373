//! A program with an XMPP server inside, which has a feature and a service of
//! its own. Run it: `cargo run -p starling-server --example embed`.
#![allow(clippy::print_stdout, reason = "it is run by hand")]

use std::future::ready;
use std::sync::Arc;

use starling_server::{Config, Node};
use starling_session::{BoxFuture, Component, Ctx, Feature, Hook, Manifest, Outcome, Spec, To};
use starling_xmpp::{BareJid, Element, Kind, Stanza, Type};

/// A namespace of our own.
const NS: &str = "urn:example:greeting";

const MANIFEST: Manifest = Manifest {
    spec: Spec::Own("greeting"),
    version: "1.0.0",
    disco: &[NS],
    disco_account: &[],
};

const HOOKS: &[Hook] = &[Hook::iq_get(To::Host, NS, "greeting")];

/// Answers a request to the host.
struct Greeting;

impl Feature for Greeting {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn handle<'a>(&'a self, request: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        let answer = Element::new(NS, "greeting").text("Well met!");
        ctx.send(request.result_with(&answer));
        Box::pin(ready(Outcome::Done))
    }
}

/// Sends every message back to where it came from.
struct Echo;

impl Component for Echo {
    fn receive(&self, stanza: Stanza, replies: &mut Vec<Stanza>) {
        let is_error = stanza.head.type_ == Type::Error;
        if stanza.head.kind == Kind::Message && !is_error {
            let mut echo = stanza;
            std::mem::swap(&mut echo.head.from, &mut echo.head.to);
            replies.push(echo);
        }
    }
}

/// Starts the node. Nothing is special about `config`: `Config::default()` is
/// that of an empty file.
pub(crate) async fn start(config: Config, data: &str) -> anyhow::Result<Node> {
    Node::builder()
        .config(config)
        .data(data)
        .feature(Greeting)
        .component(BareJid::parse("echo.localhost")?, Arc::new(Echo))
        .start()
        .await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let node = start(Config::default(), "data").await?;
    // From the second run on she is there already.
    if let Err(why) = node.add_user("alice@localhost", "secret").await {
        println!("{why}");
    }
    println!("alice@localhost can log in, and write to echo.localhost");
    tokio::signal::ctrl_c().await?;
    node.stop().await
}
