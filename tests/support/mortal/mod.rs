//! Lives that end at a certain step, or meet with a fault there: stores and rows as a process sees them.

pub mod fate;
mod rows;
mod store;

pub use fate::{Fate, each_death, each_fault};
pub use rows::MortalRows;
pub use store::MortalStore;
