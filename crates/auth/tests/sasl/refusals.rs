//! Everything SCRAM must not accept.

use starling_auth::{Condition, Context, Mechanism, Profile, Step};
use starling_xmpp::credentials::{Credentials, ScramHash};

use crate::support::{
    Client, END_POINT, EXPORTER, NOW, ROMEO, challenge, condition, context, failure, jid, lookup,
    start, success, unbound,
};

fn play(client: &Client, name: &str, context: Context) -> Step {
    client.play(name, context, Some(&ROMEO))
}

fn sasl1() -> Context {
    context(Profile::Sasl1)
}

#[test]
fn the_client_used_here_is_accepted() {
    let client = Client::new("n,,", "romeo", b"");
    let success = success(play(&client, "SCRAM-SHA-256", sasl1()));
    assert_eq!(success.account, jid("romeo@example.org"));
    assert_eq!(success.mechanism, Mechanism::Scram(ScramHash::Sha256));
    assert_eq!(success.hashes, ScramHash::ALL);
    for (type_, data) in [
        ("tls-exporter", EXPORTER),
        ("tls-server-end-point", END_POINT),
    ] {
        let client = Client::new(&format!("p={type_},,"), "romeo", data);
        let step = play(&client, "SCRAM-SHA-256-PLUS", sasl1());
        assert!(matches!(step, Step::Success(_)), "{type_}: {step:?}");
    }
}

#[test]
fn flag_y_fails_when_plus_was_offered() {
    let client = Client::new("y,,", "romeo", b"");
    let refused = failure(play(&client, "SCRAM-SHA-256", sasl1()));
    assert_eq!(refused.condition, Condition::NotAuthorized, "RFC 5802 §6");
    let step = play(&client, "SCRAM-SHA-256", unbound());
    assert!(matches!(step, Step::Success(_)), "{step:?}");
}

#[test]
fn flag_and_mechanism_must_agree() {
    for (header, name) in [
        ("p=tls-exporter,,", "SCRAM-SHA-256"),
        ("n,,", "SCRAM-SHA-256-PLUS"),
        ("y,,", "SCRAM-SHA-256-PLUS"),
        ("p=tls-unique,,", "SCRAM-SHA-256-PLUS"),
        ("p=no-such-type,,", "SCRAM-SHA-256-PLUS"),
        ("p=,,", "SCRAM-SHA-256-PLUS"),
    ] {
        let client = Client::new(header, "romeo", EXPORTER);
        let step = play(&client, name, sasl1());
        assert_eq!(
            condition(step),
            Condition::MalformedRequest,
            "RFC 5802 §6: {header} {name}"
        );
    }
}

#[test]
fn another_channel_is_refused() {
    let client = Client::new("p=tls-exporter,,", "romeo", b"of someone in the middle");
    let refused = failure(play(&client, "SCRAM-SHA-256-PLUS", sasl1()));
    assert_eq!(refused.condition, Condition::NotAuthorized, "RFC 5802 §6");
    let client = Client::new("p=tls-server-end-point,,", "romeo", EXPORTER);
    let refused = failure(play(&client, "SCRAM-SHA-256-PLUS", sasl1()));
    assert_eq!(refused.text, Some("the channel binding does not match"));
    let client = Client::new("n,,", "romeo", b"x");
    let step = play(&client, "SCRAM-SHA-256", sasl1());
    assert_eq!(
        condition(step),
        Condition::NotAuthorized,
        "data that was not asked for"
    );
}

#[test]
fn the_header_of_the_proof_is_the_header_of_the_beginning() {
    let mut client = Client::new("n,,", "romeo", b"");
    let mut exchange = start("SCRAM-SHA-256", sasl1());
    lookup(exchange.begin(Some(&client.first())));
    let challenge = challenge(exchange.supply(Some(&ROMEO), NOW));
    client.gs2_header = "y,,".to_owned();
    let step = exchange.respond(&client.last(&challenge));
    assert_eq!(
        condition(step),
        Condition::NotAuthorized,
        "RFC 5802 §5.1, attribute c"
    );
}

#[test]
fn a_wrong_password_is_not_authorized() {
    let mut client = Client::new("n,,", "romeo", b"");
    client.password = "Pencil".to_owned();
    let refused = failure(play(&client, "SCRAM-SHA-256", sasl1()));
    assert_eq!(
        refused.condition,
        Condition::NotAuthorized,
        "RFC 6120 §6.5.10"
    );
    assert!(refused.is_guess());
}

