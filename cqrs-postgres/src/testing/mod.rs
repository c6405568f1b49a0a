//! What tests on a real Postgres need (feature `testing`, on Unix).

mod account;
mod binaries;
mod builder;
mod clean_up;
mod cluster;
mod daemon;
mod database;
mod error;
mod family;
mod folder;
mod port;
mod proxy;
mod schema;
mod server;
mod server_url;
mod shared;
mod unique;
mod watchdog;

pub use builder::TestServerBuilder;
pub use database::TestDatabase;
pub use error::HarnessError;
pub use proxy::Proxy;
pub use schema::TestSchema;
pub use server::{StopMode, TestServer};
