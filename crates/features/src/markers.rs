//! XEP-0333: Displayed Markers, version 1.0.0, the server's part: storing
//! (`content`), copying (`carbons`) and routing.
//!
//! Markers are the clients' business. They are stored and copied, so that every
//! client learns what was displayed.

use starling_session::{Feature, Hook, Manifest, Spec};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(333),
    version: "1.0.0",
    disco: &[],
    disco_account: &[],
};

pub(crate) struct Markers;

impl Feature for Markers {
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

    /// XEP-0333 §4; XEP-0160 §3; XEP-0280 §6.1.
    #[test]
    fn they_are_stored_copied_and_delivered_as_they_came() {
        check_stored_and_copied("<displayed xmlns='urn:xmpp:chat-markers:0' id='r'/>");
    }
}
