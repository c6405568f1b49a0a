//! Given/when/then for process managers: one instance, without log, application or broker of commands.

mod course;
mod given;
mod then;
mod when;

pub use given::GivenProcess;
pub use when::WhenProcess;
