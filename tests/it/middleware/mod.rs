//! The layers around commands: their order, what they may change, halting, panics, and the ready-made ones.

mod audit;
mod audit_senders;
mod changes;
mod domain;
mod halting;
mod order;
mod panics;
mod request_log;
mod shipped;
