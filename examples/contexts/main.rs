//! Two bounded contexts in one process: `Sales` and `Shipping`, an application each, a log each.
//!
//! Run it with `cargo run --all-features --example contexts`: a throwaway Postgres server, one database, a schema for
//! each context. With `-- --databases`, each has a database of its own, and with
//! `-- --sales postgres://a/sales --shipping postgres://b/shipping`, they are where you say; the contexts do not
//! notice.
//!
//! They share nothing: the same stream, the same command id and the same name of a handler are in both, side by side.
//! What Shipping has to know, a handler of Sales tells it by a command.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to the person who runs it")]
#![expect(clippy::doc_markdown, reason = "doc comments are the text of --help")]
#![expect(unreachable_pub, reason = "the modules read like those of a library")]

#[path = "../support/error_text.rs"]
mod error_text;
mod places;
mod sales;
mod shipping;
mod story;

use std::process::ExitCode;

use clap::Parser;

use crate::error_text::error_text;
use crate::places::{Place, Places};

/// Two bounded contexts in one process, on Postgres.
#[derive(Parser)]
#[command(name = "contexts")]
struct Options {
    /// Where Sales keeps its events: postgres://user@host/database#schema; the schema is `sales` unless given.
    #[arg(long, value_name = "URL[#SCHEMA]", requires = "shipping")]
    sales: Option<Place>,

    /// Where Shipping keeps its events; the schema is `shipping` unless given.
    #[arg(long, value_name = "URL[#SCHEMA]", requires = "sales")]
    shipping: Option<Place>,

    /// A database for each context, on a throwaway server; one database with a schema for each unless set.
    #[arg(long, conflicts_with = "sales")]
    databases: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let told = async {
        let places = match (options.sales, options.shipping) {
            (Some(sales), Some(shipping)) => Places::given(sales, shipping),
            _ if options.databases => Places::databases().await?,
            _ => Places::schemas().await?,
        };
        story::tell(&places).await
    };
    match told.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("contexts: {}", error_text(&*error));
            ExitCode::FAILURE
        }
    }
}
