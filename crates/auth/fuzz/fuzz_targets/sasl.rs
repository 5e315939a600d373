//! SASL: whatever a client sends, nothing panics, and nobody is let in by it.
//!
//! The first byte chooses the mechanism, the second whether the account
//! exists; what follows are messages, cut at byte 0xFF, and base64 as both
//! profiles read it.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use starling_auth::scram::{Derivation, verifiers_for};
use starling_auth::{
    CbType, ChannelBinding, Circumstances, Context, Exchange, Mechanism, Offer, Policy, Profile,
    ServerSecret, Step, encoding, fast,
};
use starling_xmpp::BareJid;
use starling_xmpp::credentials::Credentials;
use starling_xmpp::time::UnixMillis;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// No byte of it is in the corpus, and no message can be longer.
const PASSWORD: &str = "a password that no fuzzer finds: 7f83b1657ff1fc53b92dc18148a1d65d";

static CREDENTIALS: LazyLock<Credentials> = LazyLock::new(|| {
    let how = Derivation {
        iterations: 4096,
        ..Derivation::default()
    };
    Credentials {
        verifiers: verifiers_for(PASSWORD, &how).unwrap(),
        ..Credentials::default()
    }
});

static CONTEXT: LazyLock<Arc<Context>> = LazyLock::new(|| {
    let now = Circumstances {
        profile: Profile::Sasl2,
        is_encrypted: true,
        bindings: vec![CbType::TlsExporter, CbType::TlsServerEndPoint],
        has_certificate: true,
    };
    let offer = Offer::new(&Policy::default(), &now);
    let host = BareJid::parse("example.org").unwrap();
    let mut context = Context::new(host, offer, ServerSecret::new([9; 32]));
    context.iterations = 4096;
    context.bindings = vec![
        ChannelBinding::new(CbType::TlsExporter, vec![1; 32]),
        ChannelBinding::new(CbType::TlsServerEndPoint, vec![2; 32]),
    ];
    Arc::new(context)
});

fuzz_target!(|data: &[u8]| {
    let [mechanism, is_known, messages @ ..] = data else {
        return;
    };
    if let Ok(text) = str::from_utf8(messages) {
        for profile in [Profile::Sasl1, Profile::Sasl2] {
            let _ = encoding::initial(profile, Some(text));
            if let Ok(decoded) = encoding::response(profile, text) {
                assert_eq!(
                    encoding::response(profile, &encoding::encode(&decoded)).ok(),
                    Some(decoded),
                    "what is encoded decodes"
                );
            }
        }
    }
    let mechanism = Mechanism::ALL[usize::from(*mechanism) % Mechanism::ALL.len()];
    let request = fast::Request::new(Some("phone"), None, None, false).ok();
    let Ok(mut exchange) = Exchange::new(mechanism.as_str(), Arc::clone(&CONTEXT), request) else {
        return;
    };
    let mut messages = messages.split(|&byte| byte == 0xFF);
    let mut step = exchange.begin(messages.next());
    loop {
        step = match step {
            Step::Challenge(_) => match messages.next() {
                Some(message) => exchange.respond(message),
                None => return,
            },
            Step::Lookup(_) => {
                let known = (is_known % 2 == 0).then(|| &*CREDENTIALS);
                exchange.supply(known, NOW)
            }
            Step::Success(success) => panic!("{} was let in", success.account),
            Step::Failure(_) => return,
        };
    }
});
