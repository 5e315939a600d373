//! Accounts: created once, listed by host, removed with everything they own.
//!
//! The row in `account` is touched by lightweight transactions only, which have
//! timestamps of their own, so it cannot be compared with stamped rows. What ties
//! the two together is `base`: the latest timestamp that the creator found in the
//! owner's partition. A removal counts only for accounts created before it, so
//! a removal that is repeated does not take an account that was made since.

use futures_util::FutureExt as _;
use starling_store::codec::{Decoder, Encoder, Malformed};
use starling_store::{Account, Creation, Error, Stamp, account, record};
use starling_xmpp::jid::BareJid;

use crate::client::{Bound, Client, applied, found_blob, together};
use crate::error::corrupt;
use crate::log::index::Index;
use crate::stamp::{of_delete, of_put};
use crate::state::{ACCOUNT_KINDS, REMOVED, State, Writer};
use crate::value::values;

/// Partitions that the names of one host are spread over: a million accounts
/// are some 60,000 rows in each.
const SLOTS: i32 = 16;

/// Version of the value in `account`.
const VERSION: u8 = 1;

/// The account as it was created; what changed since is in [`State`].
pub(crate) async fn created(client: &Client, jid: &BareJid) -> Result<Option<Account>, Error> {
    let values = values![jid.as_str()];
    let row = client
        .row::<(Option<i64>, Option<Vec<u8>>)>(&client.statements.account, values)
        .await?;
    let Some((_, Some(value))) = row else {
        return Ok(None);
    };
    decode(jid, &value)
        .map(Some)
        .map_err(|error| corrupt(format!("account of {jid}"), error))
}

/// The account as it is.
pub(crate) async fn read(client: &Client, jid: &BareJid) -> Result<Option<Account>, Error> {
    let (account, state) = tokio::try_join!(
        created(client, jid),
        State::read_kinds(client, jid, ACCOUNT_KINDS)
    )?;
    let Some(mut account) = account else {
        return Ok(None);
    };
    state.extend(&mut account)?;
    Ok(Some(account))
}

/// Creates the account unless there is one.
pub(crate) async fn create(client: &Client, account: &Account) -> Result<Creation, Error> {
    let jid = &account.jid;
    if created(client, jid).await?.is_some() {
        return Ok(Creation::AlreadyExists);
    }
    let base = clear(client, jid).await?;
    // Listed before it exists, so that none exists that is not listed; a
    // listing leaves out who does not exist.
    let statement = &client.statements.list_put;
    let (host, slot, local) = place(jid);
    client
        .execute(statement, values![host, slot, local, base])
        .await?;
    let claim: [u8; 16] = rand::random();
    let values = values![jid.as_str(), claim.to_vec(), base, encode(account)];
    let result = client
        .execute(&client.statements.account_create, values)
        .await?;
    let (is_applied, row, names) = applied(result)?;
    // One that was applied without an answer finds itself when it is repeated.
    if !is_applied && found_blob(&row, &names, "claim").as_deref() != Some(&claim[..]) {
        return Ok(Creation::AlreadyExists);
    }
    let writer = Writer {
        client,
        owner: jid,
        stamp: Stamp::default(),
    };
    let tokens = account.credentials.tokens.iter();
    let tokens = tokens.map(|token| account::Change::PutToken(token.clone()));
    let tokens: Vec<Bound> = tokens
        .filter_map(|change| writer.account(&change))
        .map(|bound| at(bound, base + 1))
        .collect();
    if !tokens.is_empty() {
        client.batch(&tokens).await?;
    }
    Ok(Creation::Created)
}

/// The same row with another timestamp, which is its last value.
fn at(mut bound: Bound, timestamp: i64) -> Bound {
    bound.values.pop();
    bound.values.push(timestamp.into());
    bound
}

/// Clears what is left of an earlier account, or was written for none; returns
/// a timestamp that none of it is later than.
async fn clear(client: &Client, jid: &BareJid) -> Result<i64, Error> {
    let owner = jid.as_str();
    let times = client
        .rows::<(Option<i64>,), i64>(&client.statements.state_times, values![owner], |(time,)| {
            Ok(time.unwrap_or_default())
        })
        .await?;
    let base = times.iter().copied().max().unwrap_or_default();
    if !times.is_empty() {
        let statement = &client.statements.state_delete_all;
        client.execute(statement, values![base, owner]).await?;
        // A program that knows nothing of it may have removed the account.
        let statement = &client.statements.pep_delete_all;
        client.execute(statement, values![base, owner]).await?;
    }
    Ok(base)
}

