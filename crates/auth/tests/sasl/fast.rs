//! FAST (XEP-0484): tokens are issued, used, rotated, replaced and refused.

use starling_auth::fast::{Change, Issued, Lifetime, Request};
use starling_auth::{Condition, Context, Mechanism, Profile, Step, Success, fast};
use starling_xmpp::credentials::{Credentials, FastSlot, FastToken};
use starling_xmpp::time::UnixMillis;

use crate::support::{
    END_POINT, EXPORTER, NOW, ROMEO, condition, context, hmac, jid, start_fast, success,
};

const NONE: &str = "HT-SHA-256-NONE";
const EXPR: &str = "HT-SHA-256-EXPR";
const ENDP: &str = "HT-SHA-256-ENDP";

fn token(device: &str, slot: FastSlot, mechanism: &str, secret: &str) -> FastToken {
    FastToken {
        device: device.into(),
        slot,
        mechanism: mechanism.into(),
        secret: secret.as_bytes().to_vec(),
        expires_at: NOW.plus_millis(Lifetime::default().ttl_ms),
        count: None,
    }
}

fn account(tokens: Vec<FastToken>) -> Credentials {
    Credentials {
        tokens,
        ..ROMEO.clone()
    }
}

fn request(count: Option<&str>, is_early_data: bool) -> Request {
    Request::new(Some("phone"), count, None, is_early_data).unwrap()
}

fn log_in(
    mechanism: &str,
    secret: &str,
    binding: &[u8],
    request: Request,
    credentials: &Credentials,
    now: UnixMillis,
) -> Step {
    let mac = hmac(secret.as_bytes(), &[b"Initiator", binding]);
    let message = [b"romeo\0".to_vec(), mac].concat();
    let mut exchange = start_fast(mechanism, context(Profile::Sasl2), request);
    assert!(matches!(exchange.begin(Some(&message)), Step::Lookup(_)));
    exchange.supply(Some(credentials), now)
}

fn simple(secret: &str, credentials: &Credentials, now: UnixMillis) -> Step {
    log_in(NONE, secret, b"", request(None, false), credentials, now)
}

/// What the owner of the account does with changes.
fn apply(credentials: &mut Credentials, changes: Vec<Change>) {
    for change in changes {
        let tokens = &mut credentials.tokens;
        match change {
            Change::Put(token) => {
                tokens.retain(|t| (&t.device, t.slot) != (&token.device, token.slot));
                tokens.push(token);
            }
            Change::Remove { device, slot } => {
                tokens.retain(|t| (&t.device, t.slot) != (&device, slot));
            }
        }
    }
}

fn issue(now: UnixMillis) -> Issued {
    fast::issue("phone", Mechanism::Ht(None), &Lifetime::default(), now)
}

fn finish(credentials: &mut Credentials, success: &Success, issued: Option<&Issued>) {
    let changes = fast::changes(credentials, success, issued, NOW);
    apply(credentials, changes);
}

/// draft-schmaus-kitten-sasl-ht-09 §3 prints no example; these MACs were made
/// from its definition with Python's `hmac`.
#[test]
fn messages_by_hand() {
    let secret = "WXZzciBwYmFmdmZnZiBqdmd1IGp2eXFhcmZm";
    let hex = |text: &str| -> Vec<u8> {
        let digit = |i: usize| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(digit).collect()
    };
    let exporter: Vec<u8> = (0..32).collect();
    for (mechanism, initiator, responder) in [
        (
            NONE,
            "9097787461a184e0fa84ec00c1381190b6c4d16a8ec4453c7b2ac5e7fcf935ed",
            "4e513409631474863b986c9f3e8c1e27ca29d1d7ab9ed4097e7afd6007bf9c62",
        ),
        (
            EXPR,
            "0c5745576afeea711960549186a31a65c9f328205ee38b66825b3d4c872b395c",
            "1260579b34d55aeba4e43062a412db609a0a7153abd218b0f148445c4e83529f",
        ),
    ] {
        let mut context: Context = context(Profile::Sasl2);
        context.bindings = vec![starling_auth::ChannelBinding::new(
            starling_auth::CbType::TlsExporter,
            exporter.clone(),
        )];
        let credentials = account(vec![token("phone", FastSlot::Next, mechanism, secret)]);
        let mut exchange = start_fast(mechanism, context, request(Some("1"), false));
        let message = [b"romeo\0".to_vec(), hex(initiator)].concat();
        let step = exchange.begin(Some(&message));
        assert!(matches!(step, Step::Lookup(ref a) if *a == jid("romeo@example.org")));
        let success = success(exchange.supply(Some(&credentials), NOW));
        assert_eq!(success.additional_data, Some(hex(responder)), "{mechanism}");
        assert_eq!(success.mechanism.as_str(), mechanism);
    }
}

