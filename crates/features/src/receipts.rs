//! XEP-0184: Message Delivery Receipts, version 1.4.0, the server's part: storing
//! (`content`), copying (`carbons`) and routing.
//!
//! Receipts are the clients' business. They have no body and are stored like what
//! has one, because who sent the message may be away when they come (§5.2).

use starling_session::{Feature, Hook, Manifest, Spec};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(184),
    version: "1.4.0",
    disco: &[],
    disco_account: &[],
};

pub(crate) struct Receipts;

impl Feature for Receipts {
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

    /// XEP-0184 §5; XEP-0160 §3; XEP-0280 §6.1.
    #[test]
    fn they_are_stored_copied_and_delivered_as_they_came() {
        check_stored_and_copied("<received xmlns='urn:xmpp:receipts' id='r'/>");
    }
}
