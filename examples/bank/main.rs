//! A bank: accounts that are opened, paid into, drawn from and closed, and a welcome for each new owner.
//!
//! Run the story with `cargo run --example bank`, and commands of your own with
//! `cargo run --example bank -- --script FILE`, one JSON object a line:
//! `{"command":"Deposit","data":{"account_id":"a-1","amount":100}}`.
//!
//! `domain.rs` holds the rules, `application.rs` the wiring, `story.rs` and `script.rs` use it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to the person who runs it")]
#![expect(clippy::doc_markdown, reason = "doc comments are the text of --help")]
#![expect(unreachable_pub, reason = "the modules read like those of a library")]

mod application;
mod domain;
mod script;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// A bank on the in-memory store.
///
/// Without options it tells a story: an account is opened, paid into and drawn from, and the bank is shut down
/// and started again.
#[derive(Parser)]
#[command(name = "bank")]
struct Options {
    /// Read commands as JSON lines from FILE, `-` for standard input, and print one JSON result a line.
    ///
    /// Commands: OpenAccount {account_id, owner}, Deposit {account_id, amount}, Withdraw {account_id, amount},
    /// CloseAccount {account_id}. The exit status is 1 if any line failed.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,

    /// Log what the framework does, for instance `debug`; RUST_LOG works as well.
    #[arg(long, value_name = "LEVEL", default_value = "error", env = "RUST_LOG")]
    log: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt().with_env_filter(&options.log).with_writer(std::io::stderr).init();
    let outcome = match options.script {
        Some(path) => script::run(&path).await,
        None => story::tell().await.map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("bank: {error}");
        ExitCode::FAILURE
    })
}
