use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::head::Head;

/// How long the connection may be silent before it is asked whether it still is one.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long to wait before the next connection is made; doubled while none lasts.
const MIN_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Hears what other processes announce, for all stores of a pool on one connection.
///
/// A lost connection is made anew, and every head is looked up then: what was announced meanwhile is lost, the events
/// are not.
pub(crate) struct Listener {
    options: Option<PgConnectOptions>,
    heard: Arc<Heard>,
    is_running: AtomicBool,
}

#[derive(Default)]
struct Heard {
    heads: Mutex<HashMap<Arc<str>, Vec<Weak<Head>>>>,
    /// Woken when somebody follows one more channel.
    wanted: Notify,
}

impl Listener {
    pub(crate) fn new(options: Option<PgConnectOptions>) -> Self {
        Self { options, heard: Arc::default(), is_running: AtomicBool::new(false) }
    }

    /// Wakes `head` from now on when its channel says something; gives the task that listens, to be spawned, if this
    /// is the first to want it.
    pub(crate) fn follow(
        &self,
        channel: &Arc<str>,
        head: &Arc<Head>,
        stop: &CancellationToken,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let options = self.options.clone()?;
        self.heard.add(channel, head);
        self.heard.wanted.notify_one();
        if self.is_running.swap(true, Ordering::AcqRel) {
            return None;
        }
        let (heard, stop) = (Arc::clone(&self.heard), stop.clone());
        Some(async move {
            stop.run_until_cancelled(heard.listen(options)).await;
        })
    }
}

impl Heard {
    fn add(&self, channel: &Arc<str>, head: &Arc<Head>) {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let followers = heads.entry(Arc::clone(channel)).or_default();
        followers.retain(|known| known.strong_count() > 0);
        followers.push(Arc::downgrade(head));
    }

    /// The heads that follow a channel.
    fn heads_of(&self, channel: &str) -> Vec<Arc<Head>> {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.get(channel).into_iter().flatten().filter_map(Weak::upgrade).collect()
    }

    /// The channels that somebody still follows.
    fn channels(&self) -> Vec<Arc<str>> {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.retain(|_, followers| followers.iter().any(|head| head.strong_count() > 0));
        heads.keys().cloned().collect()
    }

    async fn listen(&self, options: PgConnectOptions) {
        let mut pause = MIN_PAUSE;
        loop {
            let began = Instant::now();
            let Err(error) = self.listen_once(&options).await;
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the connection that listens is lost, the log is polled until there is a new one"
            );
            pause = if began.elapsed() > HEARTBEAT { MIN_PAUSE } else { pause };
            sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Listens on one connection until that is lost.
    async fn listen_once(&self, options: &PgConnectOptions) -> Result<Infallible, sqlx::Error> {
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        // An error ends the listening, which then begins anew; the driver's own way would do it silently.
        listener.eager_reconnect(false);
        let mut listened = HashSet::new();
        loop {
            let new: Vec<Arc<str>> =
                self.channels().into_iter().filter(|channel| !listened.contains(channel)).collect();
            if !new.is_empty() {
                listener.listen_all(new.iter().map(AsRef::as_ref)).await?;
                // Listening first and looking second: nothing falls in between.
                new.iter().flat_map(|channel| self.heads_of(channel)).for_each(|head| head.look());
                listened.extend(new);
            }
            tokio::select! {
                told = timeout(HEARTBEAT, listener.try_recv()) => match told {
                    Ok(Ok(Some(told))) => {
                        self.heads_of(told.channel()).iter().for_each(|head| head.told(told.payload()));
                    }
                    Ok(Ok(None)) => return Err(sqlx::Error::WorkerCrashed),
                    Ok(Err(error)) => return Err(error),
                    Err(_silent) => {
                        let alive = sqlx::Executor::execute(&mut listener, "select 1");
                        timeout(HEARTBEAT, alive).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
                    }
                },
                () = self.wanted.notified() => {}
            }
        }
    }
}
