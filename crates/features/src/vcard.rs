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

const ALSO: &[Manifest] = &[Manifest {
    spec: Spec::Xep(153),
    version: "1.1.1",
    disco: &[],
    disco_account: &[],
}];

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

    fn also(&self) -> &'static [Manifest] {
        ALSO
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
    if let Err(error) = crate::check_stored(ctx) {
        return Outcome::Reject(error);
    }
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
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use starling_session::testing::Scene;

    use super::*;
    use crate::testing::{check, check_from_romeo, juliet, nobody, only};

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

    const CARD: &str = "<vCard xmlns='vcard-temp'><FN>Juliet</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>YWJj</BINVAL></PHOTO></vCard>";
    const NONE: &str = "<vCard xmlns='vcard-temp'/>";
    const SHOWN: &str = "<x xmlns='vcard-temp:x:update'><photo>a9993e364706816aba3e25717850c26c9cd0d89d</photo></x>";

    fn set(card: &str) -> String {
        format!("<iq type='set' id='1'>{card}</iq>")
    }

    fn from_romeo(type_: &str, card: &str) -> String {
        format!(
            "<iq type='{type_}' id='v3' to='juliet@example.com' from='romeo@example.net/a'>{card}</iq>"
        )
    }

    /// Juliet with a card that has a photo.
    fn with_card() -> Scene {
        let mut scene = juliet();
        check(
            &mut scene,
            &set(CARD),
            "<iq type='result' id='1' to='juliet@example.com/balcony'/>",
        );
        scene
    }

    /// XEP-0054 §3.1: none yet is an empty one; §3.2: it is replaced whole.
    #[test]
    fn ones_own_card_is_kept_and_replaced() {
        let mut scene = juliet();
        let get = format!("<iq type='get' id='1'>{NONE}</iq>");
        check(&mut scene, &get, NONE);
        check(&mut scene, &set(CARD), "type='result'");
        check(&mut scene, &get, CARD);
        let other = "<vCard xmlns='vcard-temp'><DESC>x</DESC></vCard>";
        check(&mut scene, &set(other), "type='result'");
        check(&mut scene, &get, other);
    }

    /// XEP-0054 §3.3: the server answers, with nobody there and with somebody.
    #[test]
    fn anyone_may_see_a_card() {
        let mut scene = with_card();
        check_from_romeo(&mut scene, &from_romeo("get", NONE), CARD);
        scene.online("balcony");
        check_from_romeo(&mut scene, &from_romeo("get", NONE), CARD);
    }

    /// XEP-0054 §3.3: no such user and no card are the same error.
    #[test]
    fn no_card_is_like_no_user() {
        let ask = |mut scene: Scene| only(scene.gets(&from_romeo("get", NONE)));
        let answer = ask(juliet());
        assert!(answer.contains("<service-unavailable "), "{answer}");
        assert_eq!(answer, ask(nobody()));
    }

    /// XEP-0054 §3.2.
    #[test]
    fn nobody_sets_the_card_of_another() {
        let mut scene = with_card();
        check_from_romeo(
            &mut scene,
            &from_romeo("set", NONE),
            "<service-unavailable ",
        );
        check_from_romeo(&mut scene, &from_romeo("get", NONE), CARD);
    }

    #[test]
    fn an_anonymous_account_is_not_told_that_its_card_is_kept() {
        check(&mut nobody(), &set(CARD), "<not-allowed ");
    }

    /// XEP-0153 §4.1: presence of a client that says nothing of avatars, to
    /// everybody and to one.
    #[test]
    fn presence_tells_of_the_photo() {
        let mut scene = with_card();
        for presence in ["<presence/>", "<presence to='room@example.net/juliet'/>"] {
            let said = scene.sends("balcony", presence);
            assert!(said[0].contains(SHOWN), "{said:?}");
        }
        let gone = scene.sends("balcony", "<presence type='unavailable'/>");
        assert!(!gone[0].contains("vcard-temp:x:update"), "{gone:?}");
    }

    /// XEP-0153 §4.1 rules 2 and 3: what a client says stays as it is.
    #[test]
    fn what_a_client_says_of_its_avatar_is_left_alone() {
        let mut scene = with_card();
        for update in [
            "<x xmlns='vcard-temp:x:update'/>",
            "<x xmlns='vcard-temp:x:update'><photo/></x>",
            "<x xmlns='vcard-temp:x:update'><photo>01b8</photo></x>",
        ] {
            let said = scene.sends("balcony", &format!("<presence>{update}</presence>"));
            assert!(said[0].contains(update), "{said:?}");
            assert_eq!(said[0].matches("vcard-temp:x:update").count(), 1);
        }
    }

    /// XEP-0153 §4.4: a card without a photo ends it, also after a restart.
    #[test]
    fn the_hash_lasts_as_long_as_the_photo() {
        let mut scene = with_card();
        scene.reload();
        assert!(scene.bind_and_send("balcony", "<presence/>")[0].contains(SHOWN));
        check(
            &mut scene,
            &set("<vCard xmlns='vcard-temp'><FN>J</FN></vCard>"),
            "type='result'",
        );
        let said = scene.sends("balcony", "<presence/>");
        assert!(!said[0].contains("vcard-temp:x:update"), "{said:?}");
    }
}
