//! The bank on a schema of a Postgres database.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use cqrs::postgres::{PostgresConfig, PostgresStore};
use uuid::Uuid;

pub async fn run(url: &str, schema: &str, script: Option<&Path>) -> Result<ExitCode, Box<dyn Error>> {
    let store = PostgresStore::connect(PostgresConfig::new(url).schema(schema)).await?;
    // Earlier runs have left their accounts.
    let account_id = format!("a-{}", &Uuid::new_v4().simple().to_string()[..8]);
    let place = format!("the schema {schema:?} of a Postgres database");
    let outcome = crate::run(store.clone(), &place, &account_id, script).await;
    store.pool().close().await;
    outcome
}
