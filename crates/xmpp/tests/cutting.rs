//! Any cutting of the bytes decodes alike, and no bytes panic the decoder.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use bytes::BytesMut;
use proptest::prelude::*;
use starling_xmpp::stream::{Decoder, Event, Limits, StreamError};

const OPEN: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>";

const LIMITS: Limits = Limits {
    stanza_bytes_max: 400,
    depth_max: 5,
    attributes_max: 6,
    namespaces_max: 4,
    elements_max: 12,
};

/// Feeds pieces of `bytes` that end where `cuts` says, then the rest.
fn decode(bytes: &[u8], cuts: &[usize]) -> (Vec<Event>, Option<StreamError>) {
    let mut decoder = Decoder::new(LIMITS);
    let mut buffer = BytesMut::new();
    let mut events = Vec::new();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.push(bytes.len());
    cuts.sort_unstable();
    let mut from = 0;
    for to in cuts {
        buffer.extend_from_slice(&bytes[from..to]);
        from = to;
        loop {
            match decoder.feed(&mut buffer) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
        // An incomplete element never needs more than its limit and one byte.
        assert!(buffer.len() <= LIMITS.stanza_bytes_max + 1);
    }
    (events, None)
}

/// Pieces that together are often, but not always, XML.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "<message to='a@b' id=\"1\">", "</message>", "<body>", "</body>", "hi &amp; bye",
            "<![CDATA[x]]y]]>", "<presence/>", "<presence type='away'/>", " ", "\r\n",
            "<iq type='get' id='1'><q xmlns='urn:q'/></iq>", "<r xmlns='urn:xmpp:sm:3'/>",
            "<a xmlns='urn:a' x='>'>", "</a >", "<stream:error/>", "é😀", "<message  />",
            "<p:q xmlns:p='u' p:r='s'/>",
        ]).prop_map(str::to_owned),
        1 => prop::sample::select(vec![
            "</stream:stream>", "</stream:stream >", "<!--", "<?pi?>", "&lol;", "<", ">", "&",
            "'", "]]>", "<x:y/>", "</x>", "<![CDATA[", "<!DOCTYPE", "\u{1}", "<query/>", "<a/ >",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,5}",
        1 => "x{0,300}",
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let opening = prop_oneof![
        8 => Just(OPEN.to_owned()),
        1 => Just(OPEN.replace("version='1.0'>", "version='1.0' >")),
        1 => Just(OPEN.replace("?>", "  encoding='UTF-8' ?> \n")),
        1 => Just(OPEN.replace("streams'", "strom'")),
        1 => piece(),
    ];
    (opening, prop::collection::vec(piece(), 0..16))
        .prop_map(|(opening, pieces)| (opening + &pieces.concat()).into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(768))]

    #[test]
    fn any_cutting_decodes_alike(
        bytes in stream(),
        cuts in prop::collection::vec(0usize..2_000, 0..12),
    ) {
        let whole = decode(&bytes, &[]);
        prop_assert_eq!(&decode(&bytes, &cuts), &whole);
        let every: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(&decode(&bytes, &every), &whole);
    }

    #[test]
    fn damaged_streams_end_in_an_error_or_go_on(
        mut bytes in stream(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        prop_assume!(!bytes.is_empty());
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let whole = decode(&bytes, &[]);
        let every: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(&decode(&bytes, &every), &whole);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        decode(&bytes, &[]);
        let mut stream = OPEN.as_bytes().to_vec();
        stream.extend(&bytes);
        decode(&stream, &[]);
    }
}
