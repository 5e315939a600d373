//! `docs/xeps.md`: what the node implements, out of the manifests.
//!
//! What is negotiated before there is a session, and what only shapes other
//! documents' payloads, has no manifest here; those are listed below. A test
//! keeps the file equal to this.

use std::fmt::Write as _;
use std::iter;

use starling_session::{Manifest, Spec};
use starling_xmpp::UnixMillis;

use crate::Config;

/// Documents that other crates implement: number, version, where.
const ELSEWHERE: &[(u16, &str, &str)] = &[
    (4, "2.13.2", "`xmpp`"),
    (68, "1.3.0", "`xmpp`"),
    (77, "2.4", "`edge`: before login"),
    (82, "1.1.1", "`xmpp`"),
    (128, "1.0.1", "`xmpp`"),
    (175, "1.2", "`auth`"),
    (178, "1.2", "`auth`: client certificates"),
    (198, "1.6.3", "`edge`, `session`"),
    (199, "2.0.1", "`edge`: pings to clients"),
    (368, "1.1.0", "`edge`"),
    (386, "1.1.0", "`edge`"),
    (388, "1.0.4", "`edge`"),
    (440, "1.0.0", "`edge`"),
    (474, "0.5.0", "`auth`"),
    (478, "0.2.0", "`edge`"),
    (480, "0.2.0", "`auth`"),
    (484, "0.2.0", "`auth`, `edge`"),
];

/// The documents' names.
const TITLES: &[(u16, &str)] = &[
    (4, "Data Forms"),
    (12, "Last Activity"),
    (30, "Service Discovery"),
    (49, "Private XML Storage"),
    (54, "vcard-temp"),
    (59, "Result Set Management"),
    (68, "Field Standardization for Data Forms"),
    (77, "In-Band Registration"),
    (82, "XMPP Date and Time Profiles"),
    (92, "Software Version"),
    (115, "Entity Capabilities"),
    (128, "Service Discovery Extensions"),
    (153, "vCard-Based Avatars"),
    (157, "Contact Addresses for XMPP Services"),
    (160, "Best Practices for Handling Offline Messages"),
    (163, "Personal Eventing Protocol"),
    (175, "Best Practices for Use of SASL ANONYMOUS"),
    (
        178,
        "Best Practices for Use of SASL EXTERNAL with Certificates",
    ),
    (184, "Message Delivery Receipts"),
    (191, "Blocking Command"),
    (198, "Stream Management"),
    (199, "XMPP Ping"),
    (202, "Entity Time"),
    (203, "Delayed Delivery"),
    (222, "Persistent Storage of Public Data via PubSub"),
    (223, "Persistent Storage of Private Data via PubSub"),
    (280, "Message Carbons"),
    (297, "Stanza Forwarding"),
    (308, "Last Message Correction"),
    (313, "Message Archive Management"),
    (333, "Displayed Markers"),
    (334, "Message Processing Hints"),
    (352, "Client State Indication"),
    (359, "Unique and Stable Stanza IDs"),
    (368, "SRV records for XMPP over TLS"),
    (377, "Blocking Command Reports"),
    (386, "Bind 2"),
    (388, "Extensible SASL Profile"),
    (424, "Message Retraction"),
    (440, "SASL Channel-Binding Type Capability"),
    (441, "Message Archive Management Preferences"),
    (444, "Message Reactions"),
    (461, "Message Replies"),
    (474, "SASL SCRAM Downgrade Protection"),
    (478, "Stream Limits Advertisement"),
    (480, "SASL Upgrade Tasks"),
    (484, "Fast Authentication Streamlining Tokens"),
    (490, "Message Displayed Synchronization"),
];

/// One implementation of a XEP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Its number.
    pub xep: u16,
    /// The version that is followed.
    pub version: &'static str,
    /// The crate, and which part if it is only one.
    pub place: &'static str,
    /// The disco features that tell of it, in the manifest's order.
    pub announced: Vec<&'static str>,
}

/// Every XEP that a node implements, by number.
pub fn implemented() -> Vec<Row> {
    let features = crate::all(&Config::default(), UnixMillis(0));
    let manifests = features
        .iter()
        .flat_map(|feature| iter::once(feature.manifest()).chain(feature.also()));
    let elsewhere = ELSEWHERE.iter().map(|&(xep, version, place)| Row {
        xep,
        version,
        place,
        announced: Vec::new(),
    });
    let mut rows: Vec<Row> = manifests.filter_map(row).chain(elsewhere).collect();
    rows.sort_unstable();
    rows
}

fn row(manifest: &Manifest) -> Option<Row> {
    let Spec::Xep(xep) = manifest.spec else {
        return None; // RFCs are what the engine is built of.
    };
    let mut announced = [manifest.disco, manifest.disco_account].concat();
    announced.sort_unstable();
    announced.dedup();
    Some(Row {
        xep,
        version: manifest.version,
        place: "`features`",
        announced,
    })
}

/// The text of `docs/xeps.md`.
pub fn xeps_markdown() -> String {
    let mut text = String::from(
        "# XEPs\n\n\
         What a node implements, written out of the code's manifests; do not edit it.\n\
         After a change: `STARLING_WRITE_DOCS=1 cargo test -p starling-features xeps`.\n\n\
         | XEP | name | version | where | announced as |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for row in implemented() {
        let announced: Vec<String> = row.announced.iter().map(|var| format!("`{var}`")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| [{xep:04}](https://xmpp.org/extensions/xep-{xep:04}.html) | {title} | {version} | {place} | {announced} |",
            xep = row.xep,
            title = title(row.xep),
            version = row.version,
            place = row.place,
            announced = announced.join(", "),
        );
    }
    text
}

fn title(xep: u16) -> &'static str {
    let found = TITLES.iter().find(|(number, _)| *number == xep);
    found.map_or("", |(_, title)| title)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use std::path::Path;
    use std::{env, fs};

    use super::*;

    #[test]
    fn docs_xeps_md_is_what_the_manifests_say() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/xeps.md");
        #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
        if env::var("STARLING_WRITE_DOCS").is_ok() {
            fs::write(&path, xeps_markdown()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), xeps_markdown());
    }

    #[test]
    fn every_document_has_its_name_and_every_name_its_document() {
        let rows = implemented();
        for row in &rows {
            assert_ne!(title(row.xep), "", "XEP-{:04}", row.xep);
        }
        for (xep, title) in TITLES {
            assert!(rows.iter().any(|row| row.xep == *xep), "{title}");
        }
    }
}