#[test]
fn each_binding_needs_its_own_data() {
    for (mechanism, binding) in [(NONE, &b""[..]), (EXPR, EXPORTER), (ENDP, END_POINT)] {
        let credentials = account(vec![token("phone", FastSlot::Current, mechanism, "sesame")]);
        let try_with = |data| {
            log_in(
                mechanism,
                "sesame",
                data,
                request(None, false),
                &credentials,
                NOW,
            )
        };
        success(try_with(binding));
        assert_eq!(
            condition(try_with(b"middle")),
            Condition::NotAuthorized,
            "{mechanism}"
        );
    }
}

#[test]
fn a_token_is_bound_to_its_mechanism_device_and_secret() {
    let credentials = account(vec![token("phone", FastSlot::Current, EXPR, "sesame")]);
    assert_eq!(
        condition(simple("sesame", &credentials, NOW)),
        Condition::NotAuthorized,
        "XEP-0484 §3.4: without channel binding"
    );
    let credentials = account(vec![token("laptop", FastSlot::Current, NONE, "sesame")]);
    assert_eq!(
        condition(simple("sesame", &credentials, NOW)),
        Condition::NotAuthorized
    );
    let credentials = account(vec![token("phone", FastSlot::Current, NONE, "sesame")]);
    assert_eq!(
        condition(simple("simsim", &credentials, NOW)),
        Condition::NotAuthorized
    );
}

#[test]
fn an_expired_token_says_so_to_its_owner_only() {
    let credentials = account(vec![token("phone", FastSlot::Current, NONE, "sesame")]);
    let expiry = credentials.tokens[0].expires_at;
    success(simple("sesame", &credentials, expiry.plus_millis(-1)));
    let step = simple("sesame", &credentials, expiry);
    assert_eq!(
        condition(step),
        Condition::CredentialsExpired,
        "XEP-0484 §4.2"
    );
    let step = simple("simsim", &credentials, expiry);
    assert_eq!(condition(step), Condition::NotAuthorized);
    let mut disabled = credentials;
    disabled.is_disabled = true;
    assert_eq!(
        condition(simple("sesame", &disabled, NOW)),
        Condition::AccountDisabled
    );
}

#[test]
fn the_old_token_is_valid_until_the_new_one_is_used() {
    let mut credentials = account(vec![token("phone", FastSlot::Current, NONE, "old")]);
    let later = NOW.plus_millis(Lifetime::default().rotate_after_ms);
    let first = success(simple("old", &credentials, NOW));
    let offer = context(Profile::Sasl2).offer;
    assert_eq!(fast::due(&first, &offer, None), None, "not due yet");
    let used = success(simple("old", &credentials, later));
    assert_eq!(
        fast::due(&used, &offer, None),
        Some(Mechanism::Ht(None)),
        "XEP-0484 §3.5"
    );
    let lost = issue(later);
    finish(&mut credentials, &used, Some(&lost));
    let used = success(simple("old", &credentials, later));
    let received = issue(later);
    finish(&mut credentials, &used, Some(&received));
    let step = simple(&lost.token, &credentials, later);
    assert_eq!(
        condition(step),
        Condition::NotAuthorized,
        "XEP-0484 §3.5: never used"
    );
    success(simple("old", &credentials, later));
    let used = success(simple(&received.token, &credentials, later));
    finish(&mut credentials, &used, None);
    let step = simple("old", &credentials, later);
    assert_eq!(condition(step), Condition::NotAuthorized, "XEP-0484 §5.1");
    success(simple(&received.token, &credentials, later));
    assert_eq!(credentials.tokens.len(), 1);
    assert_eq!(credentials.tokens[0].slot, FastSlot::Current);
}

