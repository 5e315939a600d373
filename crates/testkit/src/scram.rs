//! The client's half of SCRAM (RFC 5802), written apart from the server's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// A hash SCRAM is used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// RFC 5802.
    Sha1,
    /// RFC 7677.
    Sha256,
    /// XEP-0480 and its companion draft.
    Sha512,
}

/// What the client says about channel binding (RFC 5802 §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// `n`: it knows none.
    Unknown,
    /// `y`: it would, but the server does not offer it.
    NotOffered,
    /// `p`: this type, with this data.
    Bound(String, Vec<u8>),
}

/// One exchange.
pub struct Scram {
    hash: Hash,
    password: String,
    gs2_header: String,
    binding_data: Vec<u8>,
    client_first_bare: String,
    nonce: String,
    server_signature: Vec<u8>,
}

impl Scram {
    /// Starts an exchange and returns it with its first message.
    #[must_use]
    pub fn new(
        hash: Hash,
        user: &str,
        password: &str,
        authzid: Option<&str>,
        binding: &Binding,
    ) -> (Self, String) {
        let authzid = authzid
            .map(|id| format!("a={}", escape(id)))
            .unwrap_or_default();
        let (flag, binding_data) = match binding {
            Binding::Unknown => ("n".to_owned(), Vec::new()),
            Binding::NotOffered => ("y".to_owned(), Vec::new()),
            Binding::Bound(name, data) => (format!("p={name}"), data.clone()),
        };
        let nonce = format!("{:032x}", rand::random::<u128>());
        let client_first_bare = format!("n={},r={nonce}", escape(user));
        let gs2_header = format!("{flag},{authzid},");
        let first = format!("{gs2_header}{client_first_bare}");
        let password = password.to_owned();
        let server_signature = Vec::new();
        let exchange = Self {
            hash,
            password,
            gs2_header,
            binding_data,
            client_first_bare,
            nonce,
            server_signature,
        };
        (exchange, first)
    }

    /// Answers the server's first message (RFC 5802 §5.1).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn answer(&mut self, server_first: &str) -> Result<String, String> {
        let field = |name: &str| {
            let mut fields = server_first.split(',');
            let field = fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            field.ok_or_else(|| format!("no {name}= in {server_first}"))
        };
        let nonce = field("r")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(format!(
                "the server's nonce does not extend ours: {server_first}"
            ));
        }
        let salt = BASE64
            .decode(field("s")?)
            .map_err(|error| error.to_string())?;
        let iterations = field("i")?
            .parse::<u32>()
            .map_err(|error| error.to_string())?;
        let binding = BASE64.encode([self.gs2_header.as_bytes(), &self.binding_data].concat());
        let without_proof = format!("c={binding},r={nonce}");
        let auth_message = format!("{},{server_first},{without_proof}", self.client_first_bare);
        let salted = self
            .hash
            .derive(self.password.as_bytes(), &salt, iterations);
        let client_key = self.hash.hmac(&salted, b"Client Key");
        let signature = self
            .hash
            .hmac(&self.hash.digest(&client_key), auth_message.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(key, mask)| key ^ mask)
            .collect();
        let server_key = self.hash.hmac(&salted, b"Server Key");
        self.server_signature = self.hash.hmac(&server_key, auth_message.as_bytes());
        Ok(format!("{without_proof},p={}", BASE64.encode(proof)))
    }

    /// Checks the server's last message: it must know the password's verifier.
    ///
    /// # Errors
    /// If the server has not proven itself.
    pub fn finish(&self, server_final: &str) -> Result<(), String> {
        let wanted = format!("v={}", BASE64.encode(&self.server_signature));
        if server_final.split(',').next() == Some(&wanted) {
            return Ok(());
        }
        Err(format!("the server's signature is wrong: {server_final}"))
    }
}

impl Hash {
    /// The mechanism's name, without `-PLUS`.
    #[must_use]
    pub const fn mechanism(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// HMAC with this hash.
    #[must_use]
    pub fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => hmac::<Hmac<Sha1>>(key, data),
            Self::Sha256 => hmac::<Hmac<Sha256>>(key, data),
            Self::Sha512 => hmac::<Hmac<Sha512>>(key, data),
        }
    }

    /// This hash.
    #[must_use]
    pub fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        }
    }

    /// RFC 5802 §2.2: `Hi`.
    #[must_use]
    pub fn derive(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Self::Sha1 => {
                pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password, salt, iterations).to_vec()
            }
            Self::Sha256 => {
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec()
            }
            Self::Sha512 => {
                pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, iterations).to_vec()
            }
        }
    }
}

fn hmac<T: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
    // HMAC takes keys of every length.
    let Ok(mac) = <T as KeyInit>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.chain_update(data).finalize().into_bytes().to_vec()
}

/// RFC 5802 §5.1: `,` and `=` in a saslname.
fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::{Binding, Hash, Scram};

    /// RFC 5802 §5 and RFC 7677 §3: the example exchanges.
    #[test]
    fn the_examples_of_the_rfcs_come_out() {
        let examples = [
            (
                Hash::Sha1,
                "fyko+d2lbbFgONRv9qkxdawL",
                "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ),
            (
                Hash::Sha256,
                "rOprNGfwEbeRWgbNEkqO",
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
        ];
        for (hash, nonce, server_first, proof, server_final) in examples {
            let (mut scram, _) = Scram::new(hash, "user", "pencil", None, &Binding::Unknown);
            scram.nonce = nonce.to_owned();
            scram.client_first_bare = format!("n=user,r={nonce}");
            assert!(scram.answer(server_first).unwrap().ends_with(proof));
            scram.finish(server_final).unwrap();
        }
    }
}
