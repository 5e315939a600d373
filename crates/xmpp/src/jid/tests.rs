//! RFC 7622, section by section, and what must hold for any text.

use proptest::prelude::*;

use super::{BareJid, Error, Jid, PART_OCTETS_MAX, Part};

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

fn parts(text: &str) -> (Option<String>, String, Option<String>) {
    let jid = jid(text);
    (
        jid.local().map(Into::into),
        jid.domain().into(),
        jid.resource().map(Into::into),
    )
}

fn some(text: &str) -> Option<String> {
    Some(text.into())
}

/// RFC 7622 §3.5, table 1. What is written is what was read.
#[test]
fn the_valid_examples_of_the_rfc_are_addresses() {
    for text in [
        "juliet@example.com",
        "juliet@example.com/foo",
        "juliet@example.com/foo bar",
        "juliet@example.com/foo@bar",
        "foo\\20bar@example.com",
        "fussball@example.com",
        "fu\u{df}ball@example.com",
        "\u{3c0}@example.com",
        "\u{3c3}@example.com/foo",
        "\u{3c2}@example.com/foo",
        "king@example.com/\u{265a}",
        "example.com",
        "example.com/foobar",
        "a.example.com/b@example.net",
    ] {
        assert_eq!(jid(text).as_str(), text);
    }
    assert_eq!(
        jid("\u{3a3}@example.com/foo"),
        jid("\u{3c3}@example.com/foo")
    );
}

/// RFC 7622 §3.5, table 2. Its third example, a space at the start of the
/// resource, is allowed by the profile that §3.4 names.
#[test]
fn the_invalid_examples_of_the_rfc_are_not() {
    for (text, error) in [
        ("\"juliet\"@example.com", Error::Forbidden(Part::Local)),
        ("foo bar@example.com", Error::Forbidden(Part::Local)),
        ("@example.com/", Error::Empty(Part::Local)),
        ("henry\u{2163}@example.com", Error::Forbidden(Part::Local)),
        ("\u{265a}@example.com", Error::Forbidden(Part::Local)),
        ("juliet@", Error::Empty(Part::Domain)),
        ("/foobar", Error::Empty(Part::Domain)),
    ] {
        assert_eq!(Jid::parse(text), Err(error), "{text}");
    }
    assert_eq!(jid("juliet@example.com/ foo").resource(), Some(" foo"));
}

/// RFC 7622 §3.1; `PROTOCOL.md` 35.
#[test]
fn the_first_slash_ends_the_domain_and_the_first_at_before_it_the_localpart() {
    let expected = (some("user"), "host".to_owned(), some("a/b@c"));
    assert_eq!(parts("user@host/a/b@c"), expected);
    assert_eq!(parts("host/a@b"), (None, "host".to_owned(), some("a@b")));
    assert_eq!(Jid::parse("a@b@c"), Err(Error::Forbidden(Part::Domain)));
}

/// RFC 7622 §3.1: a part that is announced by its separator is not empty.
#[test]
fn empty_parts_are_refused() {
    assert_eq!(Jid::parse(""), Err(Error::Empty(Part::Domain)));
    assert_eq!(Jid::parse("."), Err(Error::Empty(Part::Domain)));
    assert_eq!(Jid::parse("@host"), Err(Error::Empty(Part::Local)));
    assert_eq!(Jid::parse("host/"), Err(Error::Empty(Part::Resource)));
    assert_eq!(Jid::parse("a..b"), Err(Error::Forbidden(Part::Domain)));
    assert_eq!(Jid::parse(".host"), Err(Error::Forbidden(Part::Domain)));
    for text in ["host..", "host\u{3002}.", "host.\u{3002}"] {
        assert_eq!(
            Jid::parse(text),
            Err(Error::Forbidden(Part::Domain)),
            "{text}"
        );
    }
}

/// RFC 7622 §3.2–§3.4: 1023 octets, counted after normalisation.
#[test]
fn no_part_is_longer_than_1023_octets() {
    let full = "x".repeat(PART_OCTETS_MAX);
    let longest = format!("{full}@{full}/{full}");
    assert_eq!(jid(&longest).to_string(), longest);
    let long = "x".repeat(PART_OCTETS_MAX + 1);
    for (text, part) in [
        (format!("{long}@host"), Part::Local),
        (long.clone(), Part::Domain),
        (format!("user@host/{long}"), Part::Resource),
        (format!("\u{e9}{full}@host"), Part::Local),
        (format!("host/\u{e9}{full}"), Part::Resource),
        ("\u{e9}".repeat(1 << 20), Part::Domain),
    ] {
        assert_eq!(Jid::parse(&text), Err(Error::TooLong(part)));
    }
    // Full-width letters have three octets, what they are mapped to has one.
    let wide = format!("{}@host", "\u{ff58}".repeat(PART_OCTETS_MAX));
    assert_eq!(jid(&wide).local(), Some(full.as_str()));
}

