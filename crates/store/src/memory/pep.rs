//! How what accounts publish is read. What changes do to it is written with the
//! domain.

use async_trait::async_trait;
use starling_xmpp::jid::BareJid;

use super::Memory;
use crate::{Error, pep};

#[async_trait]
impl pep::Read for Memory {
    async fn pep_nodes(&self, owner: &BareJid) -> Result<Vec<pep::Node>, Error> {
        Ok(self.read(owner, |space| space.pep.nodes()))
    }

    async fn pep_index(&self, owner: &BareJid, node: &str) -> Result<Vec<pep::Glance>, Error> {
        Ok(self.read(owner, |space| space.pep.index(node)))
    }

    async fn pep_items(
        &self,
        owner: &BareJid,
        node: &str,
        ids: &[String],
    ) -> Result<Vec<pep::Item>, Error> {
        Ok(self.read(owner, |space| space.pep.items(node, ids)))
    }
}
