//! `starling cluster cert`: what a cluster needs before its nodes run.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;
use starling_cluster::{NodeId, Role};
use starling_wire::certificates::{self, Pair};
use starling_wire::link::Identity;
use time::OffsetDateTime;

use crate::cli::arguments::CertRole;
use crate::cli::exit::Exit;
use crate::cli::output::Output;

/// Rights of a private key: its owner only.
const KEY_MODE: u32 = 0o600;

/// Rights of a certificate.
const CERTIFICATE_MODE: u32 = 0o644;

/// The certificate that is wanted.
pub(super) struct Wanted {
    pub(super) cluster: String,
    pub(super) node: String,
    pub(super) role: Vec<CertRole>,
    pub(super) out: PathBuf,
}

pub(super) fn run(wanted: Wanted, output: &Output) -> anyhow::Result<Exit> {
    let Wanted {
        cluster,
        node,
        role,
        out,
    } = wanted;
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let now = OffsetDateTime::now_utc();
    let key = authority(&cluster, &out, now)?;
    let identity = Identity {
        cluster,
        node: NodeId::new(node.as_str()),
        roles: role.into_iter().map(of).collect(),
    };
    let pair = certificates::node(&identity, &key, now)?;
    let (certificate, key) = write(&out, &node, &pair)?;
    let text = format!(
        "Wrote {} and {}. The node needs these two and {}; keep {} to yourself.",
        certificate.display(),
        key.display(),
        out.join("ca.crt").display(),
        out.join("ca.key").display(),
    );
    let value = json!({
        "certificate": certificate,
        "key": key,
        "ca": out.join("ca.crt"),
    });
    output.print(&text, &value)?;
    Ok(Exit::Done)
}

/// The key of the cluster's authority, which is made the first time.
fn authority(cluster: &str, out: &Path, now: OffsetDateTime) -> anyhow::Result<String> {
    let path = out.join("ca.key");
    if path.exists() {
        return fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()));
    }
    let pair = certificates::authority(cluster, now)?;
    write(out, "ca", &pair)?;
    Ok(pair.key)
}

fn write(out: &Path, name: &str, pair: &Pair) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (
        out.join(format!("{name}.crt")),
        out.join(format!("{name}.key")),
    );
    create(&key, &pair.key, KEY_MODE)?;
    create(&certificate, &pair.certificate, CERTIFICATE_MODE)?;
    Ok((certificate, key))
}

/// Never over a file that is there: it may be in use.
fn create(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn of(role: CertRole) -> Role {
    match role {
        CertRole::Edge => Role::Edge,
        CertRole::Session => Role::Session,
        CertRole::Api => Role::Api,
    }
}
