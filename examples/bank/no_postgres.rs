//! What stands for the bank on Postgres where the example was built without it.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

pub async fn run(_url: &str, _schema: &str, _script: Option<&Path>) -> Result<ExitCode, Box<dyn Error>> {
    Err("this program was built without Postgres: \
         run it with `cargo run --features postgres --example bank -- --store postgres://..`"
        .into())
}
