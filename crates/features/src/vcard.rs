//! XEP-0054: vcard-temp, version 1.3.0, and the server's part of XEP-0153:
//! vCard-Based Avatars, version 1.1.1.
//!
//! A vCard is bytes to us, but for its photo: its hash goes into the presence
//! of clients that do not speak of it themselves, so that contacts learn of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest as _, Sha1};
use starling_session::{BoxFuture, Ctx, Feature, Hook, Manifest, Outcome, Phase, Side, Spec, To};
use starling_store::{account, vcard};
use starling_xmpp::{Condition, Element, Stanza, StanzaError, Type, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(54),
    version: "1.3.0",
    // Older clients look for it at the host (XEP-0054 §4).
    disco: &[ns::VCARD],
    disco_account: &[ns::VCARD],
};

const HOOKS: &[Hook] = &[
    Hook::iq_get(To::Account, ns::VCARD, "vCard"),
    Hook::iq_set(To::Own, ns::VCARD, "vCard"),
    Hook::presence(Side::Sender, Phase::Stamp),
];

/// The account attribute that holds the hash of the photo, so that presence
/// needs no read.
const PHOTO_HASH: &str = "vcard.photo";

pub(crate) struct VCard;

impl Feature for VCard {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn handle<'a>(&'a self, iq: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            if iq.head.type_ == Type::Set {
                return set(iq, ctx);
            }
            match get(iq, ctx).await {
                Ok(card) => {
                    ctx.send(iq.result_with(&card));
                    Outcome::Done
                }
                Err(error) => Outcome::Reject(error),
            }
        })
    }

    /// XEP-0153 §4.1: a client that says nothing of its avatar cannot know it;
    /// one that says anything, even that it does not know yet, is left alone.
    fn presence(&self, _phase: Phase, presence: &mut Stanza, ctx: &mut Ctx) -> Outcome {
        if presence.head.type_ != Type::Available || presence.has(ns::VCARD_UPDATE, "x") {
            return Outcome::Pass;
        }
        let Some(hash) = ctx.account.attributes.get(PHOTO_HASH) else {
            return Outcome::Pass;
        };
        let photo = Element::new(ns::VCARD_UPDATE, "photo").text(hash);
        presence.push(&Element::new(ns::VCARD_UPDATE, "x").child(photo));
        Outcome::Pass
    }
}

/// §3.2: the whole card is replaced.
fn set(iq: &Stanza, ctx: &mut Ctx) -> Outcome {
    let Some(card) = iq.first_payload().map(|payload| payload.element()) else {
        return Outcome::Reject(StanzaError::new(Condition::BadRequest));
    };
    let photo = photo_hash(&card);
    match &photo {
        Some(hash) => ctx
            .account
            .attributes
            .insert(PHOTO_HASH.into(), hash.clone()),
        None => ctx.account.attributes.remove(PHOTO_HASH),
    };
    ctx.write(vcard::Change::Put(card.to_bytes()));
    ctx.write(account::Change::SetAttribute {
        name: PHOTO_HASH.into(),
        value: photo,
    });
    ctx.send(iq.result());
    Outcome::Done
}

/// §3.3: a stranger learns the same of a user without a card as of no user.
async fn get(iq: &Stanza, ctx: &Ctx) -> Result<Element, StanzaError> {
    let is_own = iq
        .head
        .from
        .as_ref()
        .is_some_and(|from| ctx.account.is_self(from));
    let owner = ctx.account.jid.clone();
    let stored = ctx.store().await.vcard(&owner).await;
    let stored = stored.map_err(|error| crate::unreadable(&owner, &error))?;
    match stored.and_then(|bytes| Element::parse(&bytes).ok()) {
        Some(card) => Ok(card),
        // §3.1: one's own card that was never set is an empty one.
        None if is_own => Ok(Element::new(ns::VCARD, "vCard")),
        None => Err(StanzaError::new(Condition::ServiceUnavailable)),
    }
}

/// XEP-0153 §3: the SHA-1 of the decoded photo, in hexadecimal.
fn photo_hash(card: &Element) -> Option<String> {
    let photo = card
        .get(ns::VCARD, "PHOTO")?
        .child_text(ns::VCARD, "BINVAL")?;
    let base64: String = photo.split_whitespace().collect();
    let image = BASE64
        .decode(base64)
        .ok()
        .filter(|image| !image.is_empty())?;
    Some(
        Sha1::digest(image)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_of_the_image_and_not_of_its_encoding() {
        // XEP-0153 §3: SHA-1 of "abc", whose base64 may be broken over lines.
        let binval = Element::new(ns::VCARD, "BINVAL").text("YW\n Jj");
        let photo = Element::new(ns::VCARD, "PHOTO").child(binval);
        let card = Element::new(ns::VCARD, "vCard").child(photo);
        let hash = photo_hash(&card);
        assert_eq!(
            hash.as_deref(),
            Some("a9993e364706816aba3e25717850c26c9cd0d89d")
        );
    }

    #[test]
    fn a_photo_that_is_elsewhere_or_broken_has_no_hash() {
        let card = |photo: Element| Element::new(ns::VCARD, "vCard").child(photo);
        let photo = || Element::new(ns::VCARD, "PHOTO");
        let elsewhere = photo().child(Element::new(ns::VCARD, "EXTVAL").text("http://a"));
        let broken = photo().child(Element::new(ns::VCARD, "BINVAL").text("***"));
        assert_eq!(photo_hash(&card(elsewhere)), None);
        assert_eq!(photo_hash(&card(broken)), None);
    }
}
