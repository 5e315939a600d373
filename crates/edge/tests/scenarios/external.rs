//! SASL EXTERNAL with client certificates: RFC 6120 §13.7.1.4, XEP-0178.

use std::io::Write as _;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, OtherNameValue, SanType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use starling_edge::ClientAuthorities;

use crate::support::{Client, SASL, World, base64, client_config};

/// An authority, and a certificate that it made for an account.
struct Made {
    authority: tempfile::NamedTempFile,
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

fn make(account: &str) -> Made {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    let issuer = Issuer::new(authority, authority_key);

    let key = KeyPair::generate().unwrap();
    let mut own = CertificateParams::new(Vec::<String>::new()).unwrap();
    own.distinguished_name
        .push(rcgen::DnType::CommonName, "client");
    let address = OtherNameValue::Utf8String(account.to_owned());
    own.subject_alt_names = vec![SanType::OtherName((
        vec![1, 3, 6, 1, 5, 5, 7, 8, 5],
        address,
    ))];
    let own = own.signed_by(&key, &issuer).unwrap();
    Made {
        authority: file,
        chain: vec![own.der().clone()],
        key,
    }
}

async fn world(made: &Made) -> World {
    let path = made.authority.path().to_owned();
    let authorities = ClientAuthorities::load(&[path]).unwrap();
    World::with(|_, host| host.client_authorities = authorities).await
}

async fn connect(world: &World, made: &Made) -> (Client, String) {
    let key = PrivateKeyDer::try_from(made.key.serialize_der()).unwrap();
    let config = client_config(&world.roots)
        .with_client_auth_cert(made.chain.clone(), key)
        .unwrap();
    let tcp = Client::tcp(world.handle.addresses()[1]).await;
    let mut client = tcp.secure(config, "localhost").await;
    let features = client.open().await;
    (client, features)
}

#[tokio::test]
async fn a_certificate_is_an_account() {
    // XEP-0178 §2: `=` stands for the one account it names.
    let made = make("juliet@localhost");
    let world = world(&made).await;
    let (mut client, features) = connect(&world, &made).await;
    assert!(
        features.contains("<mechanism>EXTERNAL</mechanism>"),
        "{features}"
    );
    client
        .send(format!(
            "<auth xmlns='{SASL}' mechanism='EXTERNAL'>=</auth>"
        ))
        .await;
    client.until(&format!("<success xmlns='{SASL}'/>")).await;
    client.open().await;
    let bound = client.bind("x").await;
    assert!(bound.contains("<jid>juliet@localhost/x</jid>"), "{bound}");
}

#[tokio::test]
async fn a_certificate_is_no_other_account() {
    let made = make("juliet@localhost");
    let world = world(&made).await;
    let (mut client, _) = connect(&world, &made).await;
    let data = base64("romeo@localhost");
    client
        .send(format!(
            "<auth xmlns='{SASL}' mechanism='EXTERNAL'>{data}</auth>"
        ))
        .await;
    let refused = client.until("</failure>").await;
    assert!(refused.contains("<invalid-authzid/>"), "{refused}");
}

#[tokio::test]
async fn a_certificate_of_another_host_is_none() {
    // PROTOCOL B.2 20: hosts of one node are strangers to each other.
    let made = make("juliet@other.example");
    let world = world(&made).await;
    let (_, features) = connect(&world, &made).await;
    assert!(!features.contains("EXTERNAL"), "{features}");
}

#[tokio::test]
async fn the_authority_of_another_host_is_none() {
    // PROTOCOL B.2 20: who runs one host of a node could let himself in as any
    // account of the others.
    let made = make("juliet@localhost");
    let path = made.authority.path().to_owned();
    let world = World::with_hosts(|_, [host, other]| {
        let own = make("romeo@localhost");
        host.client_authorities =
            ClientAuthorities::load(&[own.authority.path().to_owned()]).unwrap();
        other.client_authorities = ClientAuthorities::load(&[path]).unwrap();
    })
    .await;
    let (mut client, features) = connect(&world, &made).await;
    assert!(!features.contains("EXTERNAL"), "{features}");
    let data = base64("juliet@localhost");
    client
        .send(format!(
            "<auth xmlns='{SASL}' mechanism='EXTERNAL'>{data}</auth>"
        ))
        .await;
    let refused = client.until("</failure>").await;
    assert!(refused.contains("<invalid-mechanism/>"), "{refused}");
}

#[tokio::test]
async fn clients_without_a_certificate_are_welcome() {
    let world = world(&make("juliet@localhost")).await;
    let (_, features) = world.open().await;
    assert!(
        !features.contains("EXTERNAL") && features.contains("PLAIN"),
        "{features}"
    );
}
