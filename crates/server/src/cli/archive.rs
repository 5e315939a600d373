//! `starling user archive`: how long one user's archive is kept, and erasing it.

use std::io::IsTerminal as _;

use anyhow::bail;
use serde_json::json;
use starling_wire::AdminClient;
use starling_wire::admin::v1::SetArchiveRequest;
use starling_wire::admin::v1::set_archive_request::Keep;
use starling_wire::grpc::Channel;

use super::exit::Refused;
use super::output::{Output, confirm, count};

/// What is asked for.
pub(super) struct Asked {
    pub(super) account: String,
    pub(super) keep_days: Option<u32>,
    pub(super) keep_as_host: bool,
    pub(super) erase: bool,
    /// Erasing has been confirmed.
    pub(super) yes: bool,
}

pub(super) async fn run(
    node: &mut AdminClient<Channel>,
    asked: Asked,
    output: &Output,
) -> anyhow::Result<()> {
    let Asked { account, erase, .. } = asked;
    if erase && !asked.yes {
        if !std::io::stdin().is_terminal() {
            bail!("erasing the archive of {account} cannot be undone: confirm it with --yes");
        }
        if !confirm(&format!("Erase the archive of {account}?"))? {
            bail!("nothing was erased");
        }
    }
    let as_host = asked.keep_as_host.then_some(Keep::AsHost(true));
    let request = SetArchiveRequest {
        account,
        keep: asked.keep_days.map(Keep::Days).or(as_host),
        erase,
    };
    let answer = node.set_archive(request).await.map_err(Refused::from)?;
    let answer = answer.into_inner();
    let kept = match answer.keep_days {
        None => "as long as the configuration says".to_owned(),
        Some(0) => "for ever".to_owned(),
        Some(days) => count(days.into(), "day"),
    };
    let mut text = format!("The archive of {} is kept: {kept}.", answer.account);
    if erase {
        text.push_str(" What was in it is erased.");
    }
    let value = json!({
        "account": answer.account,
        "keep_days": answer.keep_days,
        "is_erased": erase,
    });
    output.print(&text, &value)?;
    Ok(())
}
