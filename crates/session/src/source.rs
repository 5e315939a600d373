//! The numbers of messages that clients send: made of the session and of the
//! stanza's number in it, so that a stanza that is handled again, by whichever
//! node, leads to a message with the same number.
//!
//! So the entry of a message in its sender's log says which stanza it was, too.

use starling_link::{MessageId, SessionId};

/// Stands between the two parts; the number of a message that no client sent is
/// drawn at random and does not have it there.
const MARK: u32 = 0x5f73_746e;

/// The number of the message that a stanza of a client is.
pub(crate) fn id_of(session: SessionId, number: u32) -> MessageId {
    let high = u128::from(session.0) << 64;
    MessageId(high | u128::from(MARK) << 32 | u128::from(number))
}

/// Which stanza of a session a message is.
pub(crate) fn number_in(session: SessionId, id: MessageId) -> Option<u32> {
    let number = (id.0 & u128::from(u32::MAX)) as u32;
    (id == id_of(session, number)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_which_stanza_of_which_session_it_is() {
        let session = SessionId(u64::MAX - 1);
        for number in [0, 1, u32::MAX] {
            let id = id_of(session, number);
            assert_eq!(number_in(session, id), Some(number));
            assert_eq!(number_in(SessionId(7), id), None);
        }
        assert_eq!(
            number_in(session, MessageId(u128::from(session.0) << 64)),
            None
        );
    }
}
