//! What is bound to a statement, and positions as the database sorts them.

use bytes::Bytes;
use scylla::cluster::metadata::ColumnType;
use scylla::errors::SerializationError;
use scylla::serialize::value::SerializeValue;
use scylla::serialize::writers::{CellWriter, WrittenCellProof};
use starling_store::Position;

/// One bound value. Statements of one batch have different ones, so they are
/// not typed beyond this.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Blob(Bytes),
    Blobs(Vec<Vec<u8>>),
    Big(i64),
    Int(i32),
}

impl Value {
    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
            Value::Blobs(list) => list.iter().map(Vec::len).sum(),
            Value::Big(_) | Value::Int(_) => size_of::<i64>(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Value::Blob(bytes.into())
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Value::Blob(bytes)
    }
}

/// As bytes, which sort as positions do.
impl From<Position> for Value {
    fn from(position: Position) -> Self {
        position.to_bytes().to_vec().into()
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Big(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Value::Int(number)
    }
}

impl SerializeValue for Value {
    fn serialize<'b>(
        &self,
        column: &ColumnType<'_>,
        writer: CellWriter<'b>,
    ) -> Result<WrittenCellProof<'b>, SerializationError> {
        match self {
            Value::Text(text) => text.serialize(column, writer),
            Value::Blob(bytes) => bytes.as_ref().serialize(column, writer),
            Value::Blobs(list) => list.serialize(column, writer),
            Value::Big(number) => number.serialize(column, writer),
            Value::Int(number) => number.serialize(column, writer),
        }
    }
}

/// The values of one statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::value::Value::from($value)),*]
    };
}
pub(crate) use values;

/// Bytes that sort directly behind a position and ahead of every other.
pub(crate) fn just_behind(position: Position) -> Vec<u8> {
    let mut bytes = position.to_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// Bytes that sort behind every position.
pub(crate) fn behind_all() -> Vec<u8> {
    vec![u8::MAX; Position::BYTES + 1]
}

/// A position that was read; `None` if the bytes are none.
pub(crate) fn position(bytes: &[u8]) -> Option<Position> {
    bytes.try_into().ok().map(Position::from_bytes)
}
