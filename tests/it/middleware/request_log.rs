use std::io::Write;
use std::sync::{Arc, Mutex};

use cqrs::MemoryStore;
use cqrs::middleware::{Middleware, RequestLog};
use cqrs::prelude::*;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::tally::{Tallies, add, explode, take};

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// The lines of the request log since the last time.
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        let of_layer = |line: &&str| line.contains("cqrs_core::middleware::request_log");
        text.lines().filter(of_layer).map(str::to_owned).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

struct Refuse;

impl Middleware for Refuse {
    async fn before_dispatch(&self, context: &mut DispatchContext) -> Result<(), Halt> {
        match context.metadata().get("refuse") {
            Some(_) => Err(Halt::refuse("read-only")),
            None => Ok(()),
        }
    }
}

/// One line each for the start and the end, with the level and these texts in the second.
#[track_caller]
fn check(lines: &[String], level: &str, texts: &[&str]) {
    let [start, end] = lines else {
        panic!("{lines:?}");
    };
    assert!(start.contains("DEBUG") && start.contains("dispatching"), "{start}");
    assert!(end.contains(level), "{end}");
    for text in texts {
        assert!(end.contains(text), "{text:?} is not in {end}");
    }
}

// T-131: the log lies outside the layer that halts; the other order, which raises in Commanded, is below.
#[tokio::test]
async fn the_request_log_tells_each_outcome_at_its_level() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let builder = Tallies::builder(MemoryStore::new()).middleware(RequestLog).middleware(Refuse);
    let tallies = builder.start().await.unwrap();

    tallies.dispatch(add("1", 1)).await.unwrap();
    check(&lines.take(), "DEBUG", &["dispatched", "tally-1", "cqrs.stream_version=1", "cqrs.events=1"]);
    tallies.dispatch(take("1", 9)).await.unwrap_err();
    check(&lines.take(), "INFO", &["dispatch failed", "1 is too little"]);
    tallies.dispatch(add("1", 1)).metadata("refuse", true).await.unwrap_err();
    check(&lines.take(), "INFO", &["halted by Refuse", "read-only"]);
    tallies.dispatch(explode("1")).await.unwrap_err();
    check(&lines.take(), "WARN", &["1 exploded"]);
    tallies.shutdown().await;
}

#[tokio::test]
async fn t_131_a_halt_before_the_request_log_is_answered_as_usual() {
    let builder = Tallies::builder(MemoryStore::new()).middleware(Refuse).middleware(RequestLog);
    let tallies = builder.start().await.unwrap();
    let error = tallies.dispatch(add("1", 1)).metadata("refuse", true).await.unwrap_err();
    assert!(matches!(error, DispatchError::Halted { middleware: "Refuse", .. }), "{error:?}");
    tallies.shutdown().await;
}
