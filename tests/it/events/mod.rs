//! Events: the registry, old payloads made new, and what comes with an event.

pub mod domain;
mod json;
mod metadata;
mod newer;
mod programs;
mod readers;
mod registry;
mod undecodable;
mod upcasting;
