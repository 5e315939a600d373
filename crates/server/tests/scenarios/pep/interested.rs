//! A client that says by its capabilities what it wants to hear of (XEP-0163
//! §4.3.2, XEP-0115), and answers who asks for them.

use starling_testkit::element::Node;
use starling_testkit::{Client, Element, World, anything, caps, ns};

use super::EVENT;

/// A client that wants to hear of a node: what it announces, and what it says
/// when it is asked. Each has a hash of its own, so that each is asked.
pub(crate) struct Interested {
    pub(crate) presence: String,
    info: String,
}

impl Interested {
    pub(crate) fn new(world: &World, node: &str) -> Self {
        let name = world.unique("client");
        let feature = format!("{node}+notify");
        let info = format!(
            "<query xmlns='{}'><identity category='client' type='pc' name='{name}'/>\
             <feature var='{feature}'/></query>",
            ns::DISCO_INFO
        );
        let identity = [("category", "client"), ("type", "pc"), ("name", &name)];
        let query = Element {
            nodes: vec![
                said("identity", &identity),
                said("feature", &[("var", &feature)]),
            ],
            ..Element::default()
        };
        let ver = caps::verification_string(&query);
        let presence = format!(
            "<presence><c xmlns='{}' hash='sha-1' node='https://client.example' ver='{ver}'/></presence>",
            ns::CAPS
        );
        Self { presence, info }
    }

    /// The client comes, and its own account knows what it wants to hear of.
    pub(crate) async fn arrive(&self, client: &mut Client) {
        client.send(&self.presence).await;
        loop {
            let asked = client
                .find(anything().that("a question", is_question))
                .await;
            self.answer(client, &asked).await;
            if asked.from() == Some(client.bare().as_str()) {
                break;
            }
        }
        client.settle().await;
    }

    async fn answer(&self, client: &mut Client, asked: &Element) {
        let (id, to) = (asked.need_attr("id"), asked.need_attr("from"));
        let info = &self.info;
        let answer = format!("<iq type='result' id='{id}' to='{to}'>{info}</iq>");
        client.send(answer).await;
    }

    /// The next event that the client gets; whoever asks meanwhile what it can
    /// is told.
    pub(crate) async fn event(&self, client: &mut Client) -> Element {
        let is_expected = |got: &Element| is_event(got) || is_question(got);
        loop {
            let got = client.find(anything().that("an event", is_expected)).await;
            if is_event(&got) {
                return got;
            }
            self.answer(client, &got).await;
        }
    }
}

/// A child of what a client says that it can.
fn said(name: &str, attributes: &[(&str, &str)]) -> Node {
    let attributes = attributes.iter();
    Node::Element(Element {
        ns: ns::DISCO_INFO.to_owned(),
        name: name.to_owned(),
        attributes: attributes
            .map(|(name, value)| (String::new(), (*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..Element::default()
    })
}

pub(super) fn is_event(got: &Element) -> bool {
    got.child(EVENT, "event").is_some()
}

fn is_question(got: &Element) -> bool {
    got.attr("type") == Some("get") && got.child(ns::DISCO_INFO, "query").is_some()
}
