//! XEP-0077: In-Band Registration, version 2.4, for those who are logged in:
//! a new password, and the end of an account.
//!
//! Making an account happens before there is a session: `edge/src/features`.

use starling_session::{BoxFuture, Ctx, Feature, Hook, Host, Lasting, Manifest, Outcome, Spec, To};
use starling_store::account::Change;
use starling_xmpp::payload::disco::Info;
use starling_xmpp::{Condition, Element, Jid, Stanza, StanzaError, Type, ns};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(77),
    version: "2.4",
    disco: &[],
    disco_account: &[],
};

const HOOKS: &[Hook] = &[
    Hook::iq_get(To::Host, ns::REGISTER, "query"),
    Hook::iq_set(To::Host, ns::REGISTER, "query"),
    Hook::iq_get(To::Own, ns::REGISTER, "query"),
    Hook::iq_set(To::Own, ns::REGISTER, "query"),
];

pub(crate) struct Register;

impl Feature for Register {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn handle<'a>(&'a self, iq: &'a Stanza, ctx: &'a mut Ctx) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let query = iq.first_payload().map(|payload| payload.element());
            let (Some(query), true) = (query, is_own(ctx)) else {
                return Outcome::Reject(StanzaError::new(Condition::NotAllowed));
            };
            if iq.head.type_ == Type::Get {
                ctx.send(iq.result_with(&registered(ctx)));
                return Outcome::Done;
            }
            if query.get(ns::REGISTER, "remove").is_some() {
                return remove(iq, &query, ctx);
            }
            match change_password(&query, ctx).await {
                Ok(()) => {
                    ctx.send(iq.result());
                    Outcome::Done
                }
                Err(error) => Outcome::Reject(error),
            }
        })
    }

    fn describe(&self, of: To, host: &Host, info: &mut Info) {
        if of == To::Host && host.is_registration_allowed {
            info.features.push(ns::REGISTER.to_owned());
        }
    }
}

/// Whether a session of a stored account asks about that account.
fn is_own(ctx: &Ctx) -> bool {
    ctx.session().is_some() && ctx.account.lasting == Lasting::Stored
}

/// §3.1.1: who is registered already gets told so, with the name in use.
fn registered(ctx: &Ctx) -> Element {
    Element::new(ns::REGISTER, "query")
        .child(Element::new(ns::REGISTER, "registered"))
        .child(Element::new(ns::REGISTER, "username").text(username(ctx)))
        .child(Element::new(ns::REGISTER, "password"))
}

fn username(ctx: &Ctx) -> String {
    ctx.account.jid.local().unwrap_or_default().to_owned()
}

/// §3.2: the client learns that it worked, then the account ends.
fn remove(iq: &Stanza, query: &Element, ctx: &mut Ctx) -> Outcome {
    if query.children().count() != 1 {
        return Outcome::Reject(
            StanzaError::new(Condition::BadRequest).text("<remove/> stands alone"),
        );
    }
    ctx.send(iq.result());
    ctx.erase_account();
    Outcome::Done
}

