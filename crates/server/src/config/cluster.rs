//! What fits together in a cluster, and what does not: mistakes over several
//! sections, told before anything is opened.

use super::Config;
use super::node::Role;
use super::store::StoreKind;

impl Config {
    /// What is wrong with roles, store, cluster and link, by full key.
    pub(super) fn cluster_problems(&self) -> Vec<(String, String)> {
        if self.node.cluster {
            return self.several();
        }
        let mut problems = Vec::new();
        if !self.node.has(Role::Edge) || !self.node.has(Role::Session) {
            problems.push(told(
                "node.roles",
                "a node that is alone has the roles \"edge\" and \"session\": name both, or set \
                 node.cluster = true",
            ));
        }
        if self.store.kind != StoreKind::Embedded {
            problems.push(told(
                "store.kind",
                "a node that is alone keeps its data in its folder: set \"embedded\", or \
                 node.cluster = true",
            ));
        }
        problems
    }

    fn several(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        if self.node.roles.is_empty() {
            problems.push(told("node.roles", "name \"edge\", \"session\" or both"));
        }
        for problem in self.cluster.problems() {
            problems.push(split("cluster", &problem, ": "));
        }
        let link = &self.link;
        let files = [
            ("certificate", &link.certificate),
            ("key", &link.key),
            ("ca", &link.ca),
        ];
        for (key, file) in files {
            if file.is_none() {
                problems.push(told(
                    &format!("link.{key}"),
                    "a node of a cluster needs this file: \"starling cluster cert\" makes it",
                ));
            }
        }
        if self.node.has(Role::Session) {
            problems.extend(self.session_node());
        }
        problems
    }

    fn session_node(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        if self.link.advertise.is_none() && self.link.listen.ip().is_unspecified() {
            problems.push(told(
                "link.advertise",
                "others must be told where this node is: set it to \"host:port\", or \
                 link.listen to an address that they can use",
            ));
        }
        if self.store.kind != StoreKind::Cql {
            problems.push(told(
                "store.kind",
                "the session nodes of a cluster share a database: set \"cql\" and [store.cql]",
            ));
            return problems;
        }
        for problem in self.store.cql.problems() {
            problems.push(split("store.cql", &problem, " "));
        }
        problems
    }
}

fn told(key: &str, message: &str) -> (String, String) {
    (key.to_owned(), message.to_owned())
}

/// A problem that begins with its key. One of several keys is the section's.
fn split(section: &str, problem: &str, mark: &str) -> (String, String) {
    let key = problem.split_once(mark).map(|(key, _)| key);
    match key.filter(|key| !key.contains(' ') && *key != "a") {
        Some(key) => (format!("{section}.{key}"), problem.to_owned()),
        None => (section.to_owned(), problem.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(config: &Config) -> Vec<String> {
        let problems = config.cluster_problems().into_iter();
        problems.map(|(key, _)| key).collect()
    }

    #[test]
    fn a_node_that_is_alone_does_everything_by_itself() {
        let mut config = Config::default();
        assert_eq!(keys(&config), Vec::<String>::new());
        config.node.roles = vec![Role::Edge];
        config.store.kind = StoreKind::Cql;
        assert_eq!(keys(&config), ["node.roles", "store.kind"]);
    }

    #[test]
    fn what_a_node_of_a_cluster_lacks_is_told_at_once() {
        let mut config = Config::default();
        config.node.cluster = true;
        let link = ["link.certificate", "link.key", "link.ca"].map(str::to_owned);
        config.node.roles = vec![Role::Edge];
        assert_eq!(keys(&config), link);
        config.node.roles.push(Role::Session);
        config.cluster.prefix = "starling".into();
        assert_eq!(keys(&config)[0], "cluster.prefix");
        assert_eq!(keys(&config)[4..], ["link.advertise", "store.kind"]);
        config.store.kind = StoreKind::Cql;
        assert_eq!(keys(&config)[5], "store.cql.contact_points");
    }
}
