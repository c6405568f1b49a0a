//! Several nodes of one application on one store: each handler runs on one of them.

pub mod domain;
mod faults;
mod give_back;
mod nodes;
mod strong;
mod take_over;