#[test]
fn a_disabled_account_is_told_so_only_with_the_password() {
    let disabled = Credentials {
        is_disabled: true,
        ..ROMEO.clone()
    };
    let mut client = Client::new("n,,", "romeo", b"");
    let step = client.play("SCRAM-SHA-256", sasl1(), Some(&disabled));
    assert_eq!(
        condition(step),
        Condition::AccountDisabled,
        "RFC 6120 §6.5.2"
    );
    client.password = "guess".to_owned();
    let step = client.play("SCRAM-SHA-256", sasl1(), Some(&disabled));
    assert_eq!(condition(step), Condition::NotAuthorized);
}

#[test]
fn nobody_acts_for_somebody_else() {
    for (authzid, is_allowed) in [
        ("a=romeo@example.org", true),
        ("a=ROMEO@EXAMPLE.ORG", true),
        ("a=juliet@example.org", false),
        ("a=romeo@example.net", false),
        ("a=romeo@example.org/orchard", false),
        ("a=example.org", false),
        ("a=romeo", false),
        ("a=@", false),
        ("a=", false),
    ] {
        let client = Client::new(&format!("n,{authzid},"), "romeo", b"");
        match play(&client, "SCRAM-SHA-256", sasl1()) {
            Step::Success(_) => assert!(is_allowed, "RFC 6120 §6.3.8: {authzid}"),
            step => {
                assert!(!is_allowed, "{authzid}: {step:?}");
                assert_eq!(condition(step), Condition::InvalidAuthzid, "{authzid}");
            }
        }
    }
}

#[test]
fn the_stream_s_from_binds_the_identity() {
    let from = |profile, from| {
        let mut context = context(profile);
        context.stream_from = Some(jid(from));
        context
    };
    let silent = Client::new("n,,", "romeo", b"");
    let explicit = Client::new("n,a=romeo@example.org,", "romeo", b"");
    for (client, profile, stream, is_allowed) in [
        (&silent, Profile::Sasl2, "romeo@example.org", true),
        (&explicit, Profile::Sasl2, "romeo@example.org", true),
        (&silent, Profile::Sasl2, "juliet@example.org", false),
        (&explicit, Profile::Sasl2, "juliet@example.org", false),
        (&silent, Profile::Sasl1, "juliet@example.org", true),
        (&explicit, Profile::Sasl1, "juliet@example.org", false),
    ] {
        let step = play(client, "SCRAM-SHA-256", from(profile, stream));
        let is_success = matches!(step, Step::Success(_));
        assert_eq!(
            is_success, is_allowed,
            "XEP-0388 §2.3: {profile:?} from {stream}: {step:?}"
        );
        if !is_success {
            assert_eq!(condition(step), Condition::InvalidAuthzid);
        }
    }
}

#[test]
fn names_are_escaped_and_prepared() {
    let client = Client::new("n,,", "ROMEO", b"");
    let accepted = success(play(&client, "SCRAM-SHA-256", sasl1()));
    assert_eq!(accepted.account, jid("romeo@example.org"), "RFC 7622 §3.3");
    for (name, local) in [("a=2Cb", "a,b"), ("a=3Db", "a=b"), ("=3D2C", "=2c")] {
        let mut exchange = start("SCRAM-SHA-256", sasl1());
        let first = format!("n,,n={name},r=nonce");
        let account = lookup(exchange.begin(Some(first.as_bytes())));
        assert_eq!(account.local(), Some(local), "RFC 5802 §5.1: {name}");
    }
    for name in ["a=b", "a=", "=2", "=2c", "=3d", "a=2Cb=", ""] {
        let mut exchange = start("SCRAM-SHA-256", sasl1());
        let first = format!("n,,n={name},r=nonce");
        let step = exchange.begin(Some(first.as_bytes()));
        assert_eq!(condition(step), Condition::MalformedRequest, "{name}");
    }
    for name in ["romeo@example.org", "a b", "a/b", "<a>"] {
        let mut exchange = start("SCRAM-SHA-256", sasl1());
        let first = format!("n,,n={name},r=nonce");
        let step = exchange.begin(Some(first.as_bytes()));
        assert_eq!(condition(step), Condition::NotAuthorized, "{name}");
    }
}

