//! Passwords as SCRAM and PLAIN compare them: SASLprep (RFC 4013).
//!
//! Names of accounts are not prepared here but as localparts (RFC 7622), which
//! is what `starling_xmpp::jid` does. Deciding whether a password is good
//! enough is left to whoever sets it.

use zeroize::Zeroizing;

use crate::error::Error;

/// The longest password, before and after preparation. PBKDF2 hashes longer
/// ones in time proportional to their length, once.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// The password both sides derive keys from.
///
/// # Errors
///
/// When it is empty, too long, or has a character SASLprep prohibits.
pub fn password(given: &str) -> Result<Zeroizing<String>, Error> {
    if given.len() > PASSWORD_BYTES_MAX {
        return Err(Error::PasswordTooLong);
    }
    let prepared = stringprep::saslprep(given).map_err(|_| Error::PasswordProhibited)?;
    let prepared = Zeroizing::new(prepared.into_owned());
    if prepared.is_empty() {
        return Err(Error::PasswordEmpty);
    }
    if prepared.len() > PASSWORD_BYTES_MAX {
        return Err(Error::PasswordTooLong); // NFKC can make one character eighteen.
    }
    Ok(prepared)
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
    fn rfc_4013_section_3_examples() {
        assert_eq!(*password("I\u{ad}X").unwrap(), "IX");
        assert_eq!(*password("user").unwrap(), "user");
        assert_eq!(*password("USER").unwrap(), "USER");
        assert_eq!(*password("\u{aa}").unwrap(), "a");
        assert_eq!(*password("\u{2168}").unwrap(), "IX");
        assert_eq!(password("\u{7}"), Err(Error::PasswordProhibited));
        assert_eq!(password("\u{627}1"), Err(Error::PasswordProhibited));
    }

    #[test]
    fn bounds() {
        assert_eq!(password(""), Err(Error::PasswordEmpty));
        assert_eq!(password("\u{ad}"), Err(Error::PasswordEmpty));
        let longest = "x".repeat(PASSWORD_BYTES_MAX);
        assert_eq!(password(&longest).unwrap().len(), PASSWORD_BYTES_MAX);
        assert_eq!(
            password(&format!("{longest}x")),
            Err(Error::PasswordTooLong)
        );
        let swelling = "\u{fdfa}".repeat(PASSWORD_BYTES_MAX / 3);
        assert_eq!(password(&swelling), Err(Error::PasswordTooLong));
    }
}
