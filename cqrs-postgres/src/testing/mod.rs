//! What tests on a real Postgres need (feature `testing`, on Unix).
//!
//! | what is needed | with |
//! |---|---|
//! | a server, shared by the tests of a process | [`TestServer::shared`] |
//! | a server to stop, kill and pause, or with settings of its own | [`TestServer::start`], [`TestServer::builder`] |
//! | a place that no other test sees | [`TestSchema`], [`TestDatabase`] |
//! | a network that cuts, refuses, holds, delays, and loses answers | [`Proxy`] |
//! | a pooler between the store and its server | [`PgBouncer`] |
//!
//! Nothing has to run, and nothing stays: servers are started from the programs that are installed on the
//! machine, and vanish with the test's process, whatever ends it. What is not installed is an error that
//! names the package, so that no test is skipped in silence. `DATABASE_URL` names a server that
//! [`TestServer::shared`] uses instead of its own.
//!
//! # Example
//! The server dies, and what was committed is there when it is back:
//!
//! ```
//! use cqrs_postgres::testing::{TestSchema, TestServer};
//! use sqlx::AssertSqlSafe;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = TestServer::start().await?;
//! let schema = TestSchema::new(&server);
//! let create = format!("CREATE SCHEMA {0}; CREATE TABLE {0}.t AS SELECT 7 AS n", schema.name());
//! sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut server.connect().await?).await?;
//!
//! server.kill().await?;
//! server.start_again().await?;
//!
//! let n: i32 = sqlx::query_scalar("SELECT n FROM t").fetch_one(&mut schema.connect().await?).await?;
//! assert_eq!(n, 7);
//! # Ok(())
//! # }
//! ```

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
mod pgbouncer;
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
pub use pgbouncer::PgBouncer;
pub use proxy::Proxy;
pub use schema::TestSchema;
pub use server::{StopMode, TestServer};
