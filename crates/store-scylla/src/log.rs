//! The logs: cut into buckets, each one partition.
//!
//! - `index`: where the buckets of a log begin, and which entries came too late.
//! - `open`: the bucket that an owner appends to, without asking the database.
//! - `write`: appending and shortening.
//! - `page`: reading.
//! - `waiting`: reading what waits for its owner.
//! - `sweep`: removing what was kept only until it arrived.
//!
//! A bucket is named by the position it begins at and holds the positions of one
//! epoch up to the beginning of the next; it is closed when it is full. So a late
//! owner, which only knows its own epoch, cannot come between the buckets of
//! another, and the bucket of a position is the last that begins at or before
//! it.

pub(crate) mod index;
pub(crate) mod open;
pub(crate) mod page;
pub(crate) mod sweep;
mod waiting;
pub(crate) mod write;

/// The facet of a bucket that holds the entries themselves.
pub(crate) const ENTRIES: &str = "";
