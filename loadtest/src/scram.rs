//! SCRAM (RFC 5802) as a client does it, and the verifiers servers keep. What
//! derives slowly is derived once for each salt, as real clients do.

use std::cell::RefCell;
use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// Rounds above which a server is not believed.
const ROUNDS_MAX: u32 = 10_000_000;
/// Bytes of randomness in a nonce.
const NONCE_BYTES: usize = 18;

/// Which hash is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    fn salted(self, password: &[u8], salt: &[u8], rounds: u32) -> Vec<u8> {
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password, salt, rounds).to_vec(),
            Self::Sha256 => {
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, rounds).to_vec()
            }
        }
    }

    /// The mark of `text` under `key`.
    pub(crate) fn mac(self, key: &[u8], text: &[u8]) -> Result<Vec<u8>> {
        fn of<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Result<Vec<u8>> {
            let mut mac = <M as KeyInit>::new_from_slice(key)?;
            mac.update(text);
            Ok(mac.finalize().into_bytes().to_vec())
        }
        match self {
            Self::Sha1 => of::<Hmac<Sha1>>(key, text),
            Self::Sha256 => of::<Hmac<Sha256>>(key, text),
        }
    }

    fn digest(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(text).to_vec(),
            Self::Sha256 => Sha256::digest(text).to_vec(),
        }
    }
}

type Derived = HashMap<(Hash, String, Vec<u8>, u32), Vec<u8>>;

/// Salted passwords that were derived before.
#[derive(Default)]
pub(crate) struct Cache(RefCell<Derived>);

impl Cache {
    fn salted(&self, hash: Hash, password: &str, salt: Vec<u8>, rounds: u32) -> Vec<u8> {
        let mut known = self.0.borrow_mut();
        let key = (hash, password.to_owned(), salt, rounds);
        let derive = |key: &(_, _, Vec<u8>, _)| hash.salted(password.as_bytes(), &key.2, rounds);
        known.entry(key).or_insert_with_key(derive).clone()
    }
}

/// One exchange.
pub(crate) struct Exchange {
    hash: Hash,
    password: String,
    nonce: String,
    bare: String,
}

impl Exchange {
    pub(crate) fn new(hash: Hash, user: &str, password: &str) -> Result<Self> {
        let mut random = [0; NONCE_BYTES];
        random_bytes(&mut random)?;
        let nonce = BASE64.encode(random);
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Ok(Self {
            hash,
            password: password.to_owned(),
            bare: format!("n={user},r={nonce}"),
            nonce,
        })
    }

    /// The first message, in base64.
    pub(crate) fn first(&self) -> String {
        BASE64.encode(format!("n,,{}", self.bare))
    }

    /// The answer to the challenge, in base64, and what the server has to prove.
    pub(crate) fn last(&self, challenge: &[u8], cache: &Cache) -> Result<(String, Vec<u8>)> {
        let challenge = String::from_utf8(BASE64.decode(challenge)?)?;
        let field = |name: &str| {
            let mut fields = challenge.split(',');
            let value = fields.find_map(|field| field.strip_prefix(name));
            value.with_context(|| format!("the challenge has no {name}"))
        };
        let nonce = field("r=")?;
        ensure!(nonce.starts_with(&self.nonce), "the nonce is not ours");
        let rounds: u32 = field("i=")?.parse()?;
        ensure!(rounds <= ROUNDS_MAX, "{rounds} rounds are too many");
        let salt = BASE64.decode(field("s=")?)?;
        let salted = cache.salted(self.hash, &self.password, salt, rounds);
        let key = self.hash.mac(&salted, b"Client Key")?;
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{challenge},{without_proof}", self.bare);
        let signature = self.hash.mac(&self.hash.digest(&key), signed.as_bytes())?;
        let proof: Vec<u8> = key.iter().zip(&signature).map(|(k, s)| k ^ s).collect();
        let server = self.hash.mac(&salted, b"Server Key")?;
        let wanted = self.hash.mac(&server, signed.as_bytes())?;
        let answer = format!("{without_proof},p={}", BASE64.encode(proof));
        Ok((BASE64.encode(answer), wanted))
    }
}

/// Whether the server has proved that it knows the password.
pub(crate) fn is_proved(data: &[u8], wanted: &[u8]) -> bool {
    let proof = BASE64.decode(data).unwrap_or_default();
    let value = proof.strip_prefix(b"v=").unwrap_or_default();
    let end = value.iter().position(|byte| *byte == b',');
    let value = &value[..end.unwrap_or(value.len())];
    BASE64.decode(value).is_ok_and(|value| value == wanted)
}

/// What a server keeps of a password (RFC 5802 §3).
pub(crate) struct Verifier {
    pub(crate) stored: Vec<u8>,
    pub(crate) server: Vec<u8>,
}

/// The verifier of a password with SHA-1, which all servers know.
pub(crate) fn verifier(password: &str, salt: &[u8], rounds: u32) -> Result<Verifier> {
    let hash = Hash::Sha1;
    let salted = hash.salted(password.as_bytes(), salt, rounds);
    Ok(Verifier {
        stored: hash.digest(&hash.mac(&salted, b"Client Key")?),
        server: hash.mac(&salted, b"Server Key")?,
    })
}

fn random_bytes(bytes: &mut [u8]) -> Result<()> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let filled = provider.secure_random.fill(bytes);
    filled.map_err(|_| anyhow::anyhow!("the machine gives no random bytes"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use base64::Engine as _;

    use super::{BASE64, Cache, Exchange, Hash, is_proved};

    /// RFC 5802 §5.
    #[test]
    fn the_example_comes_out() {
        let exchange = Exchange {
            hash: Hash::Sha1,
            password: "pencil".to_owned(),
            nonce: "fyko+d2lbbFgONRv9qkxdawL".to_owned(),
            bare: "n=user,r=fyko+d2lbbFgONRv9qkxdawL".to_owned(),
        };
        let challenge = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
        let challenge = BASE64.encode(challenge);
        let (answer, wanted) = exchange
            .last(challenge.as_bytes(), &Cache::default())
            .unwrap();
        let answer = String::from_utf8(BASE64.decode(answer).unwrap()).unwrap();
        assert!(
            answer.ends_with("p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
            "{answer}"
        );
        let proof = BASE64.encode("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=");
        assert!(is_proved(proof.as_bytes(), &wanted));
        assert!(!is_proved(b"", &wanted));
    }
}
