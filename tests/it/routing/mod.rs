//! Which stream a command goes to, which layers and options hold for it.

mod composite;
mod domain;
mod identity;
mod precedence;
