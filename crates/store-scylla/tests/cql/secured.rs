//! A database that is encrypted and asks for a user, a password and rights: who
//! has all of them is served, and whoever lacks one is told which setting it is.

mod ground;

use starling_store::contract;
use starling_store_scylla::{Config, ConnectError, Finding, Scylla};
use starling_testkit::cassandra::Secured;

use crate::database;
use ground::{Ground, MODEST, PASSWORD, STRANGER, USER, asking_for_certificates};

/// Why this does not connect: one line, without a password.
async fn refusal(config: &Config) -> ConnectError {
    let error = match Scylla::connect(config).await {
        Ok(_) => panic!("connected with {config:?}"),
        Err(error) => error,
    };
    eprintln!("{error}");
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    for text in [text, format!("{error:?}"), format!("{config:?}")] {
        assert!(!text.contains(PASSWORD), "{text}");
        assert!(!text.contains("SessionBuilder"), "{text}");
    }
    error
}

/// Asserts that an error says all of this.
fn says(error: &ConnectError, all: &[&str]) {
    let text = error.to_string();
    for one in all {
        assert!(text.contains(one), "\"{one}\" is missing: {text}");
    }
}

#[tokio::test]
async fn who_has_all_that_is_asked_for_is_served() {
    let Some(ground) = Ground::get().await else {
        return;
    };
    // The rights that the manual asks for, and no others.
    let store = database::connect(&ground.config()).await;
    contract::accounts::an_account_is_created_once(&store).await;
    contract::archive::a_log_is_read_in_order(&store).await;
    contract::fences::no_epoch_is_used_twice(&store).await;
    assert!(!format!("{store:?}").contains(PASSWORD));
    assert!(unknown(&store).is_empty(), "{:?}", store.findings());
    // Once more, over a name of the certificate that is not the address.
    let named = Config {
        server_name: Secured::NAME.to_owned(),
        ..ground.config()
    };
    database::connect(&named).await;

    // Who may not look whether the promise is kept is served, and told.
    let modest = ground.with_password(MODEST, PASSWORD);
    let said = unknown(&database::connect(&modest).await);
    assert!(said.contains("GRANT SELECT"), "{said}");
}

/// What could not be looked at.
fn unknown(store: &Scylla) -> String {
    let text = |finding: &Finding| match finding {
        Finding::Unknown(text) => text.clone(),
        Finding::Kept(_) | Finding::Weaker(_) => String::new(),
    };
    store.findings().iter().map(text).collect()
}

#[tokio::test]
async fn a_wrong_authority_is_told() {
    let Some(ground) = Ground::get().await else {
        return;
    };
    let ca = ground.secured.stranger_ca().unwrap();
    let file = ca.display().to_string();
    let config = Config {
        ca: Some(ca),
        ..ground.config()
    };
    let error = refusal(&config).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    says(&error, &["store.cql.ca", &file, "UnknownIssuer"]);

    let misnamed = Config {
        server_name: "other.test".to_owned(),
        ..ground.config()
    };
    let error = refusal(&misnamed).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    says(
        &error,
        &["store.cql.server_name", "other.test", Secured::NAME],
    );
}

#[tokio::test]
async fn a_wrong_password_or_user_is_told() {
    let Some(ground) = Ground::get().await else {
        return;
    };
    let wrong = ground.with_password(USER, "of-another");
    let file = wrong.password_file.clone().unwrap().display().to_string();
    let unknown = ground.with_password("nobody", PASSWORD);
    for config in [&wrong, &unknown] {
        let error = refusal(config).await;
        assert!(matches!(error, ConnectError::Credentials { .. }), "{error}");
        let user = config.username.as_str();
        says(&error, &["store.cql.username", "incorrect", user]);
        assert!(!error.to_string().contains("of-another"), "{error}");
    }
    says(
        &refusal(&wrong).await,
        &["store.cql.password_file", file.as_str()],
    );

    let none = Config {
        username: String::new(),
        password_file: None,
        ..ground.config()
    };
    let error = refusal(&none).await;
    assert!(matches!(error, ConnectError::Credentials { .. }), "{error}");
    says(&error, &["store.cql.username", "store.cql.password_file"]);

    let empty = refusal(&ground.with_password("empty", "\n")).await;
    assert!(matches!(empty, ConnectError::File { .. }), "{empty}");
    says(&empty, &["store.cql.password_file", "empty"]);
}

#[tokio::test]
async fn encryption_of_one_side_only_is_told() {
    let Some(ground) = Ground::get().await else {
        return;
    };
    let plain = Config {
        ca: None,
        ..ground.config()
    };
    let error = refusal(&plain).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    says(&error, &["encryption", "store.cql.ca"]);

    // The other database of these tests encrypts nothing.
    let encrypted = Config {
        ca: Some(ground.secured.ca()),
        ..database::config().unwrap()
    };
    let error = refusal(&encrypted).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    says(&error, &["does not speak TLS", "store.cql.ca", "ca.pem"]);
}

#[tokio::test]
async fn a_user_without_rights_is_told() {
    let Some(ground) = Ground::get().await else {
        return;
    };
    let stranger = ground.with_password(STRANGER, PASSWORD);
    let keyspace = stranger.keyspace.as_str();
    let error = refusal(&stranger).await;
    assert!(matches!(error, ConnectError::Forbidden { .. }), "{error}");
    says(&error, &[STRANGER, keyspace, "GRANT", "store.cql.username"]);

    let nowhere = Config {
        keyspace: "nowhere".to_owned(),
        replication: [("datacenter1".to_owned(), 1)].into(),
        ..stranger
    };
    let error = refusal(&nowhere).await;
    assert!(matches!(error, ConnectError::Forbidden { .. }), "{error}");
    says(&error, &[STRANGER, "nowhere", "ON ALL KEYSPACES"]);
}

#[tokio::test]
async fn certificates_are_shown_to_who_asks_for_them() {
    let Some(secured) = asking_for_certificates().await else {
        return;
    };
    let without = ground::superuser(&secured);
    let error = refusal(&without).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    says(&error, &["store.cql.cert", "store.cql.key"]);

    let (cert, key) = secured.stranger().unwrap();
    let file = cert.display().to_string();
    let stranger = Config {
        cert: Some(cert),
        key: Some(key),
        ..without.clone()
    };
    let error = refusal(&stranger).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    says(&error, &["store.cql.cert", &file, "trust"]);

    let (cert, key) = secured.client().unwrap();
    let mixed = Config {
        cert: Some(cert.clone()),
        ..stranger
    };
    let error = refusal(&mixed).await;
    assert!(matches!(error, ConnectError::File { .. }), "{error}");
    says(&error, &["store.cql.key", "store.cql.cert"]);

    let known = Config {
        cert: Some(cert),
        key: Some(key),
        ..without
    };
    ground::answers(&known).await;
}
