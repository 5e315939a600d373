//! Base64 as the two SASL profiles of XMPP want it (RFC 6120 §6.4, XEP-0388 §2.2).
//!
//! Finding the text in the XML, and writing it there, is left to the edge.

use base64::prelude::{BASE64_STANDARD, Engine};
use zeroize::Zeroizing;

use crate::error::{Condition, Failure};
use crate::offer::Profile;

/// The longest decoded message of a client: a PLAIN message with the longest
/// names and password, or a SCRAM one with every character of its names escaped.
pub const MESSAGE_BYTES_MAX: usize = 8192;

/// Decodes an initial response; `None` stands for a missing element.
///
/// In SASL1 an empty `<auth/>` has no initial response, and `=` is one of no
/// bytes (RFC 6120 §6.4.2). In SASL2 an empty `<initial-response/>` is one of
/// no bytes.
///
/// # Errors
///
/// `incorrect-encoding`, or `malformed-request` over [`MESSAGE_BYTES_MAX`].
pub fn initial(
    profile: Profile,
    text: Option<&str>,
) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    match (profile, text) {
        (_, None) | (Profile::Sasl1, Some("")) => Ok(None),
        (_, Some(text)) => response(profile, text).map(Some),
    }
}

/// Decodes the content of `<response/>`.
///
/// # Errors
///
/// As [`initial`].
pub fn response(profile: Profile, text: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // XEP-0388's schema says xs:base64Binary, which ignores white space around
    // the value; its own examples have it. RFC 6120 §6.4.2 allows none.
    let text = match profile {
        Profile::Sasl1 if text == "=" => "",
        Profile::Sasl1 => text,
        Profile::Sasl2 => text.trim_matches([' ', '\t', '\r', '\n']),
    };
    if text.len() / 4 * 3 > MESSAGE_BYTES_MAX + 2 {
        return Err(Failure::malformed("the message is too long"));
    }
    let data = BASE64_STANDARD
        .decode(text)
        .map(Zeroizing::new)
        .map_err(|_| Failure::new(Condition::IncorrectEncoding))?;
    if data.len() > MESSAGE_BYTES_MAX {
        return Err(Failure::malformed("the message is too long"));
    }
    Ok(data)
}

/// Encodes a challenge or the data that goes with success.
#[must_use]
pub fn encode(data: &[u8]) -> String {
    BASE64_STANDARD.encode(data)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    #[test]
    fn an_equals_sign_is_empty_in_sasl1() {
        let initial = |profile, text| initial(profile, text).map(|d| d.map(|d| d.to_vec()));
        assert_eq!(
            initial(Profile::Sasl1, Some("=")),
            Ok(Some(vec![])),
            "§6.4.2"
        );
        assert_eq!(initial(Profile::Sasl1, Some("")), Ok(None), "§6.4.2");
        assert_eq!(initial(Profile::Sasl2, Some("")), Ok(Some(vec![])));
        assert_eq!(initial(Profile::Sasl2, None), Ok(None));
        assert_eq!(
            initial(Profile::Sasl2, Some("\n  AGE=\n")),
            Ok(Some(b"\0a".to_vec()))
        );
        assert_eq!(
            initial(Profile::Sasl2, Some("=")),
            Err(Condition::IncorrectEncoding.into())
        );
    }

    #[test]
    fn anything_but_base64_is_incorrect_encoding() {
        for text in [
            "AG", "A===", "AGE", "AGE=x", "AG E=", "AG-_", "\u{e4}", "AGF=",
        ] {
            assert_eq!(
                response(Profile::Sasl1, text).unwrap_err().condition,
                Condition::IncorrectEncoding,
                "RFC 6120 §6.5.5: {text:?}"
            );
        }
    }

    #[test]
    fn messages_have_a_bound() {
        let longest = encode(&vec![7; MESSAGE_BYTES_MAX]);
        assert_eq!(
            response(Profile::Sasl1, &longest).unwrap().len(),
            MESSAGE_BYTES_MAX
        );
        for extra in [1, 2, 3, 4, 5, 1000] {
            let text = encode(&vec![7; MESSAGE_BYTES_MAX + extra]);
            assert_eq!(
                response(Profile::Sasl2, &text).unwrap_err().condition,
                Condition::MalformedRequest
            );
        }
    }
}
