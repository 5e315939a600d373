//! The API over a real Unix socket: a client, the service, a node of memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

mod node;

use std::sync::Arc;

use starling_api::{Administration, Checks};
use starling_edge::config::{Auth, ScramKind};
use starling_link::LocalLink;
use starling_store::Memory;
use starling_wire::admin::v1::new_account::Secret;
use starling_wire::admin::v1::{
    AddAccountRequest, BackupRequest, GetStatusRequest, ImportAccountsRequest, ImportLine,
    ListAccountsRequest, ListSessionsRequest, NewAccount, RemoveAccountRequest, ScramVerifier,
    ScramVerifiers, SetAccountEnabledRequest, SetPasswordRequest, ShowAccountRequest,
};
use starling_wire::grpc::Code;
use starling_wire::grpc::{Channel, Server};
use starling_wire::{AdminClient, AdminServer, unix};
use starling_xmpp::time::UnixMillis;

use super::{Facts, Listener, Service};
use crate::passwords::Passwords;

/// A client of a node that serves "a.example" and "b.example".
struct Fixture {
    client: AdminClient<Channel>,
    /// The link does not keep it.
    _session_node: Arc<node::Node>,
    folder: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Memory::new());
    let link = LocalLink::new();
    let session_node = Arc::new(node::Node::new(Arc::clone(&store)));
    link.join(&session_node);
    let hosts = vec!["b.example".to_owned(), "a.example".to_owned()];
    let administration = Administration::new(link, store, hosts);
    let listeners = vec![Listener {
        protocol: "starttls",
        address: "[::]:5222".into(),
    }];
    let data = folder.path().to_owned();
    let facts = Arc::new(Facts::new("one".into(), UnixMillis(7), data, listeners));
    let passwords = Passwords::new(&Auth {
        scram: vec![ScramKind::Sha512, ScramKind::Sha256],
        scram_iterations: 4_096,
        ..Auth::default()
    });
    let service = Service::new(administration, facts, passwords, Checks::default());
    let socket = folder.path().join("admin.sock");
    let listener = unix::Listener::bind(&socket).await.unwrap();
    let router = Server::builder().add_service(AdminServer::new(service));
    tokio::spawn(listener.serve(router, std::future::pending()));
    let client = AdminClient::new(unix::connect(&socket).await.unwrap());
    Fixture {
        client,
        _session_node: session_node,
        folder,
    }
}

fn new_account(account: &str, password: &str) -> NewAccount {
    NewAccount {
        account: account.into(),
        secret: Some(Secret::Password(password.into())),
    }
}

impl Fixture {
    async fn add(&mut self, account: &str) -> Result<String, starling_wire::grpc::Status> {
        let account = Some(new_account(account, "secret"));
        let added = self
            .client
            .add_account(AddAccountRequest { account })
            .await?;
        Ok(added.into_inner().account)
    }

    async fn list(&mut self, request: ListAccountsRequest) -> Vec<String> {
        let answer = self.client.list_accounts(request).await.unwrap();
        let mut pages = answer.into_inner();
        let mut names = Vec::new();
        while let Some(page) = pages.message().await.unwrap() {
            names.extend(page.accounts.into_iter().map(|account| account.account));
        }
        names
    }
}

#[tokio::test]
async fn an_account_is_added_shown_changed_and_removed() {
    let mut node = fixture().await;
    assert_eq!(
        node.add("Alice@A.example").await.unwrap(),
        "alice@a.example"
    );
    let account = "alice@a.example".to_owned();
    let request = SetPasswordRequest {
        account: account.clone(),
        password: "another".into(),
    };
    node.client.set_password(request).await.unwrap();
    let request = SetAccountEnabledRequest {
        account: account.clone(),
        is_enabled: false,
    };
    node.client.set_account_enabled(request).await.unwrap();
    let request = ShowAccountRequest {
        account: account.clone(),
    };
    let shown = node
        .client
        .show_account(request)
        .await
        .unwrap()
        .into_inner();
    let shown = shown.account.unwrap();
    assert!(shown.is_disabled);
    assert_eq!(shown.scram_hashes, ["SHA-512", "SHA-256", "SHA-1"]);
    let request = RemoveAccountRequest {
        account: account.clone(),
    };
    node.client.remove_account(request.clone()).await.unwrap();
    let gone = node.client.remove_account(request).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    assert_eq!(gone.message(), "there is no account alice@a.example");
}

#[tokio::test]
async fn refusals_are_sentences_with_a_code() {
    let mut node = fixture().await;
    node.add("alice@a.example").await.unwrap();
    let cases = [
        (
            "alice@a.example",
            Code::AlreadyExists,
            "the account alice@a.example exists already",
        ),
        (
            "alice@c.example",
            Code::InvalidArgument,
            "this node does not serve \"c.example\": it serves a.example, b.example",
        ),
        (
            "a.example",
            Code::InvalidArgument,
            "\"a.example\" is not the address of an account: write it as \"name@host\"",
        ),
    ];
    for (account, code, message) in cases {
        let refused = node.add(account).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (code, message));
    }
}

