//! What the macros make, compiled under the conditions that users bring, and put to work.

#[path = "macros/bare.rs"]
mod bare;
#[path = "macros/commands.rs"]
mod commands;
#[path = "macros/configured.rs"]
mod configured;
#[path = "macros/events.rs"]
mod events;
#[path = "macros/handlers.rs"]
mod handlers;
#[path = "macros/private.rs"]
mod private;
#[path = "macros/renamed.rs"]
mod renamed;
#[path = "macros/shapes.rs"]
mod shapes;
#[path = "macros/strict.rs"]
mod strict;
