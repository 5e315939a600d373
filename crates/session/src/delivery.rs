//! RFC 6121 §8.5: which sessions get a message, and what becomes of one that
//! none gets.

use smallvec::SmallVec;
use starling_link::SessionId;
use starling_xmpp::Stanza;
use starling_xmpp::stanza::Type;

use crate::outgoing::{Outgoing, Sharing};
use crate::{Account, Ctx, reject};

/// The sessions that are to get the message in hand, and what is known of it.
/// Features may change it before the message is delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// The sessions, in the order in which they were bound.
    pub sessions: SmallVec<[SessionId; 4]>,
    /// A feature keeps the message until a session can take it, so it is not
    /// lost although nobody gets it now.
    pub is_stored: bool,
}

impl Targets {
    /// RFC 6121 §8.5.2, §8.5.3: who gets this message by the rules alone.
    pub fn of(account: &Account, message: &Stanza) -> Self {
        let full = message.head.to.as_ref().filter(|to| to.is_full());
        let matching = full.and_then(|to| account.session_by_jid(to));
        let sessions = match (matching, full, message.head.type_) {
            // §8.5.3.1: a resource that matches gets it, whatever its priority.
            (Some(session), ..) => SmallVec::from_slice(&[session.id]),
            // §8.5.3.2.1: for a resource that is gone, chat falls back to the
            // bare JID and the rest does not.
            (None, Some(_), Type::Chat)
            | (None, None, Type::Chat | Type::Normal | Type::Headline) => reachable(account),
            // §8.5.2.1.1: groupchat and errors are never for a bare JID.
            (None, ..) => SmallVec::new(),
        };
        Self {
            sessions,
            is_stored: false,
        }
    }
}

/// §8.5.2.1.1: every available resource with a priority that is not negative.
fn reachable(account: &Account) -> SmallVec<[SessionId; 4]> {
    let sessions = account
        .sessions
        .iter()
        .filter(|session| session.is_reachable());
    sessions.map(|session| session.id).collect()
}

/// Hands a message to its targets, or says that nobody took it.
pub(crate) fn deliver(ctx: &mut Ctx, message: Stanza) {
    let Targets {
        sessions,
        is_stored,
    } = std::mem::take(&mut ctx.targets);
    let logged = ctx.in_transit().map(Box::new);
    if sessions.is_empty() {
        deliver_copies(ctx);
        if !is_stored && is_answered(&message) && !ctx.is_kept_anyway() {
            reject::unavailable(ctx, &message);
        }
        return;
    }
    let copies = std::mem::take(&mut ctx.copies);
    let outgoing = match is_stored {
        // Others are handed it later, or find it: a session that is lost before
        // it has it takes it from nobody.
        true => Outgoing::dispensable(message),
        false => Outgoing::new(message, logged),
    };
    if let ([session], []) = (&sessions[..], &copies[..]) {
        return ctx.hand_over(*session, outgoing);
    }
    let holders = sessions.iter().copied();
    let holders = holders.chain(copies.iter().map(|(session, _)| *session));
    let outgoing = outgoing.shared(&Sharing::among(holders.collect()));
    // Copies first: they are what the sessions without the message get of it.
    for (session, copy) in copies {
        ctx.hand_over(session, outgoing.wrapped(copy));
    }
    for session in sessions {
        ctx.hand_over(session, outgoing.clone());
    }
}

/// Hands over copies of a message that nobody gets as it is: if they are lost,
/// it is found where it waits.
pub(crate) fn deliver_copies(ctx: &mut Ctx) {
    for (session, copy) in std::mem::take(&mut ctx.copies) {
        ctx.deliver(session, copy);
    }
}

/// Whether the sender learns that nobody took it: headlines and errors are
/// dropped silently (§8.5.2.1.1, §8.5.3.2.1).
fn is_answered(message: &Stanza) -> bool {
    matches!(
        message.head.type_,
        Type::Normal | Type::Chat | Type::Groupchat
    )
}
