//! One line of an import: an address and a password or SCRAM verifiers.
//!
//! Whether the address is one, and the verifiers can be used, is for the node
//! to say: it will be asked by others than this program.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use starling_wire::admin::v1::new_account::Secret;
use starling_wire::admin::v1::{NewAccount, ScramVerifier, ScramVerifiers};

/// How a verifier begins: RFC 5803 and others write mechanism and `$`.
const VERIFIER: &str = "SCRAM-";

/// True for a line that names no account.
pub(super) fn is_empty(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// The account of a line; `None` for an empty line or a comment; for a mistake
/// the address, as far as there is one, and what is wrong.
pub(super) fn parse(line: &str) -> Result<Option<NewAccount>, (String, String)> {
    if is_empty(line) {
        return Ok(None);
    }
    let line = line.trim_start();
    let Some((account, secret)) = line.split_once([' ', '\t']) else {
        let wrong = "there is no password: write the address, a space and the password";
        return Err((line.trim_end().into(), wrong.into()));
    };
    let secret = secret.trim_start_matches([' ', '\t']);
    let secret = secret.trim_end_matches('\r');
    let secret = match verifiers(secret) {
        Some(parsed) => Secret::Scram(parsed.map_err(|reason| (account.to_owned(), reason))?),
        None if secret.is_empty() => return Err((account.into(), "the password is empty".into())),
        None => Secret::Password(secret.into()),
    };
    Ok(Some(NewAccount {
        account: account.into(),
        secret: Some(secret),
    }))
}

/// `None` if the text is a password.
fn verifiers(text: &str) -> Option<Result<ScramVerifiers, String>> {
    let is_verifier = |word: &str| word.starts_with(VERIFIER) && word.contains('$');
    if !text.split_whitespace().next().is_some_and(is_verifier) {
        return None;
    }
    let verifiers = text.split_whitespace().map(|word| {
        verifier(word).ok_or_else(|| {
            format!(
                "\"{word}\" is not a verifier: write it as \
                 SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>"
            )
        })
    });
    let verifiers: Result<Vec<_>, _> = verifiers.collect();
    Some(verifiers.map(|verifiers| ScramVerifiers { verifiers }))
}

fn verifier(word: &str) -> Option<ScramVerifier> {
    let (hash, rest) = word.strip_prefix(VERIFIER)?.split_once('$')?;
    let (parameters, keys) = rest.split_once('$')?;
    let (iterations, salt) = parameters.split_once(':')?;
    let (stored_key, server_key) = keys.split_once(':')?;
    Some(ScramVerifier {
        hash: hash.into(),
        salt: BASE64_STANDARD.decode(salt).ok()?,
        iterations: iterations.parse().ok()?,
        stored_key: BASE64_STANDARD.decode(stored_key).ok()?,
        server_key: BASE64_STANDARD.decode(server_key).ok()?,
    })
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    fn secret(line: &str) -> Secret {
        parse(line).unwrap().unwrap().secret.unwrap()
    }

    #[test]
    fn a_password_reaches_to_the_end_of_the_line() {
        assert_eq!(
            secret("alice@example.org \t correct horse #1 \r"),
            Secret::Password("correct horse #1 ".into())
        );
    }

    #[test]
    fn comments_and_empty_lines_are_left_out() {
        assert_eq!(parse("").unwrap(), None);
        assert_eq!(parse("  # alice@example.org x").unwrap(), None);
    }

    #[test]
    fn verifiers_are_taken_over() {
        let line = "bob@example.org SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$AAEC:AwQF \
                    SCRAM-SHA-256$10000:c2FsdA==$AAEC:AwQF";
        let Secret::Scram(scram) = secret(line) else {
            panic!("a password");
        };
        assert_eq!(scram.verifiers.len(), 2);
        assert_eq!(scram.verifiers[1].hash, "SHA-256");
        assert_eq!(scram.verifiers[1].iterations, 10_000);
        assert_eq!(scram.verifiers[1].salt, b"salt");
        assert_eq!(scram.verifiers[1].server_key, [3, 4, 5]);
    }

    #[test]
    fn a_mistake_names_the_account() {
        let (account, reason) = parse("bob@example.org SCRAM-SHA-1$4096:!$a:b").unwrap_err();
        assert_eq!(account, "bob@example.org");
        assert!(reason.starts_with("\"SCRAM-SHA-1$4096:!$a:b\" is not a verifier"));
        assert_eq!(parse("bob@example.org").unwrap_err().0, "bob@example.org");
        assert_eq!(
            parse("bob@example.org ").unwrap_err().1,
            "the password is empty"
        );
    }
}
