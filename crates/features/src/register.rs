//! XEP-0077: In-Band Registration, version 2.4, for those who are logged in:
//! a new password, and the end of an account.
//!
//! Making an account happens before there is a session: `edge/src/features`.

use starling_session::{BoxFuture, Ctx, Feature, Hook, Host, Lasting, Manifest, Outcome, Spec, To};
use starling_store::account::Change;
use starling_xmpp::payload::disco::Info;
use starling_xmpp::{Condition, Element, Stanza, StanzaError, Type, ns};

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

/// §3.3: both fields, and one's own name.
async fn change_password(query: &Element, ctx: &mut Ctx) -> Result<(), StanzaError> {
    let (Some(name), Some(password)) = (
        query.child_text(ns::REGISTER, "username"),
        query.child_text(ns::REGISTER, "password"),
    ) else {
        return Err(StanzaError::new(Condition::BadRequest)
            .text("a new password needs <username/> and <password/>"));
    };
    if name != username(ctx) {
        return Err(StanzaError::new(Condition::NotAllowed)
            .text("only the password of your own account can be changed"));
    }
    let verifiers = ctx
        .derive(&password)
        .await
        .map_err(|why| StanzaError::new(Condition::NotAcceptable).text(why))?;
    ctx.write(Change::SetVerifiers(verifiers));
    ctx.write(Change::ClearTokens);
    Ok(())
}
