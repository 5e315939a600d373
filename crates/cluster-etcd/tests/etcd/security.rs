//! Users, passwords and certificates of etcd.

use std::fs;
use std::path::{Path, PathBuf};

use etcd_client::{Client, ConnectOptions, Permission, PermissionType};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use starling_cluster_etcd::Error;
use starling_testkit::etcd::{Etcd, Tls};

use crate::support::{Plan, in_time};

/// Lets only root and a user `starling` in, who may use `/starling`.
async fn lock(endpoints: Vec<String>) {
    let mut client = Client::connect(endpoints, None).await.unwrap();
    for (user, password) in [
        ("root", "secret"),
        ("starling", "bird"),
        ("stranger", "bird"),
    ] {
        client.user_add(user, password, None).await.unwrap();
    }
    client.role_add("root").await.unwrap();
    client.user_grant_role("root", "root").await.unwrap();
    client.role_add("starling").await.unwrap();
    let range = Permission::new(PermissionType::Readwrite, "/starling/").with_prefix();
    client
        .role_grant_permission("starling", range)
        .await
        .unwrap();
    client
        .user_grant_role("starling", "starling")
        .await
        .unwrap();
    client.auth_enable().await.unwrap();
}

fn file(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_user_and_password_are_needed_where_etcd_asks_for_them() {
    let etcd = Etcd::start(1).await;
    lock(etcd.endpoints()).await;
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::on(etcd.endpoints());
    let error = plan.try_join("a").await.err().unwrap();
    assert!(matches!(error, Error::Credentials(_)), "{error}");
    let with = |user: &str, password: &str| {
        let mut plan = plan.clone();
        plan.config.username = Some(user.to_owned());
        plan.config.password_file = Some(file(folder.path(), user, password));
        plan
    };
    let error = with("starling", "fish").try_join("a").await.err().unwrap();
    assert!(matches!(error, Error::Credentials(_)), "{error}");
    let error = with("stranger", "bird").try_join("a").await.err().unwrap();
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
    let known = with("starling", "bird\n");
    let (a, b) = (known.join("a").await, known.join("b").await);
    a.sees_rest(2).await;
    let root = ConnectOptions::new().with_user("root", "secret");
    let mut root = Client::connect(etcd.endpoints(), Some(root)).await.unwrap();
    // Every token of before is void after this.
    root.auth_disable().await.unwrap();
    let mut anybody = Client::connect(etcd.endpoints(), None).await.unwrap();
    anybody.auth_enable().await.unwrap();
    b.cluster.drain(a.id()).await.unwrap();
    b.sees_rest(1).await;
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn certificate(
    folder: &Path,
    name: &str,
    by: &CertifiedIssuer<'static, KeyPair>,
) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let params = CertificateParams::new(names).unwrap();
    let cert = params.signed_by(&key, by).unwrap();
    let cert = file(folder, &format!("{name}.pem"), &cert.pem());
    (
        cert,
        file(folder, &format!("{name}.key"), &key.serialize_pem()),
    )
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn certificates_are_checked_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (authority("ours"), authority("other"));
    let ca = file(folder.path(), "ca.pem", &ours.pem());
    let (cert, key) = certificate(folder.path(), "server", &ours);
    let client_ca = Some(ca.clone());
    let etcd = Etcd::start_tls(Tls {
        cert,
        key,
        client_ca,
    })
    .await;

    let mut plan = Plan::on(etcd.endpoints());
    plan.config.ca = Some(ca);
    let error = in_time("the refusal", plan.try_join("a"))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");

    let (cert, key) = certificate(folder.path(), "client", &ours);
    (plan.config.cert, plan.config.key) = (Some(cert), Some(key));
    plan.join("a").await.sees_rest(1).await;

    plan.config.ca = Some(file(folder.path(), "other.pem", &other.pem()));
    let error = in_time("the refusal", plan.try_join("b"))
        .await
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(text.contains("certificate"), "{text}");
}
