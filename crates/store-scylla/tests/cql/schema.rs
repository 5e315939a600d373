//! Connecting: the schema, the start-up check, and mistakes with one clear
//! message each.

use scylla::client::session_builder::SessionBuilder;
use starling_store::meta::Meta as _;
use starling_store::{Error, Store};
use starling_store_scylla::{Config, ConnectError, Finding, Scylla};

use crate::database::{config, connect};

#[tokio::test]
async fn nodes_that_start_at_once_agree_on_one_schema() {
    let Some(config) = config() else { return };
    let nodes = [(); 4].map(|()| Scylla::connect(&config));
    let [a, b, c, d] = nodes;
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    for node in [a, b, c, d] {
        let node = node.unwrap_or_else(|error| panic!("{error}"));
        node.set_meta("key", "value".into()).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_weaker_is_said() {
    let Some(config) = config() else { return };
    let store = connect(&config).await;
    let says = |text: &str| {
        let text_of = |finding: &Finding| match finding {
            Finding::Kept(text) | Finding::Weaker(text) | Finding::Unknown(text) => text.clone(),
        };
        let finding = store
            .findings()
            .iter()
            .find(|finding| text_of(finding).contains(text));
        finding
            .cloned()
            .unwrap_or_else(|| panic!("{:?}", store.findings()))
    };
    // One replica is one too few of two; the commit log of the test database
    // is as it should be.
    assert!(matches!(
        says("replicas in datacenter1"),
        Finding::Weaker(_)
    ));
    assert!(says("commit log").is_kept());
}

#[tokio::test]
async fn every_mistake_has_a_message() {
    let Some(config) = config() else { return };
    let missing = Config {
        replication: std::collections::BTreeMap::new(),
        ..config.clone()
    };
    let error = Scylla::connect(&missing).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoKeyspace { .. }), "{error}");
    assert!(error.to_string().contains("CREATE KEYSPACE"), "{error}");

    let nowhere = Config {
        contact_points: vec!["127.0.0.1:1".to_owned()],
        ..config.clone()
    };
    let error = Scylla::connect(&nowhere).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");

    let error = Scylla::connect(&Config::default()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Config { .. }), "{error}");

    let elsewhere = Config {
        local_datacenter: "elsewhere".to_owned(),
        ..config.clone()
    };
    let error = Scylla::connect(&elsewhere).await.unwrap_err();
    assert!(matches!(error, ConnectError::Config { .. }), "{error}");
    assert!(error.to_string().contains("local_datacenter"), "{error}");

    let no_file = Config {
        ca: Some("/nonexistent/ca.pem".into()),
        ..config
    };
    let error = Scylla::connect(&no_file).await.unwrap_err();
    assert!(matches!(error, ConnectError::File { .. }), "{error}");
}

/// DESIGN §5: shards move as often as nodes are restarted, and each move looks at
/// the claims. What is gone of them must not pile up in front of those looks.
#[tokio::test]
async fn removed_claims_are_soon_forgotten() {
    let Some(config) = config() else { return };
    Scylla::connect(&config).await.unwrap();
    let session = SessionBuilder::new().known_nodes(&config.contact_points);
    let session = session.build().await.unwrap();
    let query = "SELECT gc_grace_seconds FROM system_schema.tables \
         WHERE keyspace_name = ? AND table_name = 'shard_epoch'";
    let rows = session.query_unpaged(query, (&config.keyspace,)).await;
    let rows = rows.unwrap().into_rows_result().unwrap();
    let (seconds,) = rows.single_row::<(i32,)>().unwrap();
    assert_eq!(seconds, 3_600);
}

#[tokio::test]
async fn a_backup_is_the_databases_own_affair() {
    let Some(config) = config() else { return };
    let store = connect(&config).await;
    let error = store
        .backup(std::path::Path::new("unused"))
        .await
        .unwrap_err();
    assert!(matches!(&error, Error::Refused { .. }));
    assert!(error.to_string().contains("nodetool snapshot"), "{error}");
}
