//! A node of a cluster that cannot start says why in one sentence and ends.

use std::path::PathBuf;

use starling_cluster::Role;
use starling_testkit::process::Output;

use crate::LEASE;
use crate::shared::ground::{Ground, ground};
use crate::shared::nodes::{Nodes, Site};
use crate::shared::{CONFIGURATION, new_folder};

/// Exit codes of `starling --help`.
const FAILED: i32 = 1;
const WRONG_CONFIGURATION: i32 = 3;

/// Settings in which something is wrong.
struct Wrong {
    site: Site,
}

impl Wrong {
    fn on(ground: Ground, name: &str) -> Self {
        let site = Site {
            ground,
            folder: new_folder(name),
            name: name.replace('-', ""),
            lease: LEASE,
        };
        Self { site }
    }

    fn configure(&self, node: &str, role: Role, change: impl FnOnce(String) -> String) {
        self.site.configure(node, role, CONFIGURATION);
        let file = self.site.folder_of(node).join("starling.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, change(text)).unwrap();
    }

    /// What it says at its end: one line.
    async fn says(&self, node: &str, exit: i32) -> String {
        let Output { code, err, .. } = self.site.program(node, &["serve"]).run().await;
        assert_eq!(code, Some(exit), "{err}");
        let mut said = err.lines().filter(|line| line.starts_with("starling: "));
        let last = said.next().unwrap_or_default().to_owned();
        assert_eq!(said.next(), None, "it says one thing: {err}");
        last
    }
}

/// Nothing is there: what is wrong is found before anything is asked.
fn nowhere(name: &str) -> Ground {
    Ground {
        endpoints: vec!["http://127.0.0.1:1".to_owned()],
        contact_points: Vec::new(),
        certificates: new_folder(&format!("{name}-certificates")),
    }
}

#[tokio::test]
async fn a_wrong_address_of_etcd() {
    let wrong = Wrong::on(nowhere("no-etcd"), "no-etcd");
    wrong.configure("edge-0", Role::Edge, |text| text);
    let said = wrong.says("edge-0", FAILED).await;
    let expected = "starling: cannot reach etcd at http://127.0.0.1:1: ";
    assert!(said.starts_with(expected), "{said}");
}

#[tokio::test]
async fn a_certificate_of_another_node_or_without_the_role() {
    let ground = nowhere("bad-link");
    ground.certificate("edge-7", &[Role::Edge]);
    let wrong = Wrong::on(ground, "bad-link");
    wrong.configure("edge-0", Role::Edge, |text| {
        text.replace("edge-0.", "edge-7.")
    });
    let said = wrong.says("edge-0", WRONG_CONFIGURATION).await;
    let expected = "starling: the certificate of the link is for node \"edge-7\"";
    assert!(said.starts_with(expected), "{said}");

    wrong.site.ground.certificate("edge-1", &[Role::Api]);
    wrong.configure("edge-1", Role::Edge, |text| text);
    let said = wrong.says("edge-1", WRONG_CONFIGURATION).await;
    assert!(
        said.contains("does not allow this node the role \"edge\""),
        "{said}"
    );
}

#[tokio::test]
async fn a_certificate_that_the_authority_has_not_signed() {
    let wrong = Wrong::on(nowhere("bad-ca"), "bad-ca");
    let other = nowhere("other-ca");
    other.certificate("edge-0", &[Role::Edge]);
    let (ours, theirs) = (wrong.site.ground.authority(), other.authority());
    let shown = |path: PathBuf| path.display().to_string();
    let (ours, theirs) = (shown(ours), shown(theirs));
    wrong.configure("edge-0", Role::Edge, |text| text.replace(&ours, &theirs));
    let said = wrong.says("edge-0", WRONG_CONFIGURATION).await;
    assert!(said.contains("(link.ca) does not vouch for it"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd and a CQL database: cargo xtask test --only cluster"]
async fn what_only_a_running_cluster_can_tell() {
    let wrong = Wrong::on(ground().clone(), "refused");
    wrong.configure("session-9", Role::Session, |text| {
        // Without this the node makes the keyspace by itself.
        let replication = text.find("[store.cql.replication]").expect("a table");
        text[..replication].to_owned()
    });
    let said = wrong.says("session-9", FAILED).await;
    assert!(said.contains("keyspace starling_refused"), "{said}");
    assert!(said.contains("does not exist. Create it with"), "{said}");

    let nodes = Nodes::start(wrong.site.clone(), 1, 1, CONFIGURATION).await;
    wrong.configure("edge-5", Role::Edge, |text| {
        text.replace("name = \"verona\"", "name = \"padua\"")
    });
    let said = wrong.says("edge-5", WRONG_CONFIGURATION).await;
    assert!(
        said.contains("of cluster \"verona\", but this is"),
        "the certificate: {said}"
    );

    // The same name from another folder, as after a copied configuration.
    let twin = Site {
        folder: new_folder("refused-twin"),
        ..wrong.site.clone()
    };
    twin.configure("edge-0", Role::Edge, CONFIGURATION);
    let twin = Wrong { site: twin };
    let said = twin.says("edge-0", FAILED).await;
    let expected = "starling: another process runs as node \"edge-0\" (run edge-0.";
    assert!(said.starts_with(expected), "{said}");
    assert!(
        said.ends_with("give every node a name of its own"),
        "{said}"
    );
    crate::stop(nodes).await;
}
