//! Who a node is, as its certificate says: `starling://<cluster>/<role>/<node>`
//! as a URI in the subject's alternative names, one for each role.
//!
//! That the certificate is genuine has been checked by TLS before.

use starling_cluster::{NodeId, Role};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// What the URIs begin with.
const SCHEME: &str = "starling://";

/// A node, as its certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster it belongs to.
    pub cluster: String,
    /// Its name.
    pub node: NodeId,
    /// What it may do.
    pub roles: Vec<Role>,
}

impl Identity {
    /// What a certificate says; `None` if it names no node, or several.
    #[must_use]
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = certificate.subject_alternative_name().ok()??;
        let mut found: Option<Self> = None;
        for name in &names.value.general_names {
            let GeneralName::URI(uri) = name else {
                continue;
            };
            let Some((cluster, role, node)) = parts(uri) else {
                continue;
            };
            let node = NodeId::new(node);
            let identity = found.get_or_insert_with(|| Self {
                cluster: cluster.to_owned(),
                node: node.clone(),
                roles: Vec::new(),
            });
            if identity.cluster != cluster || identity.node != node {
                return None;
            }
            identity.roles.push(role);
        }
        found
    }

    /// Whether it may do what a role does.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Its names in a certificate.
    #[must_use]
    pub fn uris(&self) -> Vec<String> {
        let uri = |role: &Role| format!("{SCHEME}{}/{role}/{}", self.cluster, self.node);
        self.roles.iter().map(uri).collect()
    }

    /// Whether its names can stand in a certificate: letters, digits, dots and
    /// hyphens, since the name of a node is also the one that TLS asks for.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        is_name(&self.cluster) && is_name(self.node.as_str()) && !self.roles.is_empty()
    }
}

fn is_name(name: &str) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let is_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    is_edge(name.chars().next()) && is_edge(name.chars().next_back()) && name.chars().all(is_good)
}

fn parts(uri: &str) -> Option<(&str, Role, &str)> {
    let mut parts = uri.strip_prefix(SCHEME)?.split('/');
    let (cluster, role, node) = (parts.next()?, parts.next()?, parts.next()?);
    let role = Role::of_name(role)?;
    (parts.next().is_none() && is_name(cluster) && is_name(node)).then_some((cluster, role, node))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_tls_cannot_ask_for_are_refused() {
        for (name, is_good) in [
            ("edge-1", true),
            ("a.b", true),
            ("", false),
            ("-a", false),
            ("a/b", false),
            ("a b", false),
        ] {
            assert_eq!(is_name(name), is_good, "{name}");
        }
        assert_eq!(parts("starling://c/edge/n"), Some(("c", Role::Edge, "n")));
        assert_eq!(parts("starling://c/king/n"), None);
        assert_eq!(parts("starling://c/edge/n/x"), None);
        assert_eq!(parts("https://c/edge/n"), None);
    }
}
