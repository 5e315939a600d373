//! One XML stream with a server: send anything, await exactly something.
//!
//! Every wait ends at [`DEADLINE`]. A wait that fails panics at the line of the
//! test that waited, with what was awaited and everything the stream carried.

mod connecting;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::element::Element;
use crate::ns;
use crate::pattern::{Pattern, element};
use crate::reader::{Item, Reader};
use crate::wire::{Tls, Wire};

/// How long anything may take before the test fails. Not a wait: a bound.
pub const DEADLINE: Duration = Duration::from_secs(120);

const READ_BYTES: usize = 16 * 1024;
/// Lines of the log that a failure shows.
const LOG_LINES_SHOWN: usize = 40;

/// A stream, opened or not.
pub struct Stream {
    wire: Option<Box<dyn Wire>>,
    reader: Reader,
    items: VecDeque<Item>,
    log: Vec<String>,
    host: String,
    tls: Option<Tls>,
}

impl Stream {
    fn new(wire: Box<dyn Wire>, tls: Option<Tls>, host: String) -> Self {
        let (reader, items) = (Reader::new(), VecDeque::new());
        Self {
            wire: Some(wire),
            reader,
            items,
            log: Vec::new(),
            host,
            tls,
        }
    }

    /// The host it was opened to.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Gives up the stream and keeps its bytes; what was read of it is lost.
    ///
    /// # Panics
    /// If it is closed.
    #[must_use]
    pub fn into_wire(self) -> Box<dyn Wire> {
        match self.wire {
            Some(wire) => wire,
            None => panic!("the stream is closed"),
        }
    }

