use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::connections::Connections;
use crate::head::LEASE_RELEASED;
use crate::session::Session;

/// How often other processes are told of new heads, at most.
const INTERVAL: Duration = Duration::from_millis(10);

/// How long an announcement may take, which others wait for.
const LIMIT: Duration = Duration::from_secs(10);

/// Tells other processes of what was committed, for all stores of a pool from one place.
///
/// Never in the append's own transaction: a `NOTIFY` takes a lock of the whole server until its commit is on disk. In
/// a transaction that writes nothing else there is nothing to wait for. It is a hint; what is lost is found by polling.
#[derive(Clone)]
pub(crate) struct Announcer {
    connections: Connections,
    begin: Option<Arc<str>>,
    waiting: Arc<Waiting>,
}

/// What is to be said, by channel: a head, of which only the latest counts, or another word.
type Words = HashMap<(Arc<str>, Topic), String>;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Topic {
    Head,
    Lease,
}

#[derive(Default)]
struct Waiting {
    words: Mutex<Words>,
    some: Notify,
}

impl Announcer {
    pub(crate) fn new(connections: Connections, begin: Option<Arc<str>>) -> Self {
        Self { connections, begin, waiting: Arc::default() }
    }

    /// Tells soon that the head of the log has come to a position; a later one may take its place before.
    pub(crate) fn head(&self, channel: &Arc<str>, position: u64) {
        self.say(channel, Topic::Head, position.to_string());
    }

    /// Tells soon that a lease was given back.
    pub(crate) fn lease_released(&self, channel: &Arc<str>) {
        self.say(channel, Topic::Lease, LEASE_RELEASED.to_owned());
    }

    fn say(&self, channel: &Arc<str>, topic: Topic, word: String) {
        let mut words = self.waiting.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.insert((Arc::clone(channel), topic), word);
        drop(words);
        self.waiting.some.notify_one();
    }

    /// Announces until it is stopped.
    pub(crate) fn run(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        let announcer = self.clone();
        async move {
            stop.run_until_cancelled(announcer.run_on()).await;
        }
    }

    async fn run_on(&self) {
        loop {
            self.waiting.some.notified().await;
            let words = mem::take(&mut *self.waiting.words.lock().unwrap_or_else(PoisonError::into_inner));
            let sent = tokio::time::timeout(LIMIT, self.send(words)).await;
            if let Err(error) = sent.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
                tracing::debug!(error = &error as &dyn std::error::Error, "an announcement was lost");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn send(&self, words: Words) -> Result<(), sqlx::Error> {
        const NOTIFY: &str =
            "select pg_notify(w.channel, w.word) from unnest($1::text[], $2::text[]) w(channel, word)";
        let (channels, words): (Vec<String>, Vec<String>) =
            words.into_iter().map(|((channel, _), word)| (channel.to_string(), word)).unzip();
        let mut session = Session::acquire(&self.connections, self.begin.clone()).await?;
        let query = sqlx::query(AssertSqlSafe(NOTIFY)).persistent(self.begin.is_none());
        query.bind(channels).bind(words).execute(session.open().await?).await?;
        session.finish().await
    }
}
