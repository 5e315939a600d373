//! One consistent state of all rows: those in the layers over those in the
//! tables of the file.

use std::iter::Peekable;
use std::ops::Range;

use redb::{AccessGuard, ReadTransaction};
use starling_store::archive::Order;

use crate::fault::Fault;
use crate::layers::{Layer, Value};
use crate::table::{self, Name};

/// The rows of a layer within a range.
type Rows<'a> = Peekable<Box<dyn Iterator<Item = (&'a [u8], &'a Value)> + 'a>>;

/// A row of the file.
type Row = (
    AccessGuard<'static, &'static [u8]>,
    AccessGuard<'static, &'static [u8]>,
);

/// Layers over tables.
pub(crate) struct View<'a> {
    /// From the newest to the oldest.
    pub(crate) layers: Vec<&'a Layer>,
    pub(crate) tables: &'a ReadTransaction,
}

impl View<'_> {
    /// Gives the value of a row, if there is one, to `read`.
    pub(crate) fn value<T>(
        &self,
        name: Name,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, Fault> {
        let said = self.layers.iter().find_map(|layer| layer.get(name, key));
        if let Some(said) = said {
            return Ok(said.as_deref().map(read));
        }
        let table = table::read(self.tables, name)?;
        let value = table.get(key)?;
        Ok(value.map(|value| read(value.value())))
    }

    /// Reads rows of a range from one end until `read` says that it is enough.
    pub(crate) fn each(
        &self,
        name: Name,
        range: &Range<Vec<u8>>,
        order: Order,
        mut read: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Fault> {
        if range.start >= range.end {
            return Ok(());
        }
        let precedes = |one: &[u8], other: &[u8]| match order {
            Order::Ascending => one < other,
            Order::Descending => one > other,
        };
        let mut layers = self.rows(name, range, order);
        let table = table::read(self.tables, name)?;
        let mut rows = table.range::<&[u8]>(range.start.as_slice()..range.end.as_slice())?;
        let mut next = || -> Result<Option<Row>, Fault> {
            let row = match order {
                Order::Ascending => rows.next(),
                Order::Descending => rows.next_back(),
            };
            Ok(row.transpose()?)
        };
        let mut row = next()?;
        loop {
            let Some(key) = first(&mut layers, precedes) else {
                // Only the file is left.
                let Some((key, value)) = &row else {
                    return Ok(());
                };
                if !read(key.value(), value.value()) {
                    return Ok(());
                }
                row = next()?;
                continue;
            };
            if let Some((its, value)) = &row
                && precedes(its.value(), key)
            {
                if !read(its.value(), value.value()) {
                    return Ok(());
                }
                row = next()?;
                continue;
            }
            if row.as_ref().is_some_and(|(its, _)| its.value() == key) {
                row = next()?;
            }
            if let Some(value) = take(&mut layers, key)
                && !read(key, value)
            {
                return Ok(());
            }
        }
    }

    fn rows<'a>(&'a self, name: Name, range: &Range<Vec<u8>>, order: Order) -> Vec<Rows<'a>> {
        let rows = self.layers.iter().map(|layer| {
            let rows = layer.range(name, &range.start, &range.end);
            let rows = rows.map(|(key, value)| (key.as_ref(), value));
            let rows: Box<dyn Iterator<Item = _>> = match order {
                Order::Ascending => Box::new(rows),
                Order::Descending => Box::new(rows.rev()),
            };
            rows.peekable()
        });
        rows.collect()
    }
}

/// The key that comes first of those the layers are at.
fn first<'a>(layers: &mut [Rows<'a>], precedes: impl Fn(&[u8], &[u8]) -> bool) -> Option<&'a [u8]> {
    let keys = layers.iter_mut().filter_map(|rows| Some(rows.peek()?.0));
    keys.reduce(|first, key| if precedes(key, first) { key } else { first })
}

/// Moves every layer beyond a key; what the newest that has it says counts.
fn take<'a>(layers: &mut [Rows<'a>], key: &[u8]) -> Option<&'a [u8]> {
    let mut said = None;
    for rows in layers {
        if let Some((_, value)) = rows.next_if(|(its, _)| *its == key) {
            said.get_or_insert(value);
        }
    }
    said?.as_deref()
}
