//! Applications: starting, stopping, what can be seen of them, and what keeps them running.

mod faults;
pub mod faulty_store;
mod lifecycle;
mod shutdown;
mod supervision;