#[test]
fn a_malformed_first_message_is_refused() {
    let long = format!("n,,n=romeo,r={}", "x".repeat(257));
    for first in [
        "",
        ",",
        ",,",
        "n",
        "n,",
        "n,,",
        "n,,n=romeo",
        "n,,n=romeo,",
        "n,,n=romeo,r=",
        "n,,r=x,n=romeo",
        "n,,romeo,r=x",
        "N,,n=romeo,r=x",
        "x,,n=romeo,r=x",
        "p,,n=romeo,r=x",
        "n,romeo@example.org,n=romeo,r=x",
        "n,,m=ext,n=romeo,r=x",
        "n,,n=romeo,r=x,m=ext",
        "n,,n=romeo,r=x,",
        "n,,n=romeo,r=x,y",
        "n,,n=romeo,r=x,y=",
        "n,,n=romeo,r=x,1=y",
        "n,,n=romeo,r=\u{e4}",
        "n,,n=romeo,r=a b",
        "n,,n=ro\0meo,r=x",
        "n,,n=romeo,r=x\0",
        long.as_str(),
    ] {
        let step = start("SCRAM-SHA-256", sasl1()).begin(Some(first.as_bytes()));
        assert_eq!(
            condition(step),
            Condition::MalformedRequest,
            "RFC 5802 §7: {first:?}"
        );
    }
    let step = start("SCRAM-SHA-256", sasl1()).begin(Some(b"n,,n=\xff,r=x"));
    assert_eq!(condition(step), Condition::MalformedRequest);
}

#[test]
fn a_malformed_last_message_is_refused() {
    let client = Client::new("n,,", "romeo", b"");
    let broken: [fn(&str) -> String; 12] = [
        |_| String::new(),
        |good| good.replace(",p=", ",q="),
        |good| good.replace("c=", "b="),
        |good| good.replace("r=clientnonce", "r=clientnoncf"),
        |good| good.replace(",p=", "x,p="),
        |good| good.replace("c=biws", "c=biw"),
        |good| good.replace("c=biws", "c=*"),
        |good| good.replace(",p=", ",p=*"),
        |good| good.replace(",p=", ",m=x,p="),
        |good| good.replace(",p=", ",x,p="),
        |good| format!("{good},x=y"),
        |good| good.replace("c=", "\0c="),
    ];
    for (index, breaks) in broken.into_iter().enumerate() {
        let mut exchange = start("SCRAM-SHA-256", sasl1());
        lookup(exchange.begin(Some(&client.first())));
        let challenge = challenge(exchange.supply(Some(&ROMEO), NOW));
        let good = String::from_utf8(client.last(&challenge)).unwrap();
        let step = exchange.respond(breaks(&good).as_bytes());
        assert_eq!(
            condition(step),
            Condition::MalformedRequest,
            "RFC 5802 §7: no. {index}"
        );
    }
}

#[test]
fn a_proof_of_a_wrong_length_is_refused() {
    let client = Client::new("n,,", "romeo", b"");
    for proof in ["", "AAAA", &"AAAA".repeat(64)] {
        let mut exchange = start("SCRAM-SHA-256", sasl1());
        lookup(exchange.begin(Some(&client.first())));
        let challenge = challenge(exchange.supply(Some(&ROMEO), NOW));
        let good = String::from_utf8(client.last(&challenge)).unwrap();
        let (head, _) = good.rsplit_once("p=").unwrap();
        let step = exchange.respond(format!("{head}p={proof}").as_bytes());
        assert_eq!(condition(step), Condition::NotAuthorized, "{proof}");
    }
}

#[test]
fn optional_extensions_are_signed_and_ignored() {
    let mut client = Client::new("n,,", "romeo", b"");
    client.bare.push_str(",x=what=ever");
    client.extension = ",y=1".to_owned();
    let step = play(&client, "SCRAM-SHA-256", sasl1());
    assert!(matches!(step, Step::Success(_)), "RFC 5802 §5.1: {step:?}");
}

#[test]
fn what_comes_out_of_turn_fails() {
    let first = Client::new("n,,", "romeo", b"").first();
    let mut exchange = start("SCRAM-SHA-256", sasl1());
    assert_eq!(
        condition(exchange.supply(Some(&ROMEO), NOW)),
        Condition::MalformedRequest
    );
    assert_eq!(
        condition(exchange.begin(Some(&first))),
        Condition::MalformedRequest,
        "over"
    );
    let mut exchange = start("SCRAM-SHA-256", sasl1());
    lookup(exchange.begin(Some(&first)));
    assert_eq!(
        condition(exchange.respond(&first)),
        Condition::MalformedRequest
    );
    let mut exchange = start("SCRAM-SHA-256", sasl1());
    lookup(exchange.begin(Some(&first)));
    challenge(exchange.supply(Some(&ROMEO), NOW));
    assert_eq!(
        condition(exchange.respond(&first)),
        Condition::MalformedRequest
    );
    assert_eq!(
        condition(exchange.begin(None)),
        Condition::MalformedRequest,
        "over"
    );
}
