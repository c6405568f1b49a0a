use std::time::Duration;

use cqrs::projection::{Claim, Generation, GenerationError, RowError, RowPlace, RowStore, RowTransaction};
use cqrs::store::{HandlerCommit, StoreError};

use super::Fate;

/// A way to rows, which a life takes.
#[derive(Clone, Debug)]
pub struct MortalRows<R> {
    inner: R,
    fate: Fate,
}

impl<R: RowStore> MortalRows<R> {
    pub fn new(inner: &R, fate: &Fate) -> Self {
        Self { inner: inner.clone(), fate: fate.clone() }
    }

    fn transaction(&self, inner: R::Transaction) -> MortalTransaction<R::Transaction> {
        MortalTransaction { inner, fate: self.fate.clone() }
    }
}

/// A transaction on them, which is undone when the life ends before it is committed.
pub struct MortalTransaction<T> {
    inner: T,
    fate: Fate,
}

impl<R: RowStore> RowStore for MortalRows<R> {
    type Connection = R::Connection;
    type Transaction = MortalTransaction<R::Transaction>;

    async fn generations(&self, projection: &str) -> Result<Vec<Generation>, StoreError> {
        self.fate.call(self.inner.generations(projection)).await
    }

    async fn add(&self, projection: &str, version: u32, log: &str) -> Result<u64, GenerationError> {
        self.fate.call(self.inner.add(projection, version, log)).await
    }

    async fn claim(&self, place: &RowPlace) -> Result<Claim, RowError> {
        self.fate.call(self.inner.claim(place)).await
    }

    async fn make(&self, place: &RowPlace) -> Result<Self::Transaction, RowError> {
        self.fate.call(self.inner.make(place)).await.map(|inner| self.transaction(inner))
    }

    async fn begin(&self, place: &RowPlace) -> Result<Self::Transaction, RowError> {
        self.fate.call(self.inner.begin(place)).await.map(|inner| self.transaction(inner))
    }

    async fn activate(&self, place: &RowPlace, from: u64, to: u64) -> Result<(), RowError> {
        self.fate.call(self.inner.activate(place, from, to)).await
    }

    async fn hold_active(&self, place: &RowPlace, limit: Duration) -> Result<u64, RowError> {
        self.fate.call(self.inner.hold_active(place, limit)).await
    }

    async fn roll_back(&self, projection: &str) -> Result<u64, GenerationError> {
        self.fate.call(self.inner.roll_back(projection)).await
    }

    async fn discard(&self, projection: &str, generation: u64) -> Result<(), GenerationError> {
        self.fate.call(self.inner.discard(projection, generation)).await
    }
}

impl<T: RowTransaction> RowTransaction for MortalTransaction<T> {
    type Connection = T::Connection;

    fn connection(&mut self) -> &mut T::Connection {
        self.inner.connection()
    }

    async fn commit(self, from: u64, commit: HandlerCommit) -> Result<(), RowError> {
        let Self { inner, fate } = self;
        fate.call(inner.commit(from, commit)).await
    }

    async fn roll_back(self) -> Result<(), StoreError> {
        let Self { inner, fate } = self;
        fate.call(inner.roll_back()).await
    }
}
