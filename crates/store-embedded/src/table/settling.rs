//! Rows on their way into the file.

use std::ops::Bound;

use redb::{AccessGuard, CursorError, Table, WriteTransaction};
use starling_store::Position;

use super::Name;
use crate::fault::Fault;
use crate::layers;
use crate::pointer::Pointers;

/// Rows that stand together from so many on are put into their pages at once.
const RUN_ROWS_MIN: usize = 4;

/// And not more at a time: a rest may be due.
const RUN_ROWS_MAX: usize = 128;

/// A key and its value, or that there is none any more.
pub(crate) type Row<'a> = (&'a [u8], Option<&'a [u8]>);

/// A table for writing.
type Written<'a> = Table<'a, &'static [u8], &'static [u8]>;

/// What a row was before, if it was there.
type Old<'a> = Option<AccessGuard<'a, &'static [u8]>>;

/// Writes rows into the file. Those of a layer come one table after the other,
/// in the order of keys; later ones replace earlier ones. With entries of logs
/// go the pointers to them.
pub(crate) fn settle(
    transaction: &WriteTransaction,
    rows: &[layers::Row<'_>],
) -> Result<(), Fault> {
    settle_slowly(transaction, rows, |_| {})
}

/// The same, telling after every few rows how many they were: whoever hears it
/// may rest.
pub(crate) fn settle_slowly(
    transaction: &WriteTransaction,
    rows: &[layers::Row<'_>],
    mut rest: impl FnMut(usize),
) -> Result<(), Fault> {
    for rows in rows.chunk_by(|one, next| one.0 == next.0) {
        let Some((name, ..)) = rows.first() else {
            continue;
        };
        let rows: Vec<_> = rows.iter().map(|(_, key, value)| row(key, value)).collect();
        if *name != Name::Archive {
            settle_table(transaction, *name, &rows, &mut rest, |_, _| {})?;
            continue;
        }
        let mut pointers = Pointers::default();
        settle_table(transaction, *name, &rows, &mut rest, |row, old| {
            pointers.follow(row, old);
        })?;
        let pointers = pointers.into_rows();
        let pointers: Vec<_> = pointers
            .iter()
            .map(|(key, value)| (key.as_slice(), *value))
            .collect();
        let name = Name::ArchivePeer;
        settle_table(transaction, name, &pointers, &mut |_| rest(0), |_, _| {})?;
    }
    Ok(())
}

fn row<'a>(key: &'a [u8], value: &'a layers::Value) -> Row<'a> {
    (key, value.as_deref())
}

/// Writes rows of one table and tells of each what was there before.
fn settle_table<'r>(
    transaction: &WriteTransaction,
    name: Name,
    rows: &[Row<'r>],
    rest: &mut impl FnMut(usize),
    mut settled: impl FnMut(&Row<'r>, Option<&[u8]>),
) -> Result<(), Fault> {
    let mut table = transaction.open_table(name.definition())?;
    let runs = rows.chunk_by(stand_together);
    for run in runs.flat_map(|run| run.chunks(RUN_ROWS_MAX)) {
        if run.len() < RUN_ROWS_MIN {
            for row in run {
                let old = settle_one(&mut table, row)?;
                settled(row, old.as_ref().map(AccessGuard::value));
            }
        } else {
            settle_run(&mut table, run, &mut settled)?;
        }
        rest(run.len());
    }
    Ok(())
}

/// Whether two rows are put, and differ in their positions alone: then they
/// most likely come one directly after the other in the file, too.
fn stand_together(one: &Row<'_>, next: &Row<'_>) -> bool {
    let before = |row: &Row<'_>| row.0.len().checked_sub(Position::BYTES);
    let ((one_key, one_value), (next_key, next_value)) = (one, next);
    one_value.is_some()
        && next_value.is_some()
        && before(one) == before(next)
        && before(one).is_some_and(|end| one_key[..end] == next_key[..end])
}

fn settle_one<'t>(table: &'t mut Written<'_>, (key, value): &Row<'_>) -> Result<Old<'t>, Fault> {
    Ok(match value {
        Some(value) => table.insert(*key, *value)?,
        None => table.remove(*key)?,
    })
}

/// The same for rows that stand together, which are put into their pages at
/// once instead of finding and changing a page for each of them.
fn settle_run<'r>(
    table: &mut Written<'_>,
    mut run: &[Row<'r>],
    settled: &mut impl FnMut(&Row<'r>, Option<&[u8]>),
) -> Result<(), Fault> {
    while let Some((first, _)) = run.first() {
        let mut gap = table.lower_bound_mut(Bound::Included(*first))?;
        while let [row @ (key, Some(value)), rest @ ..] = run {
            match gap.insert_before(*key, *value) {
                Ok(()) => settled(row, None),
                Err(CursorError::UnorderedKey) => break,
                Err(error) => return Err(error.into()),
            }
            run = rest;
        }
        gap.close()?;
        // It is there already, or behind one that is.
        if let Some((row, rest)) = run.split_first() {
            let old = settle_one(table, row)?;
            settled(row, old.as_ref().map(AccessGuard::value));
            run = rest;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
