//! ejabberd from Debian's package, as its documentation advises: the kernel's
//! poll, SQL for archives, no shapers, logs for warnings only; schedulers do not
//! spin, which only costs CPU on machines that are shared; and of modules those
//! that Starling has a counterpart of. It runs without a node name, so that no
//! daemon of Erlang's is started or met.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::certificate;
use super::server::{self, Ground, HOST, ROUNDS, Server, account};

pub(super) const PROGRAM: &str = "/usr/bin/erl";
const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";
/// The tables of its SQL archives.
const SCHEMA: &str = "/usr/share/ejabberd/sql/lite.sql";

pub(super) async fn start(ground: &Ground, users: u64, archive: bool) -> Result<Server> {
    let folder = ground.folder("ejabberd")?;
    let path = folder.path().to_owned();
    let port = server::free_port()?;
    certificate::write(&path, HOST)?;
    std::fs::write(
        path.join("ejabberd.yml"),
        configuration(&path, port, archive),
    )?;
    std::fs::write(path.join("inetrc"), "{lookup,[\"file\",\"native\"]}.\n")?;
    if archive {
        create_tables(&path).await?;
    }
    let (mnesia, users_done) = (path.join("mnesia"), path.join("users-done"));
    let mut command = ground.command(Path::new(PROGRAM));
    command
        .args(["-noinput", "+K", "true", "+P", "250000", "+Q", "65536"])
        .args(["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"])
        .args(["-mnesia", "dir", &format!("\"{}\"", mnesia.display())])
        .args(["-s", "ejabberd", "-eval", &make_users(users, &users_done)?])
        .env("ERL_LIBS", LIBRARIES)
        .env("HOME", &path)
        .env("EJABBERD_CONFIG_PATH", path.join("ejabberd.yml"))
        .env("EJABBERD_LOG_PATH", path.join("server.log"))
        .env("ERL_INETRC", path.join("inetrc"))
        .env("ERL_MAX_PORTS", "65536")
        .env("ERL_CRASH_DUMP_BYTES", "0");
    let mut server = Server::start(command, folder, port).await?;
    let is_done = || async { users_done.exists() };
    server
        .wait_for(is_done)
        .await
        .context("its users cannot be made")?;
    Ok(server)
}

/// Erlang that writes all accounts into its table, as `ejabberd_auth_mnesia`
/// has them.
fn make_users(users: u64, done: &Path) -> Result<String> {
    let account = account()?;
    Ok(format!(
        "{{ok, _}} = application:ensure_all_started(ejabberd), \
         Password = {{scram, <<\"{}\">>, <<\"{}\">>, <<\"{}\">>, sha, {ROUNDS}}}, \
         [mnesia:dirty_write({{passwd, {{<<\"user\", (integer_to_binary(User))/binary>>, <<\"{HOST}\">>}}, Password}}) \
         || User <- lists:seq(0, {} - 1)], \
         ok = file:write_file(\"{}\", <<>>).",
        account.stored,
        account.server,
        account.salt,
        users,
        done.display()
    ))
}

async fn create_tables(folder: &Path) -> Result<()> {
    let mut sqlite = Command::new("sqlite3");
    sqlite
        .arg(folder.join("archive.sqlite"))
        // It stays with the file, and spares most of the waits for the disk.
        .arg("PRAGMA journal_mode = WAL;")
        .arg(format!(".read {SCHEMA}"));
    let done = sqlite.output().await.context("sqlite3")?;
    let problem = String::from_utf8_lossy(&done.stderr);
    ensure!(
        done.status.success(),
        "its tables cannot be made: {problem}"
    );
    Ok(())
}

fn configuration(folder: &Path, port: u16, archive: bool) -> String {
    let folder = folder.display();
    let sql = if archive {
        format!("sql_type: sqlite\nsql_database: \"{folder}/archive.sqlite\"\n")
    } else {
        String::new()
    };
    let mam = if archive {
        "  mod_mam:\n    db_type: sql\n    default: always\n    assume_mam_usage: true\n"
    } else {
        ""
    };
    format!(
        "loglevel: warning\nhosts:\n  - {HOST}\ncertfiles:\n  - \"{folder}/both.pem\"\n\
         listen:\n  -\n    port: {port}\n    ip: \"127.0.0.1\"\n    module: ejabberd_c2s\n\
         \x20   max_stanza_size: 262144\n    starttls: true\n    starttls_required: true\n    backlog: 4096\n\
         auth_method: mnesia\nauth_password_format: scram\n{sql}\
         acl:\n  local:\n    user_regexp: \"\"\n\
         access_rules:\n  local:\n    allow: local\n\
         shaper_rules:\n  max_user_sessions: 10\n  max_user_offline_messages: 5000\n\
         modules:\n\
         \x20 mod_adhoc: {{}}\n  mod_blocking: {{}}\n  mod_carboncopy: {{}}\n  mod_client_state: {{}}\n\
         \x20 mod_disco: {{}}\n  mod_last: {{}}\n{mam}\
         \x20 mod_muc:\n    access_create: local\n    access_persistent: local\n\
         \x20 mod_offline:\n    access_max_user_messages: max_user_offline_messages\n\
         \x20 mod_ping: {{}}\n  mod_privacy: {{}}\n\
         \x20 mod_pubsub:\n    access_createnode: local\n    plugins:\n      - flat\n\
         \x20 mod_roster:\n    versioning: true\n\
         \x20 mod_stream_mgmt:\n    resend_on_timeout: if_offline\n\
         \x20 mod_version: {{}}\n"
    )
}
