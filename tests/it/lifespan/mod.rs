//! How long an instance stays in memory: its lifespan, and the bound on live instances.

mod answers;
mod bound;
mod defaults;
mod domain;
mod pressure;
