//! A stanza that is watched on its way: since when, and which trace it is in.
//!
//! Nearly no stanza is. One that is carries a [`TraceContext`] through every
//! frame; every other one carries `None`, which is all that watching costs it.
//! Of the watched ones, the edge measures how long delivery took, and those that
//! were sampled for a trace leave a [`Span`] with a [`SpanSink`] wherever
//! something is done for them. What becomes of spans is left to the sink.
//!
//! A context is made by an edge alone: clients cannot bring one along.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use smol_str::SmolStr;

/// One stanza in so many has its delivery timed.
const TIMED_ONE_IN: u64 = 64;

/// Where finished spans go. Must not wait: it is called where stanzas are
/// handled.
pub trait SpanSink: Send + Sync {
    /// Takes a finished span.
    fn record(&self, span: Span);
}

/// Something that was done for a sampled stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What was done.
    pub name: &'static str,
    /// The trace it belongs to.
    pub trace_id: u128,
    /// Its own number.
    pub span_id: u64,
    /// The span that led to it; none for the first of a trace.
    pub parent_id: Option<u64>,
    /// When it began.
    pub started_at: SystemTime,
    /// When it ended.
    pub ended_at: SystemTime,
    /// What else is known of it.
    pub attributes: Vec<(&'static str, SmolStr)>,
    /// False if it was given up before it was done.
    pub is_finished: bool,
}

/// Decides which stanzas are watched. Cheap to clone.
#[derive(Clone, Default)]
pub struct Sampler {
    sink: Option<Arc<dyn SpanSink>>,
    /// Random numbers below it are sampled.
    threshold: u64,
}

impl Sampler {
    /// Sends this part of all stanzas, from 0 to 1, to a sink. The default
    /// sampler makes no traces, and still has deliveries timed.
    pub fn new(sink: Arc<dyn SpanSink>, ratio: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a cast of a float to an integer saturates, which is meant"
        )]
        let threshold = (ratio.clamp(0.0, 1.0) * u64::MAX as f64) as u64;
        Self {
            sink: Some(sink),
            threshold,
        }
    }

    /// Where its traces go, if it makes any: those that begin at other nodes go
    /// there too.
    pub fn sink(&self) -> Option<&Arc<dyn SpanSink>> {
        self.sink.as_ref()
    }

    /// A context for a stanza that has just been read, if it is to be watched.
    pub fn begin(&self, dice: &mut Dice) -> Option<TraceContext> {
        let random = dice.next();
        let is_timed = random.is_multiple_of(TIMED_ONE_IN);
        // The last number belongs to everything, or all would not be all.
        let is_traced = random < self.threshold || self.threshold == u64::MAX;
        if !is_timed && !is_traced {
            return None;
        }
        let sink = self.sink.as_ref().filter(|_| is_traced);
        let traced = sink.map(|sink| Traced {
            trace_id: rand::random_range(1..=u128::MAX),
            span_id: None,
            sink: Arc::clone(sink),
        });
        Some(TraceContext(Box::new(Watched {
            received_at: SystemTime::now(),
            traced,
        })))
    }
}

/// Random numbers that need no secrecy, a nanosecond each. Every connection has
/// its own, so that none waits for another.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Default for Dice {
    fn default() -> Self {
        Self(rand::random())
    }
}

impl Dice {
    /// The next number: splitmix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// What is known of a watched stanza. As large as a pointer.
#[derive(Clone)]
pub struct TraceContext(Box<Watched>);

#[derive(Clone)]
struct Watched {
    received_at: SystemTime,
    traced: Option<Traced>,
}

#[derive(Clone)]
struct Traced {
    trace_id: u128,
    /// The span that whatever is done next follows from.
    span_id: Option<u64>,
    sink: Arc<dyn SpanSink>,
}

impl TraceContext {
    /// When the stanza was read from its client.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        self.0.received_at
    }

    /// The trace it is in, if it was sampled for one.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        let traced = self.0.traced.as_ref();
        traced.map(|traced| TraceId(traced.trace_id))
    }

    /// Begins something that follows from what the context came from.
    #[must_use]
    pub fn start(&self, name: &'static str) -> ActiveSpan {
        let mut context = self.clone();
        let mut parent_id = None;
        if let Some(traced) = &mut context.0.traced {
            let own = rand::random_range(1..=u64::MAX);
            parent_id = traced.span_id.replace(own);
        }
        ActiveSpan {
            name,
            context,
            parent_id,
            started_at: SystemTime::now(),
            attributes: Vec::new(),
            is_finished: false,
        }
    }

    /// A context that has its delivery timed and makes no trace: what crosses
    /// the network of one that was not sampled.
    #[must_use]
    pub fn timed(received_at: SystemTime) -> Self {
        Self(Box::new(Watched {
            received_at,
            traced: None,
        }))
    }

    /// The context as W3C Trace Context writes it, to cross the network; none
    /// unless it was sampled.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        let traced = self.0.traced.as_ref()?;
        let span_id = traced.span_id?;
        Some(format!("00-{:032x}-{span_id:016x}-01", traced.trace_id))
    }

    /// A context that came from another node of ours, with the time at which
    /// that node's edge had read the stanza. `None` if it is not one.
    #[must_use]
    pub fn from_traceparent(
        traceparent: &str,
        received_at: SystemTime,
        sink: Arc<dyn SpanSink>,
    ) -> Option<Self> {
        let mut parts = traceparent.split('-');
        let (version, trace_id, span_id) = (parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_whole = version == "00"
            && (trace_id.len() == 32 && is_hex(trace_id))
            && (span_id.len() == 16 && is_hex(span_id));
        let is_sampled = parts.next()? == "01" && parts.next().is_none();
        let trace_id = u128::from_str_radix(trace_id, 16).ok()?;
        let span_id = u64::from_str_radix(span_id, 16).ok()?;
        (is_whole && is_sampled && trace_id != 0 && span_id != 0).then(|| {
            let traced = Some(Traced {
                trace_id,
                span_id: Some(span_id),
                sink,
            });
            Self(Box::new(Watched {
                received_at,
                traced,
            }))
        })
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.traceparent();
        out.debug_tuple("TraceContext").field(&told).finish()
    }
}

/// The number of a trace, written as receivers of traces show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub u128);

impl fmt::Display for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

/// Something that is being done for a watched stanza. One that is dropped
/// without [`ActiveSpan::end`] is recorded as given up.
#[derive(Debug)]
pub struct ActiveSpan {
    name: &'static str,
    context: TraceContext,
    parent_id: Option<u64>,
    started_at: SystemTime,
    attributes: Vec<(&'static str, SmolStr)>,
    is_finished: bool,
}

impl ActiveSpan {
    /// The context for what follows from it.
    #[must_use]
    pub fn context(&self) -> &TraceContext {
        &self.context
    }

    /// Notes something about it. Never an address: traces leave the node.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<SmolStr>) -> Self {
        if self.context.0.traced.is_some() {
            self.attributes.push((key, value.into()));
        }
        self
    }

    /// It is done.
    pub fn end(mut self) {
        self.is_finished = true;
    }
}

impl Drop for ActiveSpan {
    fn drop(&mut self) {
        let Some(traced) = &self.context.0.traced else {
            return;
        };
        traced.sink.record(Span {
            name: self.name,
            trace_id: traced.trace_id,
            span_id: traced.span_id.unwrap_or_default(),
            parent_id: self.parent_id,
            started_at: self.started_at,
            ended_at: SystemTime::now(),
            attributes: std::mem::take(&mut self.attributes),
            is_finished: self.is_finished,
        });
    }
}

#[cfg(test)]
mod tests;
