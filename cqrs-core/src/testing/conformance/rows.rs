//! What the cases of rows need of an adapter, and what they have in common.

use std::collections::BTreeMap;

use crate::projection::{Claim, Generation, GenerationState, RowError, RowPlace, RowStore, RowTransaction};
use crate::store::HandlerCommit;

/// A store of rows, and how a test writes to its connections and reads what is there: texts by keys.
///
/// A method that cannot do what it is asked for panics.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use cqrs_core::projection::RowStore;
/// use cqrs_core::testing::conformance::TestRows;
///
/// struct Maps<Rows>(Rows);
///
/// impl<Rows: RowStore<Connection = BTreeMap<String, String>>> TestRows for Maps<Rows> {
///     type Store = Rows;
///
///     fn store(&self, _projection: &str) -> Rows {
///         self.0.clone()
///     }
///
///     async fn create(&self, _connection: &mut BTreeMap<String, String>) {}
///
///     async fn put(&self, connection: &mut BTreeMap<String, String>, key: &str, value: &str) {
///         connection.insert(key.to_owned(), value.to_owned());
///     }
///
///     async fn written(&self, connection: &mut BTreeMap<String, String>) -> BTreeMap<String, String> {
///         connection.clone()
///     }
///
///     async fn read(&self, _projection: &str) -> BTreeMap<String, String> {
///         // What a query of a reader finds.
/// #       BTreeMap::new()
///     }
/// }
/// ```
pub trait TestRows: Send + Sync + 'static {
    /// The store of rows.
    type Store: RowStore;

    /// Where the rows of a projection lie; always the same for one name. Several projections may share it, unless the store
    /// is for one.
    fn store(&self, projection: &str) -> Self::Store;

    /// Creates what rows are written to, such as a table.
    fn create(&self, connection: &mut RowConnection<Self>) -> impl Future<Output = ()> + Send;

    /// Writes a row, whether there is one of this key or not.
    fn put(
        &self,
        connection: &mut RowConnection<Self>,
        key: &str,
        value: &str,
    ) -> impl Future<Output = ()> + Send;

    /// All rows as a transaction sees them, what it has written included.
    fn written(
        &self,
        connection: &mut RowConnection<Self>,
    ) -> impl Future<Output = BTreeMap<String, String>> + Send;

    /// All rows of a projection as readers see them; none when there are none for them.
    fn read(&self, projection: &str) -> impl Future<Output = BTreeMap<String, String>> + Send;
}

/// What a projection writes to.
pub type RowConnection<R> = <<R as TestRows>::Store as RowStore>::Connection;

/// The projection of most cases.
pub(super) const NAME: &str = "balances";

/// The log of most cases.
pub(super) const LOG: &str = "log-1";

/// What most cases do with rows.
pub(super) trait Rows: TestRows {
    /// A place of the projection of most cases.
    fn place(&self, generation: u64, epoch: u64) -> RowPlace {
        RowPlace { projection: NAME.into(), generation, epoch }
    }

    /// Begins a generation, owned by this epoch, and makes its empty rows.
    async fn build(&self, projection: &str, epoch: u64) -> RowPlace {
        let store = self.store(projection);
        assert!(store.generations(projection).await.is_ok(), "generations can be read");
        let generation = store.add(projection, 1, LOG).await.expect("nothing else is built");
        let place = RowPlace { projection: projection.into(), generation, epoch };
        store.claim(&place).await.expect("nobody owns it");
        let mut transaction = store.make(&place).await.expect("it is claimed");
        self.create(transaction.connection()).await;
        transaction.commit(0, HandlerCommit::new().position(0)).await.expect("it is claimed");
        place
    }

    /// A first generation that readers see, owned by this epoch.
    async fn build_active(&self, projection: &str, epoch: u64) -> RowPlace {
        let place = self.build(projection, epoch).await;
        self.store(projection).activate(&place, 0, 0).await.expect("it is owned, and there is no other");
        self.claim(&place).await;
        place
    }

    async fn claim(&self, place: &RowPlace) -> Claim {
        self.store(&place.projection).claim(place).await.expect("there is no later owner")
    }

    /// Writes a row, and the position of a commit.
    async fn write(
        &self,
        place: &RowPlace,
        from: u64,
        row: (&str, &str),
        commit: HandlerCommit,
    ) -> Result<(), RowError> {
        let mut transaction = self.store(&place.projection).begin(place).await?;
        self.put(transaction.connection(), row.0, row.1).await;
        transaction.commit(from, commit).await
    }

    /// Writes a row as the owner, and moves on by one position.
    async fn advance(&self, place: &RowPlace, from: u64, row: (&str, &str)) {
        let commit = HandlerCommit::new().position(from + 1);
        self.write(place, from, row, commit).await.expect("it is owned, and made up to there");
    }

    /// The rows of a generation, whether readers see it or not.
    async fn rows_of(&self, place: &RowPlace) -> BTreeMap<String, String> {
        let mut transaction = self.store(&place.projection).begin(place).await.expect("it is owned");
        let rows = self.written(transaction.connection()).await;
        transaction.roll_back().await.expect("a transaction can be undone");
        rows
    }

    async fn generations(&self, projection: &str) -> Vec<Generation> {
        self.store(projection).generations(projection).await.expect("generations can be read")
    }

    /// Number, state and position of each generation.
    async fn states(&self, projection: &str) -> Vec<(u64, GenerationState, u64)> {
        let all = self.generations(projection).await;
        all.into_iter().map(|one| (one.number, one.state, one.position)).collect()
    }
}

impl<R: TestRows> Rows for R {}

/// Rows as a case expects them.
pub(super) fn rows<const N: usize>(rows: [(&str, &str); N]) -> BTreeMap<String, String> {
    rows.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[track_caller]
pub(super) fn assert_fenced<T: std::fmt::Debug>(result: Result<T, RowError>, place: &RowPlace) {
    match result {
        Err(RowError::Fenced { projection, generation }) => {
            assert_eq!((&*projection, generation), (&*place.projection, place.generation));
        }
        other => panic!("{place:?} is not fenced: {other:?}"),
    }
}
