//! The scenarios that come with this program, so that one command compares.

use anyhow::Result;

use crate::scenario::Scenario;

/// In the order in which they are run.
const SCENARIOS: [(&str, &str); 9] = [
    (
        "chat-saturated",
        include_str!("../../scenarios/chat-saturated.toml"),
    ),
    (
        "chat-one-in-flight",
        include_str!("../../scenarios/chat-one-in-flight.toml"),
    ),
    (
        "chat-durable-saturated",
        include_str!("../../scenarios/chat-durable-saturated.toml"),
    ),
    (
        "chat-paced",
        include_str!("../../scenarios/chat-paced.toml"),
    ),
    (
        "chat-durable-paced",
        include_str!("../../scenarios/chat-durable-paced.toml"),
    ),
    (
        "login-storm",
        include_str!("../../scenarios/login-storm.toml"),
    ),
    (
        "login-fast",
        include_str!("../../scenarios/login-fast.toml"),
    ),
    (
        "mam-catch-up",
        include_str!("../../scenarios/mam-catch-up.toml"),
    ),
    ("idle", include_str!("../../scenarios/idle.toml")),
];

pub(super) fn scenarios() -> Result<Vec<Scenario>> {
    let all = SCENARIOS.iter();
    all.map(|(name, text)| Scenario::parse(name, text))
        .collect()
}

/// Those of them by which a cluster is measured: nothing stored, everything
/// stored, and users who come.
pub(super) fn of_clusters() -> Result<Vec<Scenario>> {
    const NAMES: [&str; 3] = ["chat-saturated", "chat-durable-saturated", "login-storm"];
    let mut all = scenarios()?;
    all.retain(|scenario| NAMES.contains(&scenario.name.as_str()));
    Ok(all)
}