#[test]
fn early_data_needs_a_greater_count() {
    let mut credentials = account(vec![token("phone", FastSlot::Current, NONE, "sesame")]);
    let mut log_in = |count, is_early, expected: Option<Condition>| {
        let request = request(count, is_early);
        match (
            log_in(NONE, "sesame", b"", request, &credentials, NOW),
            expected,
        ) {
            (Step::Success(success), None) => finish(&mut credentials, &success, None),
            (step, Some(expected)) => assert_eq!(condition(step), expected, "XEP-0484 §3.4"),
            (step, None) => panic!("{count:?}: {step:?}"),
        }
    };
    let refused = Some(Condition::NotAuthorized);
    log_in(None, true, refused);
    log_in(Some("1"), true, None);
    log_in(Some("1"), true, refused);
    log_in(Some("5"), false, None);
    log_in(Some("4"), true, refused);
    log_in(Some("2"), false, None);
    log_in(Some("5"), true, refused);
    log_in(Some("6"), true, None);
    assert_eq!(credentials.tokens[0].count, Some(6));
}

#[test]
fn an_invalidated_token_is_gone_and_not_replaced() {
    let both = vec![
        token("phone", FastSlot::Current, NONE, "old"),
        token("phone", FastSlot::Next, NONE, "new"),
        token("laptop", FastSlot::Current, NONE, "other"),
    ];
    let later = NOW.plus_millis(Lifetime::default().rotate_after_ms);
    let goodbye = Request::new(Some("phone"), Some("1"), Some("true"), false).unwrap();
    let mut credentials = account(both);
    let used = success(log_in(NONE, "old", b"", goodbye, &credentials, later));
    let offer = context(Profile::Sasl2).offer;
    assert_eq!(fast::due(&used, &offer, None), None, "XEP-0484 §3.6");
    assert_eq!(
        fast::due(&used, &offer, Some(EXPR)).map(Mechanism::as_str),
        Some(EXPR)
    );
    finish(&mut credentials, &used, None);
    assert_eq!(credentials.tokens.len(), 1);
    assert_eq!(credentials.tokens[0].device, "laptop");
}

#[test]
fn a_token_is_given_for_what_was_offered_only() {
    let offer = context(Profile::Sasl2).offer;
    let credentials = account(vec![token("phone", FastSlot::Current, NONE, "sesame")]);
    let used = success(simple("sesame", &credentials, NOW));
    for (requested, expected) in [
        (Some(EXPR), Some(EXPR)),
        (Some("HT-SHA-256-UNIQ"), None),
        (Some("SCRAM-SHA-1"), None),
        (Some("PLAIN"), None),
        (Some(""), None),
        (None, None),
    ] {
        let due = fast::due(&used, &offer, requested);
        assert_eq!(
            due.map(Mechanism::as_str),
            expected,
            "XEP-0484 §3.2: {requested:?}"
        );
    }
}

#[test]
fn issued_tokens_are_unlike_and_start_unused() {
    let (one, two) = (issue(NOW), issue(NOW));
    assert_ne!(*one.token, *two.token);
    assert!(one.token.len() >= 43, "256 bits");
    assert_eq!(one.record.slot, FastSlot::Next, "XEP-0484 §5.1");
    assert_eq!(one.record.secret, one.token.as_bytes());
    assert_eq!(one.record.expires_at.0 % 1000, 0);
    assert!(!format!("{:?}", one.record).contains(one.token.as_str()));
}