/// Erases the account and everything of every domain.
///
/// The account goes last: as long as it is there, nobody can take its name and
/// find what it left behind.
pub(crate) async fn remove(client: &Client, jid: &BareJid, stamp: Stamp) -> Result<(), Error> {
    let (owner, at) = (jid.as_str(), of_delete(stamp));
    let all = &client.statements;
    let index = Index::read(client, jid).await?;
    let buckets = index.buckets().iter().map(|bucket| {
        let values = values![at, owner, bucket.start];
        client.execute(&all.log_delete_bucket, values).boxed()
    });
    together(buckets.collect()).await?;
    let writer = Writer {
        client,
        owner: jid,
        stamp,
    };
    // The mark tells who creates the account again how late this removal was.
    let state = [
        Bound {
            statement: all.state_delete_all.clone(),
            values: values![at, owner],
        },
        writer.put_at(REMOVED, "", Vec::new(), of_put(stamp)),
    ];
    tokio::try_join!(
        client.execute(&all.index_delete_all, values![at, owner]),
        client.execute(&all.offline_delete_all, values![at, owner]),
        client.execute(&all.pep_delete_all, values![at, owner]),
        client.execute(&all.private_delete_all, values![at, owner]),
        client.execute(&all.vcard_delete, values![at, owner]),
        client.batch(&state),
    )?;
    client
        .execute(&all.account_delete, values![owner, at])
        .await?;
    let (host, slot, local) = place(jid);
    client
        .execute(&all.list_delete, values![at, host, slot, local])
        .await
        .map(|_| ())
}

/// The accounts of a host behind `after`.
pub(crate) async fn list(
    client: &Client,
    host: &str,
    after: Option<&BareJid>,
    limit: usize,
) -> Result<Vec<Account>, Error> {
    let mut found = Vec::new();
    let mut behind = after
        .and_then(|jid| jid.local())
        .unwrap_or_default()
        .to_owned();
    while found.len() < limit {
        let wanted = limit - found.len();
        let names = names(client, host, &behind, wanted).await?;
        let Some(last) = names.last() else { break };
        behind.clone_from(last);
        let jids = names
            .iter()
            .filter_map(|local| BareJid::parse(&format!("{local}@{host}")).ok());
        let jids: Vec<BareJid> = jids.collect();
        let accounts = together(jids.iter().map(|jid| read(client, jid).boxed()).collect()).await?;
        found.extend(accounts.into_iter().flatten());
    }
    Ok(found)
}

/// Names of a host behind one, in order, of accounts that may not exist.
async fn names(
    client: &Client,
    host: &str,
    behind: &str,
    limit: usize,
) -> Result<Vec<String>, Error> {
    let rows = i32::try_from(limit).unwrap_or(i32::MAX);
    let slots = (0..SLOTS).map(|slot| {
        let values = values![host, slot, behind, rows];
        let read = |(local,): (String,)| Ok(local);
        let rows = client.rows::<(String,), _>(&client.statements.list_page, values, read);
        rows.boxed()
    });
    let mut names = together(slots.collect()).await?.concat();
    names.sort_unstable();
    names.truncate(limit);
    Ok(names)
}

/// How many accounts a host has, as far as the list tells.
pub(crate) async fn count(client: &Client, host: &str) -> Result<u64, Error> {
    let slots = (0..SLOTS).map(|slot| {
        let row = client.row::<(i64,)>(&client.statements.list_count, values![host, slot]);
        row.boxed()
    });
    let counts = together(slots.collect()).await?;
    let counts = counts.into_iter().flatten();
    Ok(counts
        .map(|(count,)| u64::try_from(count).unwrap_or(0))
        .sum())
}

/// Where an account is listed.
fn place(jid: &BareJid) -> (&str, i32, &str) {
    let local = jid.local().unwrap_or_default();
    // FNV-1a: it has to be the same in every version, and spread evenly.
    let hash = local.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    (
        jid.domain(),
        (hash % SLOTS.unsigned_abs()).cast_signed(),
        local,
    )
}

/// The account as it is created, without its tokens.
fn encode(account: &Account) -> Vec<u8> {
    let mut out = Encoder::new(VERSION, 512);
    out.bytes(&record::encode_account(account));
    let last = account
        .last_activity
        .as_ref()
        .map(record::encode_last_activity);
    out.option(last, |out, last| {
        out.bytes(&last);
    });
    out.list(account.attributes.iter(), |out, (name, value)| {
        out.text(name).text(value);
    });
    out.finish()
}

fn decode(jid: &BareJid, bytes: &[u8]) -> Result<Account, Malformed> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let mut account = record::decode_account(jid.clone(), from.bytes()?)?;
    let last = from.option(Decoder::bytes)?;
    account.last_activity = last.map(record::decode_last_activity).transpose()?;
    let attributes = from.list(|from| Ok((from.text()?.into(), from.text()?.to_owned())))?;
    account.attributes = attributes.into_iter().collect();
    from.finish().map(|()| account)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::*;
    use starling_store::account::LastActivity;
    use starling_store::contract::sample::{self, NOW};

    #[test]
    fn an_account_comes_back_as_it_was_created() {
        let mut account = sample::account("juliet@capulet.example");
        account
            .attributes
            .insert("language".into(), "it".to_owned());
        account.last_activity = Some(LastActivity {
            at: NOW,
            status: None,
        });
        assert_eq!(decode(&account.jid, &encode(&account)).unwrap(), account);
    }

    #[test]
    fn names_are_spread_over_the_slots() {
        let mut counts = [0; SLOTS as usize];
        for n in 0..1_600 {
            let jid = sample::bare(&format!("user{n}@capulet.example"));
            counts[usize::try_from(place(&jid).1).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (50..200).contains(count)),
            "{counts:?}"
        );
    }
}
