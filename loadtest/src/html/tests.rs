//! A page has everything in it and nothing from elsewhere.

use super::{escape, number, page};
use crate::load::Phases;
use crate::record::{Recorder, Window};
use crate::report::{Process, Report, Role, Run, Sample};
use crate::scenario::Scenario;

const SCENARIO: &str = "about = 'pairs & more'\n[run]\nduration = '3s'\n\
    [[load]]\nkind = 'chat'\npairs = 1\n";

fn report(label: &str) -> Report {
    let scenario = Scenario::parse("chat", SCENARIO);
    let scenario = scenario.unwrap_or_else(|error| panic!("{error:#}"));
    let second = crate::clock::SECOND;
    let recorder = Recorder::default();
    let window = Window {
        begin: second,
        end: 4 * second,
    };
    let phases = Phases {
        start: 0,
        window,
        deadline: 5 * second,
    };
    recorder.open(phases.window);
    for number in 0..300 {
        let at = second + number * second / 100;
        recorder.timer("message").record(at, at + number * 10_000);
        recorder.counter("delivered").add(1, at);
    }
    recorder.total("log-ins").add(2);
    recorder.failure("a <b> & \"c\"");
    let mut process = Process::new("server".to_owned(), "server".to_owned(), Role::Server);
    process.cpu_seconds = 0.3;
    process.seconds = vec![
        Sample {
            cpu_percent: 10.0,
            resident_kib: 2048
        };
        3
    ];
    Report::new(Run {
        scenario: &scenario,
        label,
        workers: 1,
        prepared: 2,
        before: std::collections::BTreeMap::new(),
        ready: std::collections::BTreeMap::new(),
        watched: vec![process],
        gauges: std::collections::BTreeMap::new(),
        record: recorder.record(),
    })
}

#[test]
fn figures_follow_from_what_was_recorded() {
    let report = report("one");
    let figure = |name: &str| report.figures.get(name).copied();
    assert_eq!(figure("delivered a second"), Some(100.0));
    assert_eq!(figure("server CPU of one delivered (µs)"), Some(1_000.0));
    assert_eq!(figure("server CPU (%)"), Some(10.0));
    assert_eq!(figure("failures"), Some(1.0));
    assert!(!report.is_clean());
}

#[test]
fn a_page_shows_every_run_and_loads_nothing() {
    let page = page(&[report("one"), report("two <2>")]);
    for part in [
        "one",
        "two &lt;2&gt;",
        "pairs &amp; more",
        "<svg",
        "delivered",
        "a &lt;b&gt;",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    for foreign in [
        "<script", "src=", "http:", "https:", "url(", "<b>", "NaN", "inf",
    ] {
        assert!(!page.contains(foreign), "{foreign} is there");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

#[test]
fn a_report_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let path = folder.path().join("report.json");
    let report = report("one");
    let read = report.write(&path).and_then(|()| Report::read(&path));
    let read = read.unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!(read.figures, report.figures);
    assert_eq!(
        read.latencies["message"].histogram,
        report.latencies["message"].histogram
    );
}

#[test]
fn numbers_are_short_and_grouped() {
    let all = [1_234_567.8, 12.34, 1.234, 0.1234, 0.0, -1234.0, 5.0];
    let texts = ["1,234,568", "12.3", "1.23", "0.123", "0", "-1,234", "5"];
    assert_eq!(all.map(number), texts);
    assert_eq!(escape("<a&\">"), "&lt;a&amp;&quot;&gt;");
}
