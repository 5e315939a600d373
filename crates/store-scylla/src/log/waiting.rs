//! Reading what waits in a log for its owner: a table of its own names it, the
//! log has it (`page`).

use starling_store::archive::{Entry, Order, Page, Query, TALLY_ENTRIES_MAX, Tally};
use starling_store::{Error, Position};

use super::page::{Range, Reader, rows_max};
use crate::value::{position, values};

impl Reader<'_> {
    /// What waits for the owner.
    pub(super) async fn offline(&self, query: &Query) -> Result<Vec<Entry>, Error> {
        let (mut page, mut range) = (Page::of(query), Range::of(query));
        while !page.is_full() && !range.is_empty() {
            let rows_max = rows_max(query, &page);
            let waiting = self.waiting(query.order, &range, rows_max).await?;
            let places: Vec<Position> = waiting.iter().map(|(at, _)| *at).collect();
            let entries = self.at(query.order, &places).await?;
            page.extend(entries);
            match places.last() {
                Some(last) if places.len() == rows_max => range.go_on(query.order, *last),
                _ => break,
            }
        }
        Ok(page.into_entries())
    }

    /// Which entries wait, and how large they are.
    async fn waiting(
        &self,
        order: Order,
        range: &Range,
        rows_max: usize,
    ) -> Result<Vec<(Position, usize)>, Error> {
        let all = &self.client.statements;
        let statement = match order {
            Order::Ascending => &all.offline_up,
            Order::Descending => &all.offline_down,
        };
        let values = values![
            self.owner.as_str(),
            range.behind.clone(),
            range.ahead.clone(),
            i32::try_from(rows_max).unwrap_or(i32::MAX),
        ];
        let read = |(at, bytes): (Vec<u8>, Option<i32>)| {
            let bytes = usize::try_from(bytes.unwrap_or_default()).unwrap_or(0);
            Ok(position(&at).map(|at| (at, bytes)))
        };
        let rows = self
            .client
            .rows::<(Vec<u8>, Option<i32>), _>(statement, values, read)
            .await?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// How much waits behind a position.
    pub(crate) async fn tally(&self, after: Position) -> Result<Tally, Error> {
        let range = Range::of(&Query::after(after, 0));
        let rows_max = usize::try_from(TALLY_ENTRIES_MAX).unwrap_or(usize::MAX);
        let waiting = self.waiting(Order::Ascending, &range, rows_max).await?;
        let mut tally = Tally::default();
        for (at, bytes) in waiting {
            if !self.index.is_void(at) {
                tally.add(bytes);
            }
        }
        Ok(tally)
    }
}
