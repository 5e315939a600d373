//! `starling session`: the sessions of the running node.

use serde_json::{Value, json};
use starling_wire::admin::v1::{KickSessionRequest, ListSessionsRequest, Session};

use super::exit::Refused;
use super::output::{Output, Table, count, moment};
use super::{Exit, Global, SessionCommand, client};

pub(super) async fn run(
    global: &Global,
    command: SessionCommand,
    output: &Output,
) -> anyhow::Result<Exit> {
    let mut node = client::connect(global).await?;
    match command {
        SessionCommand::List { of, limit } => {
            let request = ListSessionsRequest {
                of: of.unwrap_or_default(),
                limit: limit.unwrap_or_default(),
            };
            let answer = node.list_sessions(request).await.map_err(Refused::from)?;
            let mut pages = answer.into_inner();
            let mut table = Table::new(["SESSION", "PRIORITY", "FROM", "SINCE", "LOGIN", "CLIENT"]);
            while let Some(page) = pages.message().await.map_err(Refused::from)? {
                for session in &page.sessions {
                    if output.is_json() {
                        output.print("", &as_json(session))?;
                    } else {
                        table.row(row(session));
                    }
                }
            }
            if !output.is_json() {
                Output::raw(&(table.text() + "\n"))?;
            }
        }
        SessionCommand::Kick { jid } => {
            let request = KickSessionRequest { jid };
            let answer = node.kick_session(request).await.map_err(Refused::from)?;
            let ended = answer.into_inner().sessions_ended;
            let text = format!("Ended {}.", count(ended.into(), "session"));
            output.print(&text, &json!({ "sessions_ended": ended }))?;
        }
    }
    Ok(Exit::Done)
}

/// A session in one line, for the page of its user.
pub(super) fn as_text(session: &Session) -> String {
    let [jid, priority, peer, since, login, client] = row(session);
    format!("{jid}  priority {priority}, from {peer} since {since}, {login} {client}")
        .trim_end()
        .to_owned()
}

pub(super) fn as_json(session: &Session) -> Value {
    json!({
        "jid": session.jid,
        "peer": session.peer,
        "bound_at_ms": session.bound_at_ms,
        "priority": session.priority,
        "is_encrypted": session.is_encrypted,
        "mechanism": session.mechanism,
        "software": session.software,
    })
}

fn row(session: &Session) -> [String; 6] {
    let priority = session
        .priority
        .map_or("-".into(), |priority| priority.to_string());
    [
        session.jid.clone(),
        priority,
        session.peer.clone(),
        moment(session.bound_at_ms),
        session.mechanism.clone(),
        session.software.clone(),
    ]
}
