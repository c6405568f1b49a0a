//! Commands as JSON lines, for people and programs that drive the bank from outside.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::ExitCode;

use cqrs::dispatch::{DispatchError, Rejection};
use cqrs::store::Store;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::application::{Bank, Letters, Welcome};
use crate::error_text::error_text;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    command: String,
    data: Value,
}

/// Dispatches each line's command and prints one result a line. A bad line is reported, and the run goes on.
pub async fn run(path: &Path, store: impl Store) -> Result<ExitCode, Box<dyn Error>> {
    let input: Box<dyn BufRead> = match path.to_str() {
        Some("-") => Box::new(BufReader::new(io::stdin())),
        _ => Box::new(BufReader::new(open(path)?)),
    };
    let bank = Bank::builder(store).event_handler(Welcome::new(Letters::default())).start().await?;
    let mut failed = false;
    for (index, line) in input.split(b'\n').enumerate() {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let number = index + 1;
        let result = match dispatch(&bank, &line).await {
            Ok(ok) => json!({ "line": number, "ok": ok }),
            Err(error) => {
                failed = true;
                json!({ "line": number, "error": error })
            }
        };
        writeln!(io::stdout(), "{result}")?;
    }
    bank.shutdown().await;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn open(path: &Path) -> Result<std::fs::File, String> {
    std::fs::File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

async fn dispatch(bank: &Bank, line: &[u8]) -> Result<Value, Value> {
    let unreadable = |error: serde_json::Error| json!({ "kind": "unreadable", "message": error.to_string() });
    let Line { command, data } = serde_json::from_slice(line).map_err(unreadable)?;
    match bank.dispatch_json(&command, data).await {
        Ok(dispatched) => serde_json::to_value(dispatched).map_err(unreadable),
        Err(error) => Err(describe(&error)),
    }
}

fn describe(error: &DispatchError<Rejection>) -> Value {
    let kind = match error {
        DispatchError::Rejected(_) => "rejected",
        DispatchError::Invalid { .. } | DispatchError::InvalidIdentity { .. } => "invalid",
        DispatchError::UnknownCommand { .. } => "unknown_command",
        DispatchError::Malformed { .. } => "malformed",
        _ => "failed",
    };
    // A refusal's text is the domain's; the others say more in their sources.
    let message = match error {
        DispatchError::Rejected(_) => error.to_string(),
        _ => error_text(error),
    };
    json!({ "kind": kind, "message": message })
}
