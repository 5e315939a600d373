//! The client's side of SCRAM-SHA-256 (RFC 5802 §3, RFC 7677), written from
//! the RFC and not from our own code.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::base64;

/// How the client stands to channel binding.
pub(crate) enum Binding {
    /// `n`
    None,
    /// `y`
    ServerLacksIt,
    /// `p=`
    Type(&'static str, Vec<u8>),
}

impl Binding {
    fn header(&self) -> String {
        match self {
            Self::None => "n,,".to_owned(),
            Self::ServerLacksIt => "y,,".to_owned(),
            Self::Type(name, _) => format!("p={name},,"),
        }
    }
}

/// One exchange.
pub(crate) struct Scram {
    binding: Binding,
    first_bare: String,
    authzid: String,
}

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";

impl Scram {
    pub(crate) fn new(user: &str, binding: Binding) -> Self {
        Self {
            binding,
            first_bare: format!("n={user},r={NONCE}"),
            authzid: String::new(),
        }
    }

    /// Acts for someone.
    pub(crate) fn authzid(mut self, authzid: &str) -> Self {
        self.authzid = format!("a={authzid}");
        self
    }

    fn header(&self) -> String {
        let header = self.binding.header();
        format!("{}{},", header.strip_suffix(',').unwrap(), self.authzid)
    }

    /// The first message, in base64.
    pub(crate) fn first(&self) -> String {
        base64(format!("{}{}", self.header(), self.first_bare))
    }

    /// The final message for that challenge, and the `v=` to expect.
    pub(crate) fn last(&self, challenge: &str, password: &str) -> (String, String) {
        let first = String::from_utf8(BASE64_STANDARD.decode(challenge).unwrap()).unwrap();
        let attribute = |name: &str| {
            let found = first.split(',').find_map(|part| part.strip_prefix(name));
            found
                .unwrap_or_else(|| panic!("no {name} in {first}"))
                .to_owned()
        };
        let salt = BASE64_STANDARD.decode(attribute("s=")).unwrap();
        let rounds = attribute("i=").parse().unwrap();
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, rounds, &mut salted);

        let mut bound = self.header().into_bytes();
        if let Binding::Type(_, data) = &self.binding {
            bound.extend_from_slice(data);
        }
        let without_proof = format!("c={},r={}", base64(bound), attribute("r="));
        let message = format!("{},{first},{without_proof}", self.first_bare);
        let client_key = hmac(&salted, b"Client Key");
        let signature = hmac(&Sha256::digest(&client_key), message.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(a, b)| a ^ b)
            .collect();
        let server_key = hmac(&salted, b"Server Key");
        let server = base64(hmac(&server_key, message.as_bytes()));
        let last = format!("{without_proof},p={}", base64(proof));
        (base64(last), base64(format!("v={server}")))
    }
}

pub(crate) fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}
