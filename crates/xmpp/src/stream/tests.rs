//! The decoder: streams of RFC 6120, and what must end them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use bytes::BytesMut;

use super::*;
use crate::jid::Jid;
use crate::ns;
use crate::xml::Declaration;

const OPEN: &str = "<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>";

type Decoded = (Vec<Event>, Option<StreamError>);

/// Feeds `bytes` whole.
fn decode(bytes: &[u8]) -> Decoded {
    let mut decoder = Decoder::new(Limits::AUTHENTICATED);
    drain(&mut decoder, &mut BytesMut::from(bytes))
}

fn drain(decoder: &mut Decoder, buffer: &mut BytesMut) -> Decoded {
    let mut events = Vec::new();
    loop {
        match decoder.feed(buffer) {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, None),
            Err(error) => return (events, Some(error)),
        }
    }
}

/// What ends a stream that begins well and goes on with `content`.
fn ends(content: &str) -> StreamCondition {
    let (_, error) = decode(format!("{OPEN}{content}").as_bytes());
    error
        .unwrap_or_else(|| panic!("no error: {content}"))
        .condition
}

/// What ends a stream that begins with `bytes`.
fn refuses(bytes: impl AsRef<[u8]>) -> StreamCondition {
    let (events, error) = decode(bytes.as_ref());
    assert!(events.is_empty());
    error.expect("an error").condition
}

