//! Prosody from Debian's package, as its documentation advises for many users:
//! epoll, generational garbage collection on Lua 5.4, logs for warnings only;
//! and of modules those that Starling has a counterpart of. Archives are in its
//! own files, which it appends to without waiting for the disk: measured, that
//! is the faster of its two ways.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use super::certificate;
use super::server::{self, Ground, HOST, ROUNDS, Server, account};

pub(super) const PROGRAM: &str = "/usr/bin/prosody";

pub(super) async fn start(ground: &Ground, users: u64, archive: bool) -> Result<Server> {
    let folder = ground.folder("prosody")?;
    let port = server::free_port()?;
    certificate::write(folder.path(), HOST)?;
    let accounts = folder.path().join("data").join(HOST).join("accounts");
    std::fs::create_dir_all(&accounts)?;
    let account = account_file()?;
    for user in 0..users {
        std::fs::write(accounts.join(format!("user{user}.dat")), &account)?;
    }
    let config = folder.path().join("prosody.cfg.lua");
    std::fs::write(&config, configuration(folder.path(), port, archive))?;
    let mut command = ground.command(Path::new(PROGRAM));
    command.arg("-F").arg("--config").arg(config);
    Server::start(command, folder, port).await
}

/// As `mod_auth_internal_hashed` keeps it.
fn account_file() -> Result<String> {
    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
    let raw = account()?.raw;
    let (stored, server, salt) = (hex(&raw.stored), hex(&raw.server), server::salt());
    Ok(format!(
        "return {{\n[\"iteration_count\"] = {ROUNDS};\n[\"salt\"] = \"{salt}\";\n\
         [\"stored_key\"] = \"{stored}\";\n[\"server_key\"] = \"{server}\";\n}};\n"
    ))
}

fn configuration(folder: &Path, port: u16, archive: bool) -> String {
    let folder = folder.display();
    let mam = if archive { "\"mam\";" } else { "" };
    format!(
        "daemonize = false\nrun_as_root = true\n\
         pidfile = \"{folder}/prosody.pid\"\ndata_path = \"{folder}/data\"\n\
         log = {{ {{ levels = {{ min = \"warn\" }}; to = \"file\"; filename = \"{folder}/server.log\" }} }}\n\
         network_backend = \"epoll\"\ngc = {{ mode = \"generational\" }}\n\
         interfaces = {{ \"127.0.0.1\" }}\nc2s_ports = {{ {port} }}\n\
         c2s_direct_tls_ports = {{}}\nhttp_ports = {{}}\nhttps_ports = {{}}\n\
         c2s_require_encryption = true\nauthentication = \"internal_hashed\"\n\
         modules_enabled = {{ \"roster\"; \"saslauth\"; \"tls\"; \"disco\"; \"carbons\"; \"blocklist\"; \
         \"version\"; \"uptime\"; \"time\"; \"ping\"; \"smacks\"; \"csi\"; {mam} }}\n\
         modules_disabled = {{ \"s2s\"; \"s2s_auth_certs\"; \"posix\" }}\n\
         archive_expires_after = \"never\"\nmax_archive_query_results = 250\n\
         VirtualHost \"{HOST}\"\n\
         ssl = {{ certificate = \"{folder}/certificate.pem\"; key = \"{folder}/key.pem\" }}\n\
         Component \"conference.{HOST}\" \"muc\"\nrestrict_room_creation = false\n\
         Component \"pubsub.{HOST}\" \"pubsub\"\nadmins = {{ \"user0@{HOST}\" }}\n"
    )
}
