//! What the features count. Each has a sentence an operator can act on.

use metrics::{Unit, counter, describe_counter};

const REPORTS: &str = "starling_features_abuse_reports_total";
const OFFLINE_STORED: &str = "starling_features_offline_stored_messages_total";
const PEP_REFUSED: &str = "starling_features_pep_refused_items_total";
const OFFLINE_REFUSED: &str = "starling_features_offline_refused_messages_total";

/// Registers the descriptions with the recorder that is installed.
pub fn describe() {
    describe_counter!(
        REPORTS,
        Unit::Count,
        "Reports of users who blocked an address as abusive (XEP-0377), by reason. The log names reporter and reported: look there, and block or report on what repeats."
    );
    describe_counter!(
        OFFLINE_STORED,
        Unit::Count,
        "Messages kept for users who were away."
    );
    describe_counter!(
        OFFLINE_REFUSED,
        Unit::Count,
        "Messages refused because too many waited for their recipient. If it grows, someone floods an absent user, or session.features.offline.messages_max is too low."
    );
    describe_counter!(
        PEP_REFUSED,
        Unit::Count,
        "What users wanted to publish and was refused because their account is full (XEP-0163). If it grows for many, session.features.pep.nodes_max, items_max or bytes_max is too low; for one, its client misbehaves."
    );
}

pub(crate) fn pep_refused() {
    counter!(PEP_REFUSED).increment(1);
}

pub(crate) fn reported(reason: &'static str) {
    counter!(REPORTS, "reason" => reason).increment(1);
}

pub(crate) fn offline_stored() {
    counter!(OFFLINE_STORED).increment(1);
}

pub(crate) fn offline_refused() {
    counter!(OFFLINE_REFUSED).increment(1);
}
