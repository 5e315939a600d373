//! The login bundle in two rounds: first what can be read at once (the account,
//! the owner's small rows, the index of the log), then what the first round
//! tells where to look for (the end of the log, and what waits behind the
//! cursor).

use starling_store::{Error, LoginBundle};
use starling_xmpp::jid::BareJid;

use crate::account;
use crate::client::Client;
use crate::log::index::Index;
use crate::log::page::Reader;
use crate::state::State;

/// Everything the owner of an account needs to serve it.
pub(crate) async fn read(client: &Client, owner: &BareJid) -> Result<Option<LoginBundle>, Error> {
    let (account, mut state, index) = tokio::try_join!(
        account::created(client, owner),
        State::read(client, owner),
        Index::read(client, owner)
    )?;
    let Some(mut account) = account else {
        return Ok(None);
    };
    state.extend(&mut account)?;
    let reader = Reader::new(client, owner, &index);
    let after = state.cursors.offline_or_start();
    let (last_position, offline) = tokio::try_join!(reader.last(), reader.tally(after))?;
    Ok(Some(LoginBundle {
        roster: state.roster(Some(&account)),
        blocklist: state.blocklist,
        cursors: state.cursors,
        last_position,
        offline,
        account,
    }))
}
