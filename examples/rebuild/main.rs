//! A new version of a read model is built beside the old one, while the shop goes on selling, and replaces it at once.
//!
//! Run it with `cargo run --release --example rebuild`, or on Postgres, where its schemas are dropped in the end:
//! `cargo run --release --features postgres --example rebuild -- --store postgres://user@host/database`.
//!
//! `domain.rs` is the shop, `memory.rs` and `postgres.rs` hold the two versions of its read model, `story.rs` is what
//! happens.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to the person who runs it")]
#![expect(clippy::doc_markdown, reason = "doc comments are the text of --help")]
#![expect(unreachable_pub, reason = "the modules read like those of a library")]

mod domain;
#[path = "../support/error_text.rs"]
mod error_text;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(not(feature = "postgres"))]
#[path = "no_postgres.rs"]
mod postgres;
mod story;

use std::process::ExitCode;

use clap::Parser;

use crate::error_text::error_text;

/// A read model gets a new version while events come in: blue/green, with a progress bar.
#[derive(Parser)]
#[command(name = "rebuild")]
struct Options {
    /// Where the events and the rows are kept: `memory`, or the URL of a Postgres database, postgres://user@host/database.
    #[arg(long, value_name = "STORE", default_value = "memory")]
    store: String,

    /// How many events there are before.
    #[arg(long, default_value_t = 100_000)]
    events: u64,

    /// Log what the framework does, for instance `info`; RUST_LOG works as well.
    #[arg(long, value_name = "LEVEL", default_value = "error", env = "RUST_LOG")]
    log: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt().with_env_filter(&options.log).with_writer(std::io::stderr).init();
    let told = match options.store.as_str() {
        "memory" => memory::run(options.events).await,
        url if url.starts_with("postgres:") || url.starts_with("postgresql:") => {
            postgres::run(url, options.events).await
        }
        _ => Err("--store takes `memory` or a URL such as postgres://user@host/database".into()),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rebuild: {}", error_text(&*error));
            ExitCode::FAILURE
        }
    }
}
