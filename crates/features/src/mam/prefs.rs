//! XEP-0441: what a user wants archived, by the other side of a message. Kept
//! as an attribute of the account, in the form in which clients see it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use starling_session::Ctx;
use starling_store::account::Change;
use starling_xmpp::{Condition, Element, Jid, StanzaError, ns};

/// The account attribute.
const ATTRIBUTE: &str = "archive.prefs";

/// Octets of both lists as they are stored: some hundreds of addresses.
const STORED_BYTES_MAX: usize = 64 * 1024;

/// §2.1.1: what is archived of what neither list names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All messages.
    #[default]
    Always,
    /// None.
    Never,
    /// Those exchanged with contacts.
    Roster,
}

impl Scope {
    const ALL: [Self; 3] = [Self::Always, Self::Never, Self::Roster];

    fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Never => "never",
            Self::Roster => "roster",
        }
    }
}

/// What a user has set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Prefs {
    default: Scope,
    always: Vec<Jid>,
    never: Vec<Jid>,
}

impl Prefs {
    fn of(default: Scope) -> Self {
        Self {
            default,
            ..Self::default()
        }
    }

    fn from_element(element: &Element) -> Result<Self, StanzaError> {
        let name = element.attribute("default");
        let default = Scope::ALL
            .into_iter()
            .find(|scope| Some(scope.name()) == name);
        let Some(default) = default else {
            return Err(StanzaError::new(Condition::BadRequest)
                .text("default is \"always\", \"never\" or \"roster\""));
        };
        let list = |name| -> Result<Vec<Jid>, StanzaError> {
            // §2.1.2, §2.1.3: a list that is missing is empty.
            let Some(list) = element.get(ns::MAM, name) else {
                return Ok(Vec::new());
            };
            let jids = list.children().filter(|child| child.is(ns::MAM, "jid"));
            let jids = jids.map(|jid| Jid::parse(jid.text_content().trim()));
            jids.collect::<Result<_, _>>()
                .map_err(|_| StanzaError::new(Condition::JidMalformed))
        };
        Ok(Self {
            default,
            always: list("always")?,
            never: list("never")?,
        })
    }

    fn to_element(&self) -> Element {
        let list = |name, jids: &[Jid]| {
            let jids = jids.iter().map(Jid::as_str);
            let jids = jids.map(|jid| Element::new(ns::MAM, "jid").text(jid));
            Element::new(ns::MAM, name).with_children(jids)
        };
        Element::new(ns::MAM, "prefs")
            .attr("default", self.default.name())
            .child(list("always", &self.always))
            .child(list("never", &self.never))
    }
}

/// §2: what is in force.
pub(super) fn get(default: Scope, ctx: &mut Ctx) -> Element {
    load(ctx);
    let prefs = ctx.account.slots.get::<Prefs>();
    prefs.map_or_else(|| Prefs::of(default).to_element(), Prefs::to_element)
}

/// §2: replaces all of it.
pub(super) fn set(asked: &Element, ctx: &mut Ctx) -> Result<Element, StanzaError> {
    crate::check_stored(ctx)?;
    let prefs = Prefs::from_element(asked)?;
    let answer = prefs.to_element();
    let stored = String::from_utf8_lossy(&answer.to_bytes()).into_owned();
    if stored.len() > STORED_BYTES_MAX {
        return Err(
            StanzaError::new(Condition::ResourceConstraint).text(format!(
                "both lists together have at most {STORED_BYTES_MAX} bytes"
            )),
        );
    }
    ctx.account.slots.set(prefs);
    ctx.write(Change::SetAttribute {
        name: ATTRIBUTE.into(),
        value: Some(stored),
    });
    Ok(answer)
}

/// Whether the user wants what is exchanged with this address archived.
pub(super) fn admits(default: Scope, peer: &Jid, ctx: &mut Ctx) -> bool {
    load(ctx);
    let prefs = ctx.account.slots.get::<Prefs>();
    // §3: an entry without a resource stands for all of them.
    let names = |jids: &[Jid]| {
        let mut jids = jids.iter();
        jids.any(|jid| {
            if jid.is_full() {
                jid == peer
            } else {
                jid.is_same_bare(peer)
            }
        })
    };
    if let Some(prefs) = prefs {
        // Not keeping is what protects somebody, so it has the last word.
        if names(&prefs.never) {
            return false;
        }
        if names(&prefs.always) {
            return true;
        }
    }
    match prefs.map_or(default, |prefs| prefs.default) {
        Scope::Always => true,
        Scope::Never => false,
        Scope::Roster => {
            let items = &ctx.account.roster.items;
            let item = items.get(peer.to_bare().as_jid());
            ctx.account.is_self(peer) || item.is_some_and(|item| item.is_listed)
        }
    }
}

/// Reads what is stored, once for as long as the account stays loaded.
fn load(ctx: &mut Ctx) {
    let account = &mut ctx.account;
    let Some(stored) = account.attributes.get(ATTRIBUTE) else {
        return;
    };
    if account.slots.get::<Prefs>().is_some() {
        return;
    }
    let prefs = Element::parse(stored.as_bytes()).ok();
    let prefs = prefs.and_then(|prefs| Prefs::from_element(&prefs).ok());
    let prefs = prefs.unwrap_or_else(|| {
        tracing::error!(
            account = %account.jid,
            "what a user wants archived cannot be read; until it is set again nothing is archived"
        );
        Prefs::of(Scope::Never)
    });
    account.slots.set(prefs);
}
