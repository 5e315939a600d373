//! XEP-0308: Last Message Correction, version 1.2.1, the server's part: storing
//! (`content`), copying (`carbons`) and routing.
//!
//! Corrections are the clients' business. The server replaces nothing: what was
//! corrected stays in the log beside its correction.

use starling_session::{Feature, Hook, Manifest, Spec};

const MANIFEST: Manifest = Manifest {
    spec: Spec::Xep(308),
    version: "1.2.1",
    disco: &[],
    disco_account: &[],
};

pub(crate) struct Corrections;

impl Feature for Corrections {
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

    /// XEP-0308 §4; XEP-0160 §3; XEP-0280 §6.1.
    #[test]
    fn they_are_stored_copied_and_delivered_as_they_came() {
        check_stored_and_copied(
            "<body>b</body><replace xmlns='urn:xmpp:message-correct:0' id='r'/>",
        );
    }
}
