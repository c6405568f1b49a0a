use std::time::Duration;

use cqrs_core::projection::{Claim, Generation, GenerationError, RowError, RowPlace, RowStore};
use cqrs_core::store::StoreError;

use crate::PostgresRows;
use crate::projection::bulk::BulkWriter;

/// [`PostgresRows`] for projections whose methods are given one event each, and whose rows are written many at a time all
/// the same.
///
/// A method that is given a connection costs a round trip for each event. The methods of a projection on these rows are
/// given a [`BulkWriter`], which gathers the rows of a batch of events, up to 500, or 5,000 while rows are being built, and
/// writes them with one statement: as fast as
/// [`handle_batch`](cqrs_core::projection::Projection::handle_batch), without a loop over events.
///
/// ```
/// use cqrs_postgres::BulkWriter;
///
/// const ADD: &str = "insert into balances as b \
///     select account_id, sum(amount) from unnest($1::text[], $2::bigint[]) r(account_id, amount) group by 1 \
///     on conflict (account_id) do update set balance = b.balance + excluded.balance";
///
/// async fn on_deposited(account_id: &str, amount: i64, rows: &mut BulkWriter) -> Result<(), sqlx::Error> {
///     rows.write(ADD, (account_id.to_owned(), amount)).await
/// }
/// ```
///
/// A statement is given an array for each column. The same row can come several times in them, which `on conflict` and
/// `update` do not put up with: sum up what counts, as above, or take the last one.
///
/// ```
/// const RENAME: &str = "update accounts a set owner = r.owner \
///     from (select distinct on (account_id) account_id, owner \
///       from unnest($1::text[], $2::text[]) with ordinality r(account_id, owner, place) \
///       order by account_id, place desc) r \
///     where a.account_id = r.account_id";
/// ```
///
/// What the database refuses when the rows are written is
/// [`HandlerError::NotCommitted`](cqrs_core::handler::HandlerError::NotCommitted) to
/// [`on_error`](cqrs_core::projection::Projection::on_error). They cannot be written
/// [inline](cqrs_core::projection::Projection#inline).
#[derive(Clone, Debug)]
pub struct BulkRows {
    rows: PostgresRows,
}

impl PostgresRows {
    /// The same rows for methods that write a row each, which are gathered and written many at a time.
    #[must_use]
    pub fn bulk(self) -> BulkRows {
        BulkRows { rows: self }
    }
}

impl BulkRows {
    /// The rows, without anything that gathers what is written to them.
    #[must_use]
    pub fn rows(&self) -> &PostgresRows {
        &self.rows
    }
}

impl RowStore for BulkRows {
    type Connection = BulkWriter;
    type Transaction = BulkWriter;

    async fn generations(&self, projection: &str) -> Result<Vec<Generation>, StoreError> {
        self.rows.generations(projection).await
    }

    async fn add(&self, projection: &str, version: u32, log: &str) -> Result<u64, GenerationError> {
        self.rows.add(projection, version, log).await
    }

    async fn claim(&self, place: &RowPlace) -> Result<Claim, RowError> {
        self.rows.claim(place).await
    }

    async fn make(&self, place: &RowPlace) -> Result<BulkWriter, RowError> {
        self.rows.make(place).await.map(BulkWriter::new)
    }

    async fn begin(&self, place: &RowPlace) -> Result<BulkWriter, RowError> {
        self.rows.begin(place).await.map(BulkWriter::new)
    }

    async fn begin_alone(&self, place: &RowPlace) -> Result<(BulkWriter, u64), RowError> {
        let (transaction, position) = self.rows.begin_alone(place).await?;
        Ok((BulkWriter::new(transaction), position))
    }

    async fn activate(&self, place: &RowPlace, from: u64, to: u64) -> Result<(), RowError> {
        self.rows.activate(place, from, to).await
    }

    async fn hold_active(&self, place: &RowPlace, limit: Duration) -> Result<u64, RowError> {
        self.rows.hold_active(place, limit).await
    }

    async fn roll_back(&self, projection: &str) -> Result<u64, GenerationError> {
        self.rows.roll_back(projection).await
    }

    async fn discard(&self, projection: &str, generation: u64) -> Result<(), GenerationError> {
        self.rows.discard(projection, generation).await
    }
}
