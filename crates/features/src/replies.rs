//! XEP-0461: Message Replies, version 0.2.1, the server's part: storing
//! (`content`), copying (`carbons`) and routing.
//!
//! Replies are the clients' business: messages that name another one.

use starling_session::{Feature, Hook, Manifest, Spec};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(461),
    version: "0.2.1",
    disco: &[],
    disco_account: &[],
};

pub(crate) struct Replies;

impl Feature for Replies {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn hooks(&self) -> &'static [Hook] {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_stored_and_copied;

    /// XEP-0461 §3; XEP-0160 §3; XEP-0280 §6.1.
    #[test]
    fn they_are_stored_copied_and_delivered_as_they_came() {
        check_stored_and_copied(
            "<body>b</body><reply xmlns='urn:xmpp:reply:0' to='juliet@example.com' id='r'/>",
        );
    }
}