/// RFC 7622 §3.3 with RFC 8265 §3.3.
#[test]
fn localparts_are_folded_and_composed() {
    for (text, local) in [
        ("Juliet@host", "juliet"),
        (
            "JULIET!#$%*+-.=?^_`{|}~\\@host",
            "juliet!#$%*+-.=?^_`{|}~\\",
        ),
        ("\u{ff2a}uliet@host", "juliet"),
        ("E\u{301}milie@host", "\u{e9}milie"),
        ("\u{c9}MILIE@host", "\u{e9}milie"),
        ("\u{130}stanbul@host", "i\u{307}stanbul"),
        ("\u{5d0}\u{5d1}1@host", "\u{5d0}\u{5d1}1"),
    ] {
        assert_eq!(jid(text).local(), Some(local), "{text}");
    }
}

/// RFC 7622 §3.3.1, also for what only becomes a barred character.
#[test]
fn barred_characters_are_barred() {
    for barred in "\"&':<> \u{7f}\t\n\u{0}\u{a0}\u{200b}\u{feff}\u{ff20}\u{ff1a}\u{ff0f}".chars() {
        let text = format!("a{barred}b@host");
        assert_eq!(
            Jid::parse(&text),
            Err(Error::Forbidden(Part::Local)),
            "{barred:?}"
        );
    }
    // RFC 5893 §2: left-to-right and right-to-left letters do not mix.
    assert!(Jid::parse("\u{5d0}b@host").is_err());
}

/// RFC 8264 §4.2, §9.6: marks that depend on what is around them.
#[test]
fn contextual_marks_need_their_context() {
    assert_eq!(jid("xl\u{b7}lx@host").local(), Some("xl\u{b7}lx"));
    assert!(Jid::parse("x\u{b7}x@host").is_err());
    assert_eq!(
        jid("\u{915}\u{94d}\u{200d}@host").local(),
        Some("\u{915}\u{94d}\u{200d}")
    );
    assert!(Jid::parse("a\u{200d}b@host").is_err());
    assert!(Jid::parse("host/a\u{200d}b").is_err());
    // Each rule reads the whole text: there is an end to how many may ask.
    assert!(Jid::parse(&format!("l{}@host", "\u{b7}l".repeat(32))).is_ok());
    assert!(Jid::parse(&format!("l{}@host", "\u{b7}l".repeat(33))).is_err());
}

/// Letters of Unicode 7 and later, which IANA's tables do not have.
#[test]
fn young_letters_are_letters() {
    assert_eq!(jid("\u{1e900}@host").local(), Some("\u{1e922}"));
    assert_eq!(jid("\u{10570}@host").local(), Some("\u{10597}"));
    for text in [
        "\u{1f92f}@host",
        "\u{1f16c}@host",
        "\u{180f}@host",
        "\u{107a1}@host",
    ] {
        assert_eq!(
            Jid::parse(text),
            Err(Error::Forbidden(Part::Local)),
            "{text}"
        );
    }
}

/// RFC 7622 §3.4 with RFC 8265 §4.2.
#[test]
fn resources_keep_their_case_and_their_spaces() {
    for (text, resource) in [
        ("host/Balcony ", "Balcony "),
        ("host/\"&':<>@/", "\"&':<>@/"),
        ("host/a\u{a0}b\u{3000}c", "a b c"),
        ("host/E\u{301}", "\u{c9}"),
        ("host/\u{ff21}", "\u{ff21}"),
        ("host/\u{1f92f} \u{1fae0}", "\u{1f92f} \u{1fae0}"),
        ("host/phone \u{b7} Gajim", "phone \u{b7} Gajim"),
    ] {
        assert_eq!(jid(text).resource(), Some(resource), "{text}");
    }
    for text in [
        "host/\u{0}",
        "host/a\nb",
        "host/\u{200b}",
        "host/\u{e000}",
        "host/\u{10ffff}",
    ] {
        assert_eq!(
            Jid::parse(text),
            Err(Error::Forbidden(Part::Resource)),
            "{text:?}"
        );
    }
}

