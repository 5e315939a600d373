//! A node that ends at any step of a commit, of a delivery or of reading an
//! account loses nothing that was acknowledged, and doubles nothing.

use std::time::Duration;

use starling_check::faults::Fault;
use starling_check::target::Target;
use starling_check::{Report, Script, life};

/// The steps that a node passes that is alone, as it names them.
const STEPS: [&str; 10] = [
    "commit.begun",
    "commit.stored",
    "commit.fenced",
    "commit.released",
    "outlet.before",
    "outlet.after",
    "settle.before",
    "settle.after",
    "account.read",
    "account.sealed",
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs STARLING_BINARY; cargo xtask test --only check runs it"]
async fn every_step_can_be_the_last() {
    let mut target = Target::starling(&crate::starling(), None).unwrap();
    let script = Script {
        seed: 100,
        clients: 8,
        devices: 1,
        sends_again: false,
        sends: 1_000,
        time_max: Duration::from_secs(1_200),
        cuts: 20,
        silence: Duration::from_millis(12),
        faults: STEPS.iter().flat_map(|step| Fault::named(step)).collect(),
        is_thorough: true,
        fault_every: Duration::from_secs(1),
        settle_max: Duration::from_secs(60),
    };
    let history = life::run(&script, &mut target).await.unwrap();
    let report = Report::of("an end at every step", script.seed, &history);
    assert!(report.verdict.violations.is_empty(), "{report}");
    assert!(report.verdict.acknowledged >= script.sends, "{report}");
    for step in STEPS {
        assert!(report.to_string().contains(step), "{step}: {report}");
    }
}
