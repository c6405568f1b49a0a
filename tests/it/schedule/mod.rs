//! Scheduled commands, on a clock that the test moves.

mod basics;
mod domain;
mod failing;
mod races;
mod unreadable;
