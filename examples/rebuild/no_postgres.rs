//! What stands for Postgres where the example was built without it.

use std::error::Error;

pub async fn run(_url: &str, _events: u64) -> Result<(), Box<dyn Error>> {
    Err("this program was built without Postgres: \
         run it with `cargo run --release --features postgres --example rebuild -- --store postgres://..`"
        .into())
}
