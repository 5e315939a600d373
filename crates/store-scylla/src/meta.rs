//! Secrets and settings of the deployment. All writes are lightweight
//! transactions: nodes that start at once must agree, and a write of another
//! kind would have a timestamp that cannot be compared.

use bytes::Bytes;
use starling_store::Error;

use crate::client::{Client, applied, found_blob};
use crate::value::values;

/// A value can come and go between two statements, but not for ever.
const TRIES_MAX: u32 = 16;

/// The value under a key.
pub(crate) async fn read(client: &Client, key: &str) -> Result<Option<Bytes>, Error> {
    let row = client
        .row::<(Option<Vec<u8>>,)>(&client.statements.meta, values![key])
        .await?;
    Ok(row.map(|(value,)| value.unwrap_or_default().into()))
}

/// Stores a value unless there is one; returns the one that holds.
pub(crate) async fn init(client: &Client, key: &str, value: Bytes) -> Result<Bytes, Error> {
    let values = values![key, value.clone()];
    let result = client.execute(&client.statements.meta_init, values).await?;
    let (is_applied, row, names) = applied(result)?;
    if is_applied {
        return Ok(value);
    }
    Ok(found_blob(&row, &names, "value").unwrap_or_default().into())
}

/// Replaces a value.
pub(crate) async fn set(client: &Client, key: &str, value: Bytes) -> Result<(), Error> {
    for _ in 0..TRIES_MAX {
        let values = values![value.clone(), key];
        let result = client
            .execute(&client.statements.meta_replace, values)
            .await?;
        if applied(result)?.0 || init(client, key, value.clone()).await? == value {
            return Ok(());
        }
    }
    let reason = format!("others keep changing meta {key}");
    Err(Error::Unavailable { reason })
}
