//! A service with many tenants: an instance of one application for each, a schema for each, and one pool of
//! connections for all. Tenants are started and stopped while the others go on.
//!
//! Run it with `cargo run --all-features --example tenants`, and with many by
//! `cargo run --release --all-features --example tenants -- --tenants 500`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to the person who runs it")]
#![expect(clippy::doc_markdown, reason = "doc comments are the text of --help")]
#![expect(unreachable_pub, reason = "the modules read like those of a library")]

#[path = "../support/error_text.rs"]
mod error_text;
mod story;
mod tenant;
mod usage;
mod warehouse;

use std::process::ExitCode;

use clap::Parser;
use cqrs::BoxError;
use cqrs::postgres::testing::TestServer;
use cqrs::postgres::{PostgresConfig, PostgresPool};

use crate::error_text::error_text;

/// Many tenants in one process, on one pool of connections to Postgres.
#[derive(Parser)]
#[command(name = "tenants")]
struct Options {
    /// How many tenants to start, at least 2.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_two)]
    tenants: usize,

    /// The database: postgres://user@host/database; one on a throwaway server unless given. The tenants' schemas are
    /// named example_tenant_001 and so on; the last one is dropped, the others stay.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

fn at_least_two(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count >= 2 => Ok(count),
        _ => Err("expected a number of at least 2".to_owned()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tenants: {}", error_text(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), BoxError> {
    // Lives as long as the tenants do.
    let mut server = None;
    let url = match options.url {
        Some(url) => url,
        None => server.insert(TestServer::start().await?).url().to_owned(),
    };
    // With the one that listens, at most 32 connections however many tenants there are.
    let pool = PostgresPool::connect(PostgresConfig::new(url).connections(27).user_connections(4)).await?;
    let told = story::tell(&pool, options.tenants).await;
    pool.close().await;
    told
}
