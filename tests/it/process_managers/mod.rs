//! Process managers: what they are told, what they send, and what remains of it in all circumstances.

mod compensation;
mod crash_points;
pub mod domain;
mod effects;
mod failures;
mod faults;
mod first_sending;
mod idle;
mod interrupted;
mod kit;
mod looking;
mod restart;
mod routing;
mod sending;
mod several;
mod tenure;
mod timers;
mod transfer;
mod zombies;
