use chrono::{DateTime, Utc};

use crate::store::StoreError;

/// Rows of a projection that were made from the beginning of the log, by code of one version.
///
/// Readers see those of the active generation. A rebuild, and a new version, make the next one beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Generation {
    /// 1 for the first, and so on.
    pub number: u64,
    /// The version of the projection's code that makes it.
    pub version: u32,
    /// What it is for.
    pub state: GenerationState,
    /// The position up to which its rows are made.
    pub position: u64,
    /// The log that its rows are made from, as [`StoreIdentity`](crate::store::StoreIdentity) tells it.
    pub log: String,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// Whether it stands still, for the next one to come as far and take its place.
    pub is_held: bool,
}

impl Generation {
    /// A generation; for stores of rows.
    #[must_use]
    pub fn new(
        number: u64,
        version: u32,
        state: GenerationState,
        position: u64,
        log: String,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self { number, version, state, position, log, created_at, is_held: false }
    }

    /// Sets whether it stands still.
    #[must_use]
    pub fn held(self, is_held: bool) -> Self {
        Self { is_held, ..self }
    }
}

/// What a generation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GenerationState {
    /// It is being built, and nobody reads it yet.
    Building,
    /// Readers see it.
    Active,
    /// Readers saw it before the active one, and may be given it back.
    Kept,
    /// Readers saw it, and were given back an earlier one.
    RolledBack,
}

/// Why the generations of a projection stay as they are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerationError {
    /// One is being built already.
    #[error("projection {projection:?} is being built already")]
    Building {
        /// The projection.
        projection: String,
    },
    /// The rows that readers see were made by code of a later version.
    #[error(
        "projection {projection:?} has rows of version {active}, this program makes those of version {own}"
    )]
    Newer {
        /// The projection.
        projection: String,
        /// The version of the rows.
        active: u32,
        /// The version of this program.
        own: u32,
    },
    /// No earlier rows are kept.
    #[error("projection {projection:?} has no earlier rows to go back to")]
    NothingKept {
        /// The projection.
        projection: String,
    },
    /// There is no such generation, or it is the one that readers see.
    #[error("projection {projection:?} has no generation {generation} beside the one that readers see")]
    NoSuchGeneration {
        /// The projection.
        projection: String,
        /// The generation.
        generation: u64,
    },
    /// The rows cannot be reached.
    #[error("the rows cannot be reached")]
    Store(#[from] StoreError),
}

/// The generation that readers see.
pub(crate) fn active(generations: &[Generation]) -> Option<&Generation> {
    generations.iter().find(|generation| generation.state == GenerationState::Active)
}

/// The one that is being built.
pub(crate) fn building(generations: &[Generation]) -> Option<&Generation> {
    generations.iter().find(|generation| generation.state == GenerationState::Building)
}

/// The latest version that was ever begun.
pub(crate) fn latest_version(generations: &[Generation]) -> Option<u32> {
    generations.iter().map(|generation| generation.version).max()
}
