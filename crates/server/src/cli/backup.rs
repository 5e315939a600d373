//! `starling backup`.

use std::path::Path;

use anyhow::Context as _;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;
use starling_wire::admin::v1::BackupRequest;

use super::exit::Refused;
use super::output::Output;
use super::{Exit, Global, client};

pub(super) async fn run(global: &Global, file: &Path, output: &Output) -> anyhow::Result<Exit> {
    // The node has a working folder of its own.
    let path = std::path::absolute(file)
        .with_context(|| format!("cannot make {} absolute", file.display()))?;
    let path = path
        .into_os_string()
        .into_string()
        .map_err(|path| anyhow::anyhow!("{} is not UTF-8", path.display()))?;
    let mut node = client::connect(global).await?;
    let request = BackupRequest { path: path.clone() };
    let answer = node.backup(request).await.map_err(Refused::from)?;
    let mut progress = answer.into_inner();
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bytes} written ({bytes_per_sec})") {
        bar.set_style(style);
    }
    let mut bytes = 0;
    let mut is_complete = false;
    while let Some(message) = progress.message().await.map_err(Refused::from)? {
        bytes = message.bytes_written;
        is_complete = message.is_complete;
        bar.set_position(bytes);
    }
    bar.finish_and_clear();
    if !is_complete {
        anyhow::bail!("the node ended the backup before it was complete: do not use {path}");
    }
    let text = format!("Wrote {path}, {}.", HumanBytes(bytes));
    output.print(&text, &json!({ "path": path, "bytes": bytes }))?;
    Ok(Exit::Done)
}
