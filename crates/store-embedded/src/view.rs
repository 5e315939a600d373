//! One consistent state of all rows: those in the layers over those in the
//! tables of the file.

use std::iter::Peekable;
use std::ops::Range;

use redb::AccessGuard;
use starling_store::Position;
use starling_store::archive::Order;
use starling_xmpp::jid::BareJid;

use crate::fault::Fault;
use crate::layers::{Layer, Value};
use crate::table::{File, Name};
use crate::{key, record};

/// The rows of a layer within a range.
type Rows<'a> = Peekable<Box<dyn Iterator<Item = (&'a [u8], &'a Value)> + 'a>>;

/// A row of the file.
type Row = (
    AccessGuard<'static, &'static [u8]>,
    AccessGuard<'static, &'static [u8]>,
);

/// Rows of one table, in a range of keys that all begin alike.
pub(crate) struct Stretch<'a> {
    pub(crate) name: Name,
    pub(crate) range: &'a Range<Vec<u8>>,
    /// The length of what they begin with.
    pub(crate) prefix_bytes: usize,
}

impl Stretch<'_> {
    /// What is left of a key behind that.
    fn place<'a>(&self, key: &'a [u8]) -> &'a [u8] {
        &key[self.prefix_bytes..]
    }
}

/// Where a row was found, and the end of its key and its value.
pub(crate) enum Found<'a> {
    InLayers(&'a [u8], &'a [u8]),
    InFile(&'a [u8], &'a [u8]),
}

/// Layers over tables.
pub(crate) struct View<'a> {
    /// From the newest to the oldest.
    pub(crate) layers: Vec<&'a Layer>,
    pub(crate) tables: &'a File,
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
        let value = self.tables.table(name)?.get(key)?;
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
        let all = Stretch {
            name,
            range,
            prefix_bytes: 0,
        };
        self.each_of(&all, &all, order, |row| match row {
            Found::InLayers(key, value) | Found::InFile(key, value) => read(key, value),
        })
    }

    /// The same where what is read has another table in the file than in the
    /// layers. Rows whose keys have the same end are of the same thing, of
    /// which layers know better.
    pub(crate) fn each_of(
        &self,
        in_layers: &Stretch<'_>,
        in_file: &Stretch<'_>,
        order: Order,
        mut read: impl FnMut(Found<'_>) -> bool,
    ) -> Result<(), Fault> {
        let Range { start, end } = in_file.range;
        if start >= end {
            return Ok(());
        }
        let precedes = |one: &[u8], other: &[u8]| match order {
            Order::Ascending => one < other,
            Order::Descending => one > other,
        };
        let mut layers = self.rows(in_layers.name, in_layers.range, order);
        let table = self.tables.table(in_file.name)?;
        let mut rows = table.range::<&[u8]>(start.as_slice()..end.as_slice())?;
        let mut next = || -> Result<Option<Row>, Fault> {
            let row = match order {
                Order::Ascending => rows.next(),
                Order::Descending => rows.next_back(),
            };
            Ok(row.transpose()?)
        };
        let mut row = next()?;
        loop {
            let known = first(&mut layers, precedes);
            let stored = row.as_ref().map(|(key, _)| in_file.place(key.value()));
            if let Some(key) = known
                && stored.is_none_or(|stored| !precedes(stored, in_layers.place(key)))
            {
                if stored == Some(in_layers.place(key)) {
                    row = next()?;
                }
                if let Some(value) = take(&mut layers, key)
                    && !read(Found::InLayers(in_layers.place(key), value))
                {
                    return Ok(());
                }
                continue;
            }
            let Some((key, value)) = &row else {
                return Ok(());
            };
            if !read(Found::InFile(in_file.place(key.value()), value.value())) {
                return Ok(());
            }
            row = next()?;
        }
    }

    /// Where the last entry of a log is.
    pub(crate) fn last_entry(&self, owner: &BareJid) -> Result<Option<Position>, Fault> {
        let prefix = key::owner(owner);
        let end = key::end_of(&prefix);
        let (range, mut last) = (prefix.clone()..end, None);
        self.each(Name::Archive, &range, Order::Descending, |key, _| {
            last = Some(record::decode_position(&key[prefix.len()..]));
            false
        })?;
        Ok(last.transpose()?)
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableDatabase as _};

    use super::*;
    use crate::table;

    /// Rows from the oldest level to the newest: keys of one or two octets, and
    /// values, or that there is none.
    fn any_level() -> impl Strategy<Value = Vec<(Vec<u8>, Option<u8>)>> {
        let key = prop::collection::vec(0..4_u8, 1..3);
        prop::collection::vec((key, any::<Option<u8>>()), 0..12)
    }

    fn layer(rows: &[(Vec<u8>, Option<u8>)]) -> Layer {
        let mut layer = Layer::default();
        for (key, value) in rows {
            let value = value.map(|value| Bytes::copy_from_slice(&[value]));
            layer.set(Name::VCard, Bytes::copy_from_slice(key), value);
        }
        layer
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn layers_over_tables_read_as_one(
            levels in prop::collection::vec(any_level(), 1..5),
            start in prop::collection::vec(0..5_u8, 0..3),
            end in prop::collection::vec(0..5_u8, 0..3),
            limit in 1..9_usize,
            is_descending in any::<bool>(),
        ) {
            let database = Database::builder().create_with_backend(InMemoryBackend::new());
            let database = database.unwrap();
            let layers: Vec<Layer> = levels.iter().map(|rows| layer(rows)).collect();
            let transaction = database.begin_write().unwrap();
            table::create_all(&transaction).unwrap();
            let rows: Vec<_> = layers[0].all().collect();
            table::settle(&transaction, &rows).unwrap();
            transaction.commit().unwrap();
            let view = View {
                layers: layers[1..].iter().rev().collect(),
                tables: &File::new(database.begin_read().unwrap()),
            };
            let mut model = BTreeMap::new();
            for (key, value) in levels.iter().flatten() {
                model.insert(key.clone(), *value);
            }
            for key in levels.iter().flatten().map(|(key, _)| key) {
                let found = view.value(Name::VCard, key, |value| value[0]).unwrap();
                prop_assert_eq!(found, model[key]);
            }
            let rows = model.into_iter().filter(|(key, _)| (&start..&end).contains(&key));
            let mut expected: Vec<_> = rows.filter_map(|(key, value)| Some((key, value?))).collect();
            let order = if is_descending { Order::Descending } else { Order::Ascending };
            if is_descending {
                expected.reverse();
            }
            expected.truncate(limit);
            let mut found = Vec::new();
            view.each(Name::VCard, &(start..end), order, |key, value| {
                found.push((key.to_vec(), value[0]));
                found.len() < limit
            }).unwrap();
            prop_assert_eq!(found, expected);
        }
    }
}
