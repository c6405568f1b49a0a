//! An aggregate for which many commands wait: what can be appended together is, and nothing else changes.

mod chaos;
mod ends;
mod failures;
mod gone;
mod queue;
mod together;