#[test]
fn a_stream_is_decoded() {
    let xml = format!(
        "<?xml version='1.0' encoding='utf-8'?>\n{OPEN} \n<message to='a@b'><body>hi</body>\
         </message> <r xmlns='urn:xmpp:sm:3'/><presence/></stream:stream >"
    );
    let (events, error) = decode(xml.as_bytes());
    assert_eq!(error, None);
    let [
        Event::Open(header),
        Event::Stanza(message),
        Event::Nonza(r),
        Event::Stanza(presence),
        Event::Close,
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(header.to, Some(Jid::parse("example.com").unwrap()));
    assert_eq!(header.version, Version::XMPP);
    assert_eq!(header.content, Content::Client);
    assert_eq!(
        message.to_string(),
        "<message to='a@b'><body>hi</body></message>"
    );
    assert!(r.is(ns::SM, "r"));
    assert_eq!(presence.to_string(), "<presence/>");
}

/// RFC 6120 §11.1, §4.9.3.18.
#[test]
fn restricted_xml_ends_the_stream() {
    for content in [
        "<!-- c -->",
        "<?php",
        "<!DOCTYPE",
        "<message><!--",
        "<message><?pi ?></message>",
        "<message><!DOCTYPE x></message>",
        "<message><body>&lol;</body></message>",
        "<message id='&lol;'/>",
    ] {
        assert_eq!(ends(content), StreamCondition::RestrictedXml, "{content}");
    }
    for head in [
        "<!DOCTYPE lolz [<!ENTITY lol 'lol'>",
        "<!-- -->",
        "<?pi ?>",
        "<?xml-stylesheet",
    ] {
        assert_eq!(refuses(head), StreamCondition::RestrictedXml, "{head}");
    }
}

/// RFC 6120 §4.9.3.13. None of these waits for more.
#[test]
fn what_is_not_well_formed_ends_the_stream() {
    for content in [
        "<message></presence>",
        "<message><body></message>",
        "<message></messages",
        "<message to=a>x</message>",
        "<message to='a' to='b'/>",
        "<message to='a'id='b'/>",
        "<message to='a><body>",
        "<message <body>",
        "<message>&</message>",
        "<message>]]></message>",
        "<message>&#0;</message>",
        "<message>\u{1}</message>",
        "<message>\u{ffff}</message>",
        "<message/ >",
        "<>",
        "< message/>",
        "<1/>",
        "<a:b:c xmlns:a='x'/>",
        "<message xmlns:a='' />",
        "<message xmlns:xml='urn:x'/>",
        "<message xmlns:a='x' xmlns:b='x' a:c='' b:c=''/>",
        "</stream:streams>",
        "</foo",
        "<![CDATA[x]]>",
        "<message><![cdata[x]]></message>",
    ] {
        assert_eq!(ends(content), StreamCondition::NotWellFormed, "{content}");
    }
    let mut bad_utf8 = format!("{OPEN}<message><body>").into_bytes();
    bad_utf8.extend(b"\xc3\x28</body></message>");
    let (_, error) = decode(&bad_utf8);
    assert_eq!(error.unwrap().condition, StreamCondition::NotWellFormed);
    for head in [
        "GET / HTTP/1.1\r\n",
        "\u{16}\u{3}\u{1}",
        "</stream>",
        "<?xml version='1.1'?>",
        "<?xml?>",
    ] {
        assert_eq!(refuses(head), StreamCondition::NotWellFormed, "{head}");
    }
}

/// RFC 6120 §4.8, §4.9.3.2, §4.9.3.10, §4.9.3.24.
#[test]
fn namespaces_are_checked() {
    assert_eq!(ends("<x:message/>"), StreamCondition::BadNamespacePrefix);
    assert_eq!(
        ends("<message x:y='1'/>"),
        StreamCondition::BadNamespacePrefix
    );
    assert_eq!(
        ends("<message xmlns='jabber:server'/>"),
        StreamCondition::InvalidNamespace
    );
    assert_eq!(ends("<pubsub/>"), StreamCondition::UnsupportedStanzaType);
    assert_eq!(ends("text"), StreamCondition::BadFormat);
    assert_eq!(
        refuses("<stream:stream to='a'>"),
        StreamCondition::BadNamespacePrefix
    );
    let wrong = "<stream:stream xmlns:stream='urn:x' xmlns='jabber:client'>";
    assert_eq!(refuses(wrong), StreamCondition::InvalidNamespace);
    let wrong = OPEN.replace("jabber:client", "jabber:bogus");
    assert_eq!(refuses(wrong), StreamCondition::InvalidNamespace);
    let wrong = OPEN.replace("<stream:stream", "<stream:streams");
    assert_eq!(refuses(wrong), StreamCondition::BadFormat);
}

/// RFC 6120 §4.8.5: `stream` is a convention, not a rule.
#[test]
fn prefixes_are_free() {
    let xml = "<stream xmlns='http://etherx.jabber.org/streams' xmlns:c='jabber:client' \
        xmlns:f='urn:f' to='example.com' version='1.0'><c:message><c:body>x</c:body><f:a/>\
        </c:message><message xmlns='jabber:client'><f:b/></message></stream>";
    let (events, error) = decode(xml.as_bytes());
    assert_eq!(error, None);
    let [
        Event::Open(_),
        Event::Stanza(first),
        Event::Stanza(second),
        Event::Close,
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(
        first.to_string(),
        "<message><body>x</body><a xmlns='urn:f'/></message>"
    );
    assert_eq!(
        second.to_string(),
        "<message xmlns:f='urn:f'><f:b/></message>"
    );
}

/// RFC 6120 §4.9.1.2: a header of ours comes before the error.
#[test]
fn what_a_faulty_header_said_is_kept() {
    for (change, condition) in [
        (
            ("version='1.0'", "version='x'"),
            StreamCondition::UnsupportedVersion,
        ),
        (
            ("http://etherx.jabber.org/streams", "urn:x"),
            StreamCondition::InvalidNamespace,
        ),
        (
            ("<stream:stream", "<strom:stream"),
            StreamCondition::BadNamespacePrefix,
        ),
        (
            ("version=", "from='@' version="),
            StreamCondition::InvalidFrom,
        ),
    ] {
        let mut decoder = Decoder::new(Limits::UNAUTHENTICATED);
        let mut buffer = BytesMut::from(OPEN.replace(change.0, change.1).as_bytes());
        let error = decoder.feed(&mut buffer).unwrap_err();
        assert_eq!(error.condition, condition);
        let header = decoder.faulty_header().unwrap();
        assert_eq!(header.to, Some(Jid::parse("example.com").unwrap()));
    }
    assert_eq!(
        refuses(OPEN.replace("example.com", "@")),
        StreamCondition::HostUnknown
    );
}

/// RFC 6120 §11.6.
#[test]
fn other_encodings_are_refused() {
    for head in [
        &b"<?xml version='1.0' encoding='ISO-8859-1'?>"[..],
        b"\xfe\xff\0<\0s",
        b"\xff\xfe<\0s\0",
    ] {
        assert_eq!(refuses(head), StreamCondition::UnsupportedEncoding);
    }
}

/// RFC 6120 §13.12; DESIGN §9.
#[test]
fn limits_are_kept_before_the_element_is_complete() {
    let limits = Limits {
        stanza_bytes_max: 10_000,
        depth_max: 4,
        attributes_max: 8,
        namespaces_max: 4,
        elements_max: 16,
    };
    let too_much = [
        format!("<message><body>{}", "x".repeat(10_000)),
        format!("<message a='{}", "x".repeat(10_000)),
        format!("<{}", "x".repeat(10_000)),
        "<a>".repeat(5),
        format!("<a>{}", "<b/>".repeat(16)),
        format!("<a {}", "b='c' ".repeat(9)),
    ];
    for content in too_much {
        let mut decoder = Decoder::new(limits);
        let mut buffer = BytesMut::from(format!("{OPEN}{content}").as_bytes());
        let (_, error) = drain(&mut decoder, &mut buffer);
        assert_eq!(
            error.unwrap().condition,
            StreamCondition::PolicyViolation,
            "{content:.20}"
        );
    }
    let mut decoder = Decoder::new(limits);
    let body = "x".repeat(10_000 - "<message><body></body></message>".len());
    let xml = format!("{OPEN}<message><body>{body}</body></message>");
    let (events, error) = drain(&mut decoder, &mut BytesMut::from(xml.as_bytes()));
    assert_eq!((events.len(), error), (2, None));
    let declarations: String = (0..5).map(|n| format!(" xmlns:a{n}='u'")).collect();
    let mut decoder = Decoder::new(limits);
    let xml = format!("{OPEN}<message{declarations}/>");
    let (_, error) = drain(&mut decoder, &mut BytesMut::from(xml.as_bytes()));
    assert_eq!(error.unwrap().condition, StreamCondition::PolicyViolation);
}

/// RFC 6120 §4.6.1, §5.3.3, §6.3.5.
#[test]
fn white_space_between_elements_can_be_forbidden() {
    let mut decoder = Decoder::new(Limits::UNAUTHENTICATED);
    decoder.set_whitespace_allowed(false);
    let xml = format!(" {OPEN}<a xmlns='u'/> <a xmlns='u'/>");
    let (events, error) = drain(&mut decoder, &mut BytesMut::from(xml.as_bytes()));
    assert_eq!(events.len(), 2);
    assert_eq!(error.unwrap().condition, StreamCondition::BadFormat);
}

/// RFC 6120 §4.3.3.
#[test]
fn a_reset_decoder_wants_a_new_opening_tag() {
    let mut decoder = Decoder::new(Limits::UNAUTHENTICATED);
    let mut buffer = BytesMut::from(format!("{OPEN}<message><bo").as_bytes());
    let (events, error) = drain(&mut decoder, &mut buffer);
    assert_eq!((events.len(), error), (1, None));
    decoder.reset();
    buffer.clear();
    buffer.extend_from_slice(OPEN.as_bytes());
    let (events, error) = drain(&mut decoder, &mut buffer);
    assert!(matches!(events[..], [Event::Open(_)]));
    assert_eq!(error, None);
    decoder.reset();
    let (_, error) = drain(&mut decoder, &mut BytesMut::from(&b"<presence/>"[..]));
    assert_eq!(error.unwrap().condition, StreamCondition::InvalidNamespace);
}

#[test]
fn after_the_end_nothing_is_decoded() {
    let (events, error) = decode(format!("{OPEN}</stream:stream><message/>").as_bytes());
    assert!(matches!(events[..], [Event::Open(_), Event::Close]));
    assert_eq!(error, None);
    let (events, error) = decode(OPEN.replace('>', "/>").as_bytes());
    assert!(matches!(events[..], [Event::Open(_), Event::Close]));
    assert_eq!(error, None);
}

#[test]
fn after_an_error_there_is_only_that_error() {
    let mut decoder = Decoder::new(Limits::UNAUTHENTICATED);
    let mut buffer = BytesMut::from(&b"<!--"[..]);
    let error = decoder.feed(&mut buffer).unwrap_err();
    buffer.clear();
    buffer.extend_from_slice(OPEN.as_bytes());
    assert_eq!(decoder.feed(&mut buffer), Err(error));
}

#[test]
fn a_header_written_reads_back() {
    let mut header = StreamHeader::new(Content::Server);
    header.to = Some(Jid::parse("example.com").unwrap());
    header.from = Some(Jid::parse("example.net").unwrap());
    header.id = Some("a'b".into());
    header.lang = Some("de".into());
    header.declarations = vec![
        Declaration::new("", ns::SERVER),
        Declaration::new("stream", ns::STREAM),
        Declaration::new("db", "jabber:server:dialback"),
    ];
    let mut out = BytesMut::new();
    header.write(&mut out);
    let mut decoder = Decoder::new(Limits::UNAUTHENTICATED);
    assert_eq!(
        decoder.feed(&mut out),
        Ok(Some(Event::Open(Box::new(header))))
    );
}

/// RFC 6120 §4.9.2.
#[test]
fn a_stream_error_written_reads_back() {
    for &condition in StreamCondition::ALL {
        let error = StreamError::new(condition).text("why & how");
        let mut out = BytesMut::from(OPEN);
        error.write(&mut out);
        let (events, _) = decode(&out);
        let [_, Event::Nonza(element)] = &events[..] else {
            panic!("{events:?}");
        };
        assert!(element.is(ns::STREAM, "error"));
        assert_eq!(StreamError::from_element(element), error);
    }
}

/// RFC 7395 §3.3.3: one message, one element with its own namespace.
#[test]
fn an_element_can_be_read_alone() {
    let read = |xml: &str| read_element(xml.as_bytes(), Content::Client, Limits::AUTHENTICATED);
    assert!(matches!(
        read("<presence xmlns='jabber:client'/>"),
        Ok(Event::Stanza(_))
    ));
    let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='a' version='1.0'/>";
    assert!(matches!(read(open), Ok(Event::Nonza(_))));
    let two = "<presence xmlns='jabber:client'/><presence xmlns='jabber:client'/>";
    assert_eq!(
        read(two).unwrap_err().condition,
        StreamCondition::NotWellFormed
    );
}