#[test]
fn devices_have_a_bound_and_expired_tokens_go() {
    let mut tokens: Vec<FastToken> = (0..fast::DEVICES_MAX * 2)
        .map(|i| {
            let slot = [FastSlot::Current, FastSlot::Next][i % 2];
            let mut token = token(&format!("device{}", i / 2), slot, NONE, "x");
            token.expires_at = NOW.plus_millis(1_000_000 - i64::try_from(i).unwrap());
            token
        })
        .collect();
    tokens[10].expires_at = NOW;
    let mut credentials = account(tokens);
    let mut fresh = account(vec![token("phone", FastSlot::Current, NONE, "sesame")]);
    let used = success(simple("sesame", &fresh, NOW));
    finish(&mut fresh, &used, Some(&issue(NOW)));
    assert_eq!(fresh.tokens.len(), 2);
    finish(&mut credentials, &used, Some(&issue(NOW)));
    let max = fast::DEVICES_MAX * 2;
    assert!(
        credentials.tokens.len() <= max,
        "{}",
        credentials.tokens.len()
    );
    assert!(credentials.tokens.iter().all(|t| !t.is_expired(NOW)));
    assert!(credentials.tokens.iter().any(|t| t.device == "phone"));
    assert!(credentials.tokens.iter().any(|t| t.device == "device0"));
}

#[test]
fn malformed_requests_are_refused() {
    let new = |device, count, invalidate| Request::new(device, count, invalidate, false);
    for request in [
        new(None, None, None),
        new(Some(""), None, None),
        new(Some(&"x".repeat(65)), None, None),
        new(Some("phone"), Some("0"), None),
        new(Some("phone"), Some("-1"), None),
        new(Some("phone"), Some("x"), None),
        new(Some("phone"), Some("4294967296"), None),
        new(Some("phone"), None, Some("yes")),
    ] {
        assert_eq!(request.unwrap_err().condition, Condition::MalformedRequest);
    }
    let context = std::sync::Arc::new(context(Profile::Sasl2));
    let failure = starling_auth::Exchange::new(NONE, context, None).unwrap_err();
    assert_eq!(
        failure.condition,
        Condition::MalformedRequest,
        "XEP-0484 §3.4: no <fast/>"
    );
}

#[test]
fn malformed_messages_are_refused() {
    let mac = vec![0; 32];
    for message in [
        vec![],
        b"romeo".to_vec(),
        b"romeo\0".to_vec(),
        [b"romeo\0".to_vec(), vec![0; 31]].concat(),
        [b"romeo\0".to_vec(), vec![0; 33]].concat(),
        [b"\0".to_vec(), mac.clone()].concat(),
        [b"\xff\0".to_vec(), mac.clone()].concat(),
    ] {
        let mut exchange = start_fast(NONE, context(Profile::Sasl2), request(None, false));
        let step = exchange.begin(Some(&message));
        assert_eq!(condition(step), Condition::MalformedRequest, "{message:?}");
    }
    let mut exchange = start_fast(NONE, context(Profile::Sasl2), request(None, false));
    let step = exchange.begin(Some(
        &[b"romeo@example.org\0".to_vec(), mac.clone()].concat(),
    ));
    assert_eq!(condition(step), Condition::NotAuthorized);
    let mut elsewhere = context(Profile::Sasl2);
    elsewhere.stream_from = Some(jid("juliet@example.org"));
    let mut exchange = start_fast(NONE, elsewhere, request(None, false));
    let step = exchange.begin(Some(&[b"romeo\0".to_vec(), mac].concat()));
    assert_eq!(
        condition(step),
        Condition::InvalidAuthzid,
        "XEP-0484 §4.1, XEP-0388 §2.3"
    );
}
