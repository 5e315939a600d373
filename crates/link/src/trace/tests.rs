//! Watching a stanza, with a sink that keeps what it is given.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use std::sync::Mutex;

use super::*;

#[derive(Default)]
struct Kept(Mutex<Vec<Span>>);

impl SpanSink for Kept {
    fn record(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

impl Kept {
    fn take(&self) -> Vec<Span> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[test]
fn a_context_costs_an_unwatched_stanza_a_pointer() {
    let pointer = size_of::<usize>();
    assert_eq!(size_of::<Option<TraceContext>>(), pointer);
}

#[test]
fn spans_of_one_stanza_are_a_tree() {
    let kept = Arc::new(Kept::default());
    let sampler = Sampler::new(Arc::clone(&kept) as _, 1.0);
    let context = sampler.begin(&mut Dice::default()).unwrap();
    let receive = context.start("receive").with("kind", "message");
    let handle = receive.context().start("handle");
    receive.end();
    let given_up = handle.context().start("deliver");
    handle.end();
    drop(given_up);
    let [receive, handle, deliver] = kept.take().try_into().unwrap();
    assert_eq!(receive.parent_id, None);
    assert_eq!(handle.parent_id, Some(receive.span_id));
    assert_eq!(deliver.parent_id, Some(handle.span_id));
    assert!(
        [&handle, &deliver]
            .iter()
            .all(|span| span.trace_id == receive.trace_id)
    );
    assert_eq!(receive.attributes, [("kind", "message".into())]);
    assert!(handle.is_finished && !deliver.is_finished);
}

#[test]
fn without_traces_deliveries_are_timed_and_nothing_is_recorded() {
    let sampler = Sampler::default();
    let mut dice = Dice(7);
    let watched: Vec<_> = (0..64_000)
        .filter_map(|_| sampler.begin(&mut dice))
        .collect();
    assert!((800..1_200).contains(&watched.len()), "{}", watched.len());
    let context = &watched[0];
    assert_eq!((context.trace_id(), context.traceparent()), (None, None));
    context.start("handle").end();
}

#[test]
fn the_ratio_is_kept() {
    let sampler = Sampler::new(Arc::new(Kept::default()), 0.1);
    let mut dice = Dice(7);
    let contexts = (0..100_000).filter_map(|_| sampler.begin(&mut dice));
    let traced = contexts
        .filter(|context| context.trace_id().is_some())
        .count();
    assert!((9_000..11_000).contains(&traced), "{traced}");
}

#[test]
fn a_context_crosses_the_network_as_w3c_writes_it() {
    let kept = Arc::new(Kept::default());
    let here = Sampler::new(Arc::clone(&kept) as _, 1.0);
    let span = here.begin(&mut Dice::default()).unwrap().start("handle");
    let written = span.context().traceparent().unwrap();
    let at = span.context().received_at();
    let there = TraceContext::from_traceparent(&written, at, Arc::clone(&kept) as _).unwrap();
    there.start("deliver").end();
    span.end();
    let [deliver, handle] = kept.take().try_into().unwrap();
    assert_eq!(deliver.parent_id, Some(handle.span_id));
    assert_eq!(deliver.trace_id, handle.trace_id);
    assert_eq!(there.received_at(), at);
}

#[test]
fn what_is_no_traceparent_is_none() {
    let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let read = |text: &str| {
        TraceContext::from_traceparent(text, SystemTime::now(), Arc::new(Kept::default()))
    };
    assert!(read(valid).is_some());
    for wrong in [
        "",
        "00",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c8031xx-b7ad6b7169203331-01",
        "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        assert!(read(wrong).is_none(), "{wrong}");
    }
}