#[tokio::test]
async fn lists_go_over_hosts_and_pages() {
    let mut node = fixture().await;
    for account in ["b@b.example", "a@b.example", "z@a.example"] {
        node.add(account).await.unwrap();
    }
    let all = ["z@a.example", "a@b.example", "b@b.example"];
    assert_eq!(node.list(ListAccountsRequest::default()).await, all);
    let after = ListAccountsRequest {
        after: "a@b.example".into(),
        ..ListAccountsRequest::default()
    };
    assert_eq!(node.list(after).await, all[2..]);
    let limited = ListAccountsRequest {
        limit: 2,
        ..ListAccountsRequest::default()
    };
    assert_eq!(node.list(limited).await, all[..2]);
    let host = ListAccountsRequest {
        host: "a.example".into(),
        ..ListAccountsRequest::default()
    };
    assert_eq!(node.list(host).await, all[..1]);
}

fn scram_line(line: u64, account: &str, iterations: u32) -> ImportLine {
    let verifier = ScramVerifier {
        hash: "SHA-256".into(),
        salt: b"salt".to_vec(),
        iterations,
        stored_key: vec![1; 32],
        server_key: vec![2; 32],
    };
    let verifiers = vec![verifier];
    ImportLine {
        line,
        account: Some(NewAccount {
            account: account.into(),
            secret: Some(Secret::Scram(ScramVerifiers { verifiers })),
        }),
    }
}

#[tokio::test]
async fn an_import_makes_what_it_can_and_tells_the_rest() {
    let mut node = fixture().await;
    node.add("u7@a.example").await.unwrap();
    let line = |number| scram_line(number, &format!("u{number}@a.example"), 4_096);
    let mut accounts: Vec<_> = (0..600).map(line).collect();
    accounts.push(scram_line(600, "weak@a.example", 1));
    accounts.push(ImportLine {
        line: 601,
        account: Some(new_account("bob@a.example", "secret")),
    });
    let batches: Vec<_> = accounts
        .chunks(100)
        .map(|accounts| ImportAccountsRequest {
            accounts: accounts.to_vec(),
        })
        .collect();
    let answer = node
        .client
        .import_accounts(tokio_stream::iter(batches))
        .await;
    let mut answers = answer.unwrap().into_inner();
    let (mut failures, mut warnings) = (Vec::new(), Vec::new());
    let mut created = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        assert!(answer.created >= created, "progress never goes back");
        created = answer.created;
        failures.extend(answer.failures);
        warnings.extend(answer.warnings);
    }
    failures.sort_by_key(|failure| failure.line);
    assert_eq!(created, 600);
    let told: Vec<_> = failures.iter().map(|f| (f.line, f.is_existing)).collect();
    assert_eq!(told, [(7, true), (600, false)]);
    assert!(
        failures[1]
            .reason
            .starts_with("the verifier for SHA-256 cannot be used")
    );
    // Those with verifiers lack a hash that clients choose; the one with a
    // password has all.
    assert_eq!(warnings.len(), 599);
    assert_eq!(warnings[0].missing_hashes, ["SHA-512"]);
    assert_eq!(warnings[0].hashes, ["SHA-256"]);
    assert_eq!(node.list(ListAccountsRequest::default()).await.len(), 601);
    let request = ShowAccountRequest {
        account: "bob@a.example".into(),
    };
    let shown = node.client.show_account(request).await.unwrap();
    let bob = shown.into_inner().account.unwrap();
    assert_eq!(bob.scram_hashes, ["SHA-512", "SHA-256", "SHA-1"]);
}

#[tokio::test]
async fn status_tells_hosts_and_listeners() {
    let mut node = fixture().await;
    node.add("alice@b.example").await.unwrap();
    let answer = node.client.get_status(GetStatusRequest {}).await;
    let status = answer.unwrap().into_inner();
    let hosts: Vec<_> = status
        .hosts
        .iter()
        .map(|h| (h.host.as_str(), h.accounts))
        .collect();
    assert_eq!(hosts, [("a.example", Some(0)), ("b.example", Some(1))]);
    assert_eq!(status.listeners[0].address, "[::]:5222");
    assert_eq!(status.started_at_ms, 7);
}

#[tokio::test]
async fn no_session_is_an_empty_list() {
    let mut node = fixture().await;
    let answer = node
        .client
        .list_sessions(ListSessionsRequest::default())
        .await;
    assert!(
        answer
            .unwrap()
            .into_inner()
            .message()
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_backup_never_overwrites() {
    let mut node = fixture().await;
    let path = node.folder.path().join("precious");
    std::fs::write(&path, "x").unwrap();
    let path = path.display().to_string();
    let request = BackupRequest { path: path.clone() };
    let mut answers = node.client.backup(request).await.unwrap().into_inner();
    let refused = loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("{path} was overwritten"),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "x");
}
