//! XEP-0444: Message Reactions, version 0.2.1, the server's part: storing
//! (`content`), copying (`carbons`) and routing.
//!
//! Reactions are the clients' business. They have no body and are stored like
//! what has one.

use starling_session::{Feature, Hook, Manifest, Spec};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(444),
    version: "0.2.1",
    disco: &[],
    disco_account: &[],
};

pub(crate) struct Reactions;

impl Feature for Reactions {
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

    /// XEP-0444 §4; XEP-0160 §3; XEP-0280 §6.1.
    #[test]
    fn they_are_stored_copied_and_delivered_as_they_came() {
        check_stored_and_copied(
            "<reactions xmlns='urn:xmpp:reactions:0' id='r'><reaction>a</reaction></reactions>",
        );
    }
}
