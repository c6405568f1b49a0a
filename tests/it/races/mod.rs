//! Many callers at once, on instances that come and go.

mod domain;
mod dropped;
mod mailbox;
mod retirement;