/// §3.3: both fields, one's own name, over a channel that nobody overhears.
async fn change_password(query: &Element, ctx: &mut Ctx) -> Result<(), StanzaError> {
    if !ctx
        .session()
        .is_some_and(|session| session.client.is_encrypted)
    {
        return Err(StanzaError::new(Condition::NotAuthorized)
            .text("a password is not changed without encryption"));
    }
    let (Some(name), Some(password)) = (
        query.child_text(ns::REGISTER, "username"),
        query.child_text(ns::REGISTER, "password"),
    ) else {
        return Err(StanzaError::new(Condition::BadRequest)
            .text("a new password needs <username/> and <password/>"));
    };
    let named = Jid::from_parts(Some(name.trim()), ctx.account.jid.domain(), None);
    if named.is_ok_and(|named| ctx.account.is_self(&named)) {
        let verifiers = ctx.derive(&password).await;
        let verifiers =
            verifiers.map_err(|why| StanzaError::new(Condition::NotAcceptable).text(why))?;
        ctx.write(Change::SetVerifiers(verifiers));
        // Whoever has the old password must not get in by a token either.
        ctx.write(Change::ClearTokens);
        return Ok(());
    }
    Err(StanzaError::new(Condition::NotAllowed)
        .text("only the password of your own account can be changed"))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use starling_session::Host;
    use starling_session::testing::Scene;
    use starling_store::Change as Written;
    use starling_store::roster::Subscription;

    use super::*;
    use crate::testing::{check, check_from_romeo, host, juliet, nobody};

    fn iq(type_: &str, inside: &str) -> String {
        format!("<iq type='{type_}' id='1'><query xmlns='jabber:iq:register'>{inside}</query></iq>")
    }

    fn change(name: &str, password: &str) -> String {
        let fields = format!("<username>{name}</username><password>{password}</password>");
        iq("set", &fields)
    }

    /// The password that was stored last.
    fn stored(scene: &Scene) -> Option<&[u8]> {
        scene.written.iter().rev().find_map(|change| match change {
            Written::Account(Change::SetVerifiers(verifiers)) => {
                Some(verifiers[0].stored_key.as_slice())
            }
            _ => None,
        })
    }

    /// XEP-0077 §3.1.
    #[test]
    fn who_is_registered_is_told_so() {
        check(
            &mut juliet(),
            &iq("get", ""),
            "<query xmlns='jabber:iq:register'><registered/><username>juliet</username><password/></query>",
        );
    }

    /// XEP-0077 §3.3: to the account or to the host, with a name that only has
    /// to mean the account; tokens for the old password end.
    #[test]
    fn a_password_is_changed() {
        for (name, to) in [("juliet", ""), ("JULIET", " to='example.com'")] {
            let mut scene = juliet();
            let request = change(name, "r0m30").replace("id='1'", &format!("id='1'{to}"));
            check(
                &mut scene,
                &request,
                "<iq type='result' id='1' to='juliet@example.com/balcony'",
            );
            assert_eq!(stored(&scene), Some("r0m30".as_bytes()));
            let tokens = Written::Account(Change::ClearTokens);
            assert!(scene.written.contains(&tokens));
        }
    }

    /// XEP-0077 §3.3, error cases; whatever is refused changes nothing.
    #[test]
    fn what_is_no_password_or_not_ones_own_is_refused() {
        let mut scene = juliet();
        let longest = "x".repeat(1_025);
        for (request, error) in [
            (change("juliet", ""), "<not-acceptable "),
            (change("juliet", &longest), "<not-acceptable "),
            (change("romeo", "a"), "<not-allowed "),
            (change("juliet@example.com", "a"), "<not-allowed "),
            (iq("set", "<username>juliet</username>"), "<bad-request "),
            (iq("set", "<password>a</password>"), "<bad-request "),
            (iq("set", ""), "<bad-request "),
        ] {
            check(&mut scene, &request, error);
        }
        assert!(scene.written.is_empty());
    }

    /// XEP-0077 §3.3: a channel that is not safe enough.
    #[test]
    fn a_password_is_not_changed_in_the_clear() {
        let mut scene = juliet();
        let session = scene.bind("balcony");
        let found = scene.account_mut().session_mut(session).unwrap();
        found.client.is_encrypted = false;
        check(&mut scene, &change("juliet", "a"), "<not-authorized ");
        assert!(scene.written.is_empty());
    }

    /// XEP-0077 §3.2: the answer, then every session ends with
    /// `not-authorized`, subscriptions are cancelled, everything is erased.
    #[test]
    fn an_account_that_is_removed_says_good_bye() {
        let mut scene = juliet();
        scene.contact("romeo@example.net", Subscription::Both);
        scene.online("balcony");
        scene.online("chamber");
        assert_eq!(
            scene.sends("balcony", &iq("set", "<remove/>")),
            [
                "?: <iq type='result' id='1' to='juliet@example.com/balcony'/>",
                "close: NotAuthorized",
                "?: <presence type='unavailable' to='juliet@example.com/chamber' from='juliet@example.com/balcony'/>",
                "out: <presence type='unavailable' to='romeo@example.net' from='juliet@example.com/balcony'/>",
                "close: NotAuthorized",
                "out: <presence type='unavailable' to='romeo@example.net' from='juliet@example.com/chamber'/>",
                "out: <presence type='unsubscribe' to='romeo@example.net' from='juliet@example.com'/>",
                "out: <presence type='unsubscribed' to='romeo@example.net' from='juliet@example.com'/>",
            ]
        );
        assert_eq!(
            scene.written.last(),
            Some(&Written::Account(Change::Remove))
        );
    }

    /// XEP-0077 §3.2, error cases.
    #[test]
    fn a_removal_stands_alone() {
        let mut scene = juliet();
        check(
            &mut scene,
            &iq("set", "<remove/><username>juliet</username>"),
            "<bad-request ",
        );
        assert!(scene.written.is_empty());
    }

    /// XEP-0077 §3.1, §3.2: nobody but the account's own sessions.
    #[test]
    fn strangers_and_the_anonymous_have_nothing_to_register() {
        for type_ in ["get", "set"] {
            let query = iq(type_, "<remove/>");
            check(&mut nobody(), &query, "<not-allowed ");
            let remote = query.replace(
                "id='1'",
                "id='1' to='example.com' from='romeo@example.net/a'",
            );
            check_from_romeo(&mut host(), &remote, "<not-allowed ");
            let to_juliet = remote.replace("to='example.com'", "to='juliet@example.com'");
            check_from_romeo(&mut juliet(), &to_juliet, "<service-unavailable ");
        }
    }

    /// XEP-0077 §10: only where it is allowed.
    #[test]
    fn a_host_announces_registration_if_it_is_open() {
        const INFO: &str = "<iq type='get' id='1' to='example.com' from='romeo@example.net/a'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
        let mut scene = host();
        scene.serve(Host {
            is_registration_allowed: true,
            ..Host::default()
        });
        check_from_romeo(&mut scene, INFO, "<feature var='jabber:iq:register'/>");
    }
}