    /// What TLS was agreed, if any.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Sends these bytes as they are.
    #[track_caller]
    pub fn send<T: AsRef<[u8]>>(&mut self, bytes: T) -> impl Future<Output = ()> + use<'_, T> {
        let at = Location::caller();
        async move {
            let bytes = bytes.as_ref();
            self.log
                .push(format!("sent: {}", String::from_utf8_lossy(bytes)));
            let Some(wire) = &mut self.wire else {
                self.fail(at, "to send on an open connection");
            };
            let write = async {
                wire.write_all(bytes).await?;
                wire.flush().await
            };
            if !matches!(timeout(DEADLINE, write).await, Ok(Ok(()))) {
                self.fail(at, "to send on an open connection");
            }
        }
    }

    /// Opens the stream, or restarts it, and returns the server's header.
    #[track_caller]
    pub fn open(&mut self) -> impl Future<Output = Element> + '_ {
        let at = Location::caller();
        async move {
            let header = format!("<?xml version='1.0'?>{}", self.header());
            self.restart();
            self.send(header).await;
            self.header_from(at).await
        }
    }

    /// The opening tag a client sends, without the XML declaration.
    #[must_use]
    pub fn header(&self) -> String {
        let host = &self.host;
        format!(
            "<stream:stream xmlns='{}' xmlns:stream='{}' to='{host}' version='1.0' xml:lang='en'>",
            ns::CLIENT,
            ns::STREAM
        )
    }

    /// Forgets everything read so far: what comes next is a new stream.
    pub fn restart(&mut self) {
        self.reader = Reader::new();
        self.items.clear();
        self.log.push("(a new stream)".to_owned());
    }

    /// Reads the server's header.
    #[track_caller]
    pub fn next_header(&mut self) -> impl Future<Output = Element> + '_ {
        let at = Location::caller();
        self.header_from(at)
    }

    async fn header_from(&mut self, at: &'static Location<'static>) -> Element {
        match self.next_item(at, "a stream header").await {
            Item::Open(header) => header,
            _ => self.fail(at, "a stream header"),
        }
    }

    /// Opens the stream and reads the features that follow (RFC 6120 §4.3.2).
    #[track_caller]
    pub fn open_to_features(&mut self) -> impl Future<Output = Element> + '_ {
        self.open_at(Location::caller())
    }

    async fn open_at(&mut self, at: &'static Location<'static>) -> Element {
        let header = format!("<?xml version='1.0'?>{}", self.header());
        self.restart();
        self.send(header).await;
        self.header_from(at).await;
        self.take(at, &element(ns::STREAM, "features")).await
    }

    /// The next thing on the stream, whatever it is.
    #[track_caller]
    pub fn item(&mut self) -> impl Future<Output = Item> + '_ {
        self.next_item(Location::caller(), "anything")
    }

    /// The next element, which must be this one.
    #[track_caller]
    pub fn next_is(&mut self, pattern: Pattern) -> impl Future<Output = Element> + '_ {
        let at = Location::caller();
        async move { self.take(at, &pattern).await }
    }

    /// The next elements, which must be these in any order. Returned in the
    /// order of the patterns.
    #[track_caller]
    pub fn next_are<const N: usize>(
        &mut self,
        patterns: [Pattern; N],
    ) -> impl Future<Output = [Element; N]> + '_ {
        let at = Location::caller();
        async move {
            let mut found: [Option<Element>; N] = [const { None }; N];
            for _ in 0..N {
                let missing: Vec<_> = (0..N).filter(|&index| found[index].is_none()).collect();
                let words: Vec<_> = missing
                    .iter()
                    .map(|&index| patterns[index].to_string())
                    .collect();
                let words = words.join(" or ");
                let element = self.next_element(at, &words).await;
                let index = missing
                    .into_iter()
                    .find(|&index| patterns[index].is_match(&element));
                let Some(index) = index else {
                    self.fail(at, &words)
                };
                found[index] = Some(element);
            }
            found.map(Option::unwrap_or_default)
        }
    }

    /// Reads until this element comes; what came before stays to be read.
    #[track_caller]
    pub fn find(&mut self, pattern: Pattern) -> impl Future<Output = Element> + '_ {
        let at = Location::caller();
        async move {
            let mut before = VecDeque::new();
            let found = loop {
                let element = self.next_element(at, &pattern.to_string()).await;
                if pattern.is_match(&element) {
                    break element;
                }
                before.push_back(Item::Element(element));
            };
            before.append(&mut self.items);
            self.items = before;
            found
        }
    }

    /// Reads until this element comes and returns what came before it.
    #[track_caller]
    pub fn before(&mut self, pattern: Pattern) -> impl Future<Output = Vec<Element>> + '_ {
        let at = Location::caller();
        async move {
            let mut before = Vec::new();
            loop {
                let element = self.next_element(at, &pattern.to_string()).await;
                if pattern.is_match(&element) {
                    return before;
                }
                before.push(element);
            }
        }
    }

    /// A stream error of this condition, then the end of the stream and of the
    /// connection (RFC 6120 §4.9.1.1). Returns the error.
    #[track_caller]
    pub fn ends_with(&mut self, condition: &str) -> impl Future<Output = Element> + '_ {
        let at = Location::caller();
        let pattern = element(ns::STREAM, "error").has(ns::STREAM_ERRORS, condition);
        async move {
            let error = self.take(at, &pattern).await;
            self.end_from(at).await;
            error
        }
    }

    /// The end of the stream, then of the connection (RFC 6120 §4.4).
    #[track_caller]
    pub fn ends(&mut self) -> impl Future<Output = ()> + '_ {
        self.end_from(Location::caller())
    }

    async fn end_from(&mut self, at: &'static Location<'static>) {
        if self.next_item(at, "</stream>").await != Item::Close {
            self.fail(at, "</stream>");
        }
        if self.next_item(at, "the end of the connection").await != Item::End {
            self.fail(at, "the end of the connection");
        }
    }

    /// Closes the stream politely and sees the server do the same.
    #[track_caller]
    pub fn close(mut self) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            self.send("</stream:stream>").await;
            while self.next_item(at, "</stream>").await != Item::Close {}
        }
    }

    async fn take(&mut self, at: &'static Location<'static>, pattern: &Pattern) -> Element {
        let element = self.next_element(at, &pattern.to_string()).await;
        if !pattern.is_match(&element) {
            self.fail(at, &pattern.to_string());
        }
        element
    }

    async fn next_element(&mut self, at: &'static Location<'static>, awaited: &str) -> Element {
        loop {
            match self.next_item(at, awaited).await {
                Item::Element(element) => return element,
                // RFC 6120 §4.6.1: whitespace between stanzas means nothing.
                Item::Text(text) if text.trim().is_empty() => {}
                _ => self.fail(at, awaited),
            }
        }
    }

    async fn next_item(&mut self, at: &'static Location<'static>, awaited: &str) -> Item {
        match timeout(DEADLINE, self.read_item()).await {
            Ok(Ok(item)) => item,
            Ok(Err(error)) => self.fail(at, &format!("{awaited}, but {error}")),
            Err(_) => self.fail(at, &format!("{awaited} within {} s", DEADLINE.as_secs())),
        }
    }

    async fn read_item(&mut self) -> Result<Item, String> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Ok(item);
            }
            let Some(wire) = &mut self.wire else {
                return Ok(Item::End);
            };
            let mut bytes = vec![0; READ_BYTES];
            // A connection that is reset has ended as well.
            let count = wire.read(&mut bytes).await.unwrap_or(0);
            if count == 0 {
                self.log.push("(the connection ended)".to_owned());
                self.wire = None;
                continue;
            }
            self.log.push(format!(
                "came: {}",
                String::from_utf8_lossy(&bytes[..count])
            ));
            self.items.extend(self.reader.push(&bytes[..count])?);
        }
    }

    fn fail(&self, at: &Location<'_>, awaited: &str) -> ! {
        let shown = self.log.len().saturating_sub(LOG_LINES_SHOWN);
        let mut text = format!("{at}\nawaited: {awaited}\non this stream:\n");
        for line in &self.log[shown..] {
            let _ = writeln!(text, "  {line}");
        }
        if !self.items.is_empty() {
            let _ = writeln!(text, "not read yet: {:?}", self.items);
        }
        panic!("{text}");
    }
}
