//! `starling user`: accounts of the running node, one at a time.

use std::io::IsTerminal as _;

use anyhow::bail;
use serde_json::{Value, json};
use starling_wire::AdminClient;
use starling_wire::admin::v1::new_account::Secret;
use starling_wire::admin::v1::{
    Account, AddAccountRequest, ListAccountsRequest, NewAccount, RemoveAccountRequest,
    SetAccountEnabledRequest, SetPasswordRequest, ShowAccountRequest, ShowAccountResponse,
};
use starling_wire::grpc::Channel;

use super::exit::Refused;
use super::output::{Output, confirm, count, moment};
use super::password::Source;
use super::{Exit, Global, UserCommand, archive, client, import, session};

pub(super) async fn run(
    global: &Global,
    command: UserCommand,
    output: &Output,
) -> anyhow::Result<Exit> {
    let mut node = client::connect(global).await?;
    match command {
        UserCommand::Add { account, password } => {
            add(&mut node, account, &password, output).await?
        }
        UserCommand::Passwd { account, password } => {
            passwd(&mut node, account, &password, output).await?;
        }
        UserCommand::List { host, after, limit } => {
            let request = ListAccountsRequest {
                host: host.unwrap_or_default(),
                after: after.unwrap_or_default(),
                limit: limit.unwrap_or_default(),
            };
            list(&mut node, request, output).await?;
        }
        UserCommand::Show { account } => {
            let request = ShowAccountRequest { account };
            let shown = node.show_account(request).await.map_err(Refused::from)?;
            show(&shown.into_inner(), output)?;
        }
        UserCommand::Disable { account } => enable(&mut node, account, false, output).await?,
        UserCommand::Enable { account } => enable(&mut node, account, true, output).await?,
        UserCommand::Archive {
            account,
            keep_days,
            keep_as_host,
            erase,
            yes,
        } => {
            let asked = archive::Asked {
                account,
                keep_days,
                keep_as_host,
                erase,
                yes,
            };
            archive::run(&mut node, asked, output).await?;
        }
        UserCommand::Remove { account, yes } => {
            if !yes {
                let question = format!("Remove {account} with all its messages and contacts?");
                if !std::io::stdin().is_terminal() {
                    bail!("removing {account} cannot be undone: confirm it with --yes");
                }
                if !confirm(&question)? {
                    bail!("nothing was removed");
                }
            }
            remove(&mut node, account, output).await?;
        }
        UserCommand::Import { file } => return import::run(node, &file, output).await,
    }
    Ok(Exit::Done)
}

async fn add(
    node: &mut AdminClient<Channel>,
    account: String,
    password: &Source,
    output: &Output,
) -> anyhow::Result<()> {
    let secret = Some(Secret::Password(password.read()?));
    let account = Some(NewAccount { account, secret });
    let request = AddAccountRequest { account };
    let added = node.add_account(request).await.map_err(Refused::from)?;
    let account = added.into_inner().account;
    output.print(&format!("Added {account}."), &json!({ "account": account }))?;
    Ok(())
}

async fn passwd(
    node: &mut AdminClient<Channel>,
    account: String,
    password: &Source,
    output: &Output,
) -> anyhow::Result<()> {
    let password = password.read()?;
    let request = SetPasswordRequest { account, password };
    let changed = node.set_password(request).await.map_err(Refused::from)?;
    let account = changed.into_inner().account;
    let text = format!("{account} has a new password.");
    output.print(&text, &json!({ "account": account }))?;
    Ok(())
}

async fn list(
    node: &mut AdminClient<Channel>,
    request: ListAccountsRequest,
    output: &Output,
) -> anyhow::Result<()> {
    let answer = node.list_accounts(request).await.map_err(Refused::from)?;
    let mut pages = answer.into_inner();
    while let Some(page) = pages.message().await.map_err(Refused::from)? {
        for account in &page.accounts {
            let mark = if account.is_disabled {
                "  (disabled)"
            } else {
                ""
            };
            output.print(&format!("{}{mark}", account.account), &as_json(account))?;
        }
    }
    Ok(())
}

fn show(shown: &ShowAccountResponse, output: &Output) -> anyhow::Result<()> {
    let account = shown.account.clone().unwrap_or_default();
    let mut text = format!(
        "{}{}\n  created           {}\n  last activity     {}\n  verifiers         {}\n  \
         roster            {}\n  offline messages  {}\n  sessions          {}",
        account.account,
        if account.is_disabled {
            "  (disabled)"
        } else {
            ""
        },
        moment(account.created_at_ms),
        moment(account.last_activity_at_ms),
        account.scram_hashes.join(", "),
        count(shown.roster_items.into(), "contact"),
        shown.offline_messages,
        shown.sessions.len(),
    );
    for session in &shown.sessions {
        text.push_str("\n    ");
        text.push_str(&session::as_text(session));
    }
    let mut value = as_json(&account);
    let sessions = shown.sessions.iter().map(session::as_json);
    value["sessions"] = sessions.collect();
    value["roster_items"] = shown.roster_items.into();
    value["offline_messages"] = shown.offline_messages.into();
    output.print(&text, &value)?;
    Ok(())
}

async fn enable(
    node: &mut AdminClient<Channel>,
    account: String,
    is_enabled: bool,
    output: &Output,
) -> anyhow::Result<()> {
    let request = SetAccountEnabledRequest {
        account,
        is_enabled,
    };
    let answer = node.set_account_enabled(request).await;
    let changed = answer.map_err(Refused::from)?.into_inner();
    let text = if is_enabled {
        format!("{} may log in.", changed.account)
    } else {
        let ended = count(changed.sessions_ended.into(), "session");
        format!("{} may not log in; {ended} ended.", changed.account)
    };
    let value = json!({
        "account": changed.account,
        "is_enabled": is_enabled,
        "sessions_ended": changed.sessions_ended,
    });
    output.print(&text, &value)?;
    Ok(())
}

async fn remove(
    node: &mut AdminClient<Channel>,
    account: String,
    output: &Output,
) -> anyhow::Result<()> {
    let request = RemoveAccountRequest { account };
    let answer = node.remove_account(request).await;
    let removed = answer.map_err(Refused::from)?.into_inner();
    let value = json!({
        "account": removed.account,
        "sessions_ended": removed.sessions_ended,
    });
    output.print(&format!("Removed {}.", removed.account), &value)?;
    Ok(())
}

fn as_json(account: &Account) -> Value {
    json!({
        "account": account.account,
        "created_at_ms": account.created_at_ms,
        "last_activity_at_ms": account.last_activity_at_ms,
        "is_disabled": account.is_disabled,
        "scram_hashes": account.scram_hashes,
    })
}