/// RFC 7622 §3.2; `PROTOCOL.md` 34.
#[test]
fn one_domain_has_one_spelling() {
    for (text, domain) in [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("example\u{3002}com\u{3002}", "example.com"),
        ("\u{ff25}xample.com", "example.com"),
        ("xn--bcher-kva.example", "b\u{fc}cher.example"),
        ("XN--BCHER-KVA.example", "b\u{fc}cher.example"),
        ("B\u{dc}CHER.example", "b\u{fc}cher.example"),
        ("fa\u{df}.example", "fa\u{df}.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("[2001:DB8:0::1]", "[2001:db8::1]"),
        ("[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]"),
        ("r3---sn.example", "r3---sn.example"),
    ] {
        assert_eq!(jid(text).domain(), domain, "{text}");
    }
}

/// RFC 5890 §2.3.1, RFC 3986 §3.2.2.
#[test]
fn what_no_host_is_called_is_refused() {
    for text in [
        "a b",
        "a_b",
        "-a",
        "a-",
        "a.-b",
        "a-.b",
        "host:5222",
        "[::1",
        "::1",
        "[::1]x",
        "[]",
        "[fe80::1%eth0]",
        "[v1.x]",
        "a\u{2100}b",
        "xn--",
        "xn--a",
        "xn--a-",
        "a\u{0}",
        "\u{ad}",
    ] {
        assert_eq!(
            Jid::parse(text),
            Err(Error::Forbidden(Part::Domain)),
            "{text:?}"
        );
    }
}

/// XEP-0106 §2; `PROTOCOL.md` 37.
#[test]
fn escapes_are_characters() {
    assert_eq!(jid("d\\27artagnan@host").local(), Some("d\\27artagnan"));
    assert_ne!(jid("a\\40b@host"), jid("a\\40b@host/r"));
}

#[test]
fn bare_and_full_forms_share_and_agree() {
    let full = jid("romeo@montague.lit/orchard");
    let bare = full.to_bare();
    assert_eq!(bare.as_str(), "romeo@montague.lit");
    assert_eq!(
        (bare.resource(), bare.is_bare(), full.is_full()),
        (None, true, true)
    );
    assert_eq!(bare, BareJid::parse("romeo@montague.lit").unwrap());
    assert_eq!(bare.to_bare(), bare);
    assert_eq!(bare.with_resource("orchard"), Ok(full.clone()));
    assert_eq!(bare.with_resource(""), Err(Error::Empty(Part::Resource)));
    assert_eq!(full.to_host().as_str(), "montague.lit");
    assert!(full.to_host().is_domain() && !full.is_domain());
    assert!(full.is_same_bare(&bare));
    assert_eq!(
        BareJid::parse("romeo@montague.lit/orchard"),
        Err(Error::Unexpected(Part::Resource)),
    );
}

#[test]
fn a_set_of_bare_addresses_can_be_asked_with_either_kind() {
    let set = std::collections::HashSet::from([jid("a@b/c").to_bare()]);
    assert!(set.contains("a@b"));
    assert!(set.contains(&jid("a@b")));
    assert!(!set.contains(&jid("a@b/c")));
}

/// Characters that addresses are made of and that rules are made for.
fn odd_text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(
        "aZ09.-_@/[]: xn\u{df}\u{3a3}\u{130}\u{301}\u{ff21}\u{ff20}\u{3002}\u{5d0}\u{660}\u{b7}l\
         \u{200d}\u{200c}\u{ad}\u{1c5}\u{1f88}\u{2163}\u{1f92f}\u{fe0f}\u{345}\u{1100}"
            .chars()
            .collect::<Vec<_>>(),
    );
    prop::collection::vec(prop_oneof![3 => odd, 1 => any::<char>()], 0..24)
        .prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// `PROTOCOL.md` 36: no text panics; what is written reads back as itself.
    #[test]
    fn writing_and_reading_is_identity(text in odd_text()) {
        if let Ok(first) = Jid::parse(&text) {
            let again = Jid::parse(first.as_str());
            prop_assert_eq!(again.as_ref(), Ok(&first));
            let again = again.unwrap();
            prop_assert_eq!(again.local(), first.local());
            prop_assert_eq!(again.domain(), first.domain());
            prop_assert_eq!(again.resource(), first.resource());
        }
    }

    /// The fast path and the full rules are one function.
    #[test]
    fn the_fast_path_changes_nothing(text in "[ -~]{0,12}@?[a-zA-Z0-9.-]{0,12}/?[ -~]{0,8}") {
        let (local, domain, resource) = super::split(&text);
        let full = Jid::from_parts(local, domain, resource);
        prop_assert_eq!(Jid::parse(&text), full);
    }

    #[test]
    fn parts_that_are_joined_come_apart(
        local in "[a-z]{0,4}\\PC{0,4}", domain in "[a-z\u{e0}-\u{ff}]{1,9}", resource in "\\PC{0,9}",
    ) {
        if let Ok(jid) = Jid::from_parts(Some(&local), &domain, Some(&resource)) {
            prop_assert_eq!(Jid::parse(jid.as_str()), Ok(jid));
        }
    }
}
