//! A bank: accounts that are opened, paid into, drawn from and closed, transfers between them, and a welcome for each
//! new owner.
//!
//! Run the story with `cargo run --example bank`, and commands of your own with
//! `cargo run --example bank -- --script FILE`, one JSON object a line:
//! `{"command":"Deposit","data":{"account_id":"a-1","amount":100}}`.
//!
//! Both run on Postgres as well, where what was written stays:
//! `cargo run --features postgres --example bank -- --store postgres://user@host/database`.
//!
//! `domain.rs` and `transfer.rs` hold the rules, `application.rs` the wiring, `story.rs` and `script.rs` use it. Nothing of that
//! knows which store it runs on; `postgres.rs` is all that does.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to the person who runs it")]
#![expect(clippy::doc_markdown, reason = "doc comments are the text of --help")]
#![expect(unreachable_pub, reason = "the modules read like those of a library")]

mod application;
mod domain;
#[path = "../support/error_text.rs"]
mod error_text;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(not(feature = "postgres"))]
#[path = "no_postgres.rs"]
mod postgres;
mod script;
mod story;
mod transfer;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use cqrs::MemoryStore;
use cqrs::store::Store;

use crate::error_text::error_text;

/// A bank on the in-memory store, or on Postgres.
///
/// Without options it tells a story: an account is opened, paid into and drawn from, and the bank is shut down
/// and started again.
#[derive(Parser)]
#[command(name = "bank")]
struct Options {
    /// Read commands as JSON lines from FILE, `-` for standard input, and print one JSON result a line.
    ///
    /// Commands: OpenAccount {account_id, owner}, Deposit {account_id, amount}, Withdraw {account_id, amount},
    /// CloseAccount {account_id}, RequestTransfer {transfer_id, from, to, amount}. The exit status is 1 if any line failed.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,

    /// Where the events are kept: `memory`, or the URL of a Postgres database, postgres://user@host/database.
    ///
    /// On Postgres the accounts are there at the next run: a script goes on with them, and the story opens another
    /// one. The example must be built with `--features postgres`.
    #[arg(long, value_name = "STORE", default_value = "memory", hide_default_value = true)]
    store: String,

    /// The schema that holds the bank, on Postgres; it is created where it is missing.
    #[arg(long, value_name = "NAME", default_value = "bank")]
    schema: String,

    /// Log what the framework does, for instance `debug`; RUST_LOG works as well.
    #[arg(long, value_name = "LEVEL", default_value = "error", env = "RUST_LOG")]
    log: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt().with_env_filter(&options.log).with_writer(std::io::stderr).init();
    let script = options.script.as_deref();
    let outcome = match options.store.as_str() {
        "memory" => run(MemoryStore::new(), "the in-memory store", "a-1", script).await,
        url if url.starts_with("postgres:") || url.starts_with("postgresql:") => {
            postgres::run(url, &options.schema, script).await
        }
        _ => Err("--store takes `memory` or a URL such as postgres://user@host/database".into()),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("bank: {}", error_text(&*error));
        ExitCode::FAILURE
    })
}

/// What the example does, on whatever store; the story opens the account `account_id`.
async fn run(
    store: impl Store + Clone,
    place: &str,
    account_id: &str,
    script: Option<&Path>,
) -> Result<ExitCode, Box<dyn Error>> {
    match script {
        Some(path) => script::run(path, store).await,
        None => story::tell(store, place, account_id).await.map(|()| ExitCode::SUCCESS),
    }
}
