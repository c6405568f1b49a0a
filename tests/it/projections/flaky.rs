use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use cqrs::projection::{Claim, Generation, GenerationError, RowError, RowPlace, RowStore, RowTransaction};
use cqrs::store::{HandlerCommit, StoreError};

/// Rows whose transactions fail as a test says.
#[derive(Clone, Debug, Default)]
pub struct Flaky<R> {
    inner: R,
    glitches: Arc<Mutex<VecDeque<Glitch>>>,
    commits: Arc<Mutex<Vec<Option<u64>>>>,
}

/// What happens to one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glitch {
    /// It cannot be begun.
    Unreachable,
    /// It is committed, and nobody hears of it.
    AnswerLost,
    /// It is not committed, and nobody hears of that.
    CommitLost,
    /// It is said to be committed, and is lost with the server that has not brought it to disk.
    Forgotten,
    /// It is refused when it is to be committed.
    Refused,
    /// It is not committed, since somebody else has become the owner.
    Fenced,
    /// It cannot be undone, since the connection is gone.
    UndoLost,
    /// Nothing.
    None,
}

impl<R> Flaky<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, glitches: Arc::default(), commits: Arc::default() }
    }

    /// What happens to the next transactions.
    pub fn then(&self, glitches: impl IntoIterator<Item = Glitch>) {
        self.glitches.lock().unwrap().extend(glitches);
    }

    /// How many transactions were committed that moved no position.
    pub fn unmoved(&self) -> usize {
        self.commits.lock().unwrap().iter().filter(|position| position.is_none()).count()
    }

    /// The positions that were committed.
    pub fn commits(&self) -> Vec<u64> {
        self.commits.lock().unwrap().iter().copied().flatten().collect()
    }
}

pub struct FlakyTransaction<T> {
    inner: T,
    place: RowPlace,
    glitch: Glitch,
    commits: Arc<Mutex<Vec<Option<u64>>>>,
}

fn unplugged() -> StoreError {
    StoreError::Unavailable("unplugged".into())
}

impl<R: RowStore> RowStore for Flaky<R> {
    type Connection = R::Connection;
    type Transaction = FlakyTransaction<R::Transaction>;

    async fn generations(&self, projection: &str) -> Result<Vec<Generation>, StoreError> {
        self.inner.generations(projection).await
    }

    async fn add(&self, projection: &str, version: u32, log: &str) -> Result<u64, GenerationError> {
        self.inner.add(projection, version, log).await
    }

    async fn claim(&self, place: &RowPlace) -> Result<Claim, RowError> {
        self.inner.claim(place).await
    }

    async fn make(&self, place: &RowPlace) -> Result<Self::Transaction, RowError> {
        let (inner, commits) = (self.inner.make(place).await?, Arc::clone(&self.commits));
        Ok(FlakyTransaction { inner, place: place.clone(), glitch: Glitch::None, commits })
    }

    async fn begin(&self, place: &RowPlace) -> Result<Self::Transaction, RowError> {
        let glitch = self.glitches.lock().unwrap().pop_front().unwrap_or(Glitch::None);
        if glitch == Glitch::Unreachable {
            return Err(unplugged().into());
        }
        let (inner, commits) = (self.inner.begin(place).await?, Arc::clone(&self.commits));
        Ok(FlakyTransaction { inner, place: place.clone(), glitch, commits })
    }

    async fn activate(&self, place: &RowPlace, from: u64, to: u64) -> Result<(), RowError> {
        self.inner.activate(place, from, to).await
    }

    async fn hold_active(&self, place: &RowPlace, limit: std::time::Duration) -> Result<u64, RowError> {
        self.inner.hold_active(place, limit).await
    }

    async fn roll_back(&self, projection: &str) -> Result<u64, GenerationError> {
        self.inner.roll_back(projection).await
    }

    async fn discard(&self, projection: &str, generation: u64) -> Result<(), GenerationError> {
        self.inner.discard(projection, generation).await
    }
}

impl<T: RowTransaction> RowTransaction for FlakyTransaction<T> {
    type Connection = T::Connection;

    fn connection(&mut self) -> &mut T::Connection {
        self.inner.connection()
    }

    async fn commit(self, from: u64, commit: HandlerCommit) -> Result<(), RowError> {
        let position = commit.position;
        match self.glitch {
            Glitch::Forgotten => return Ok(()),
            Glitch::CommitLost => return Err(unplugged().into()),
            Glitch::Fenced => return Err(self.place.fenced()),
            Glitch::Refused => return Err(RowError::Refused(StoreError::Failed("a constraint".into()))),
            _ => {}
        }
        self.inner.commit(from, commit).await?;
        self.commits.lock().unwrap().push(position);
        match self.glitch {
            Glitch::AnswerLost => Err(unplugged().into()),
            _ => Ok(()),
        }
    }

    async fn roll_back(self) -> Result<(), StoreError> {
        match self.glitch {
            Glitch::UndoLost => Err(unplugged()),
            _ => self.inner.roll_back().await,
        }
    }
}
