//! Events: the registry, old payloads made new, and what comes with an event.

mod domain;
mod metadata;
mod registry;
mod undecodable;
mod upcasting;
