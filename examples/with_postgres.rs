//! Runs a command with a throwaway Postgres server, whose URL it finds in `DATABASE_URL`:
//!
//! ```sh
//! cargo run --all-features --example with_postgres -- sh -c 'psql "$DATABASE_URL"'
//! ```
//!
//! The server is started from the programs that are installed on the machine, and is gone when the command has ended.
//! Without a command, it runs until it is interrupted.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to the person who runs it")]
#![expect(unreachable_pub, reason = "its module reads like one of a library")]

#[path = "support/error_text.rs"]
mod error_text;

use std::env;
use std::error::Error;
use std::future::pending;
use std::process::{Command, ExitCode};

use cqrs::postgres::testing::TestServer;

use crate::error_text::error_text;

#[tokio::main]
async fn main() -> ExitCode {
    run().await.unwrap_or_else(|error| {
        eprintln!("with_postgres: {}", error_text(&*error));
        ExitCode::FAILURE
    })
}

async fn run() -> Result<ExitCode, Box<dyn Error>> {
    let mut command = env::args_os().skip(1);
    let server = TestServer::start().await?;
    let Some(program) = command.next() else {
        println!("{}", server.url());
        return pending().await;
    };
    // Nothing else runs here, so that the wait may block.
    let status = Command::new(&program).args(command).env("DATABASE_URL", server.url()).status();
    let status = status.map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    // A command that a signal ended has no status of its own.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
