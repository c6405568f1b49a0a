use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::head::Head;

/// How long the connection may be silent before it is asked whether it still is one.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Hears what other processes announce, for all stores of a pool on one connection.
///
/// A lost connection is made anew, and every head is looked up then: what was announced meanwhile is lost, the events
/// are not.
pub(crate) struct Listener {
    options: Option<PgConnectOptions>,
    heard: Arc<Heard>,
    /// Taken by the task when the first store wants to hear.
    wanted: Mutex<Option<mpsc::UnboundedReceiver<Arc<str>>>>,
    want: mpsc::UnboundedSender<Arc<str>>,
}

#[derive(Default)]
struct Heard {
    heads: Mutex<HashMap<Arc<str>, Vec<Weak<Head>>>>,
}

impl Listener {
    pub(crate) fn new(options: Option<PgConnectOptions>) -> Self {
        let (want, wanted) = mpsc::unbounded_channel();
        Self { options, heard: Arc::default(), wanted: Mutex::new(Some(wanted)), want }
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
        let _ = self.want.send(Arc::clone(channel));
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let (heard, stop) = (Arc::clone(&self.heard), stop.clone());
        Some(async move {
            stop.run_until_cancelled(heard.listen(options, wanted)).await;
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

    /// The heads that follow a channel, or all.
    fn heads_of(&self, channel: Option<&str>) -> Vec<Arc<Head>> {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let followers = match channel {
            Some(channel) => heads.get(channel).into_iter().flatten().collect::<Vec<_>>(),
            None => heads.values().flatten().collect(),
        };
        followers.into_iter().filter_map(Weak::upgrade).collect()
    }

    /// The channels that somebody still follows.
    fn channels(&self) -> Vec<Arc<str>> {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.retain(|_, followers| followers.iter().any(|head| head.strong_count() > 0));
        heads.keys().cloned().collect()
    }

    async fn listen(&self, options: PgConnectOptions, mut wanted: mpsc::UnboundedReceiver<Arc<str>>) {
        let mut pause = Duration::from_millis(50);
        loop {
            let began = tokio::time::Instant::now();
            let Err(error) = self.listen_once(&options, &mut wanted).await else {
                return;
            };
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the connection that listens is lost, the log is polled until there is a new one"
            );
            pause = if began.elapsed() > HEARTBEAT { Duration::from_millis(50) } else { pause };
            tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    }

    /// Listens on one connection until that is lost; ends well when nobody can want anything any more.
    async fn listen_once(
        &self,
        options: &PgConnectOptions,
        wanted: &mut mpsc::UnboundedReceiver<Arc<str>>,
    ) -> Result<(), sqlx::Error> {
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        // An error ends the listening, which then begins anew; the driver's own way would do it silently.
        listener.eager_reconnect(false);
        let channels = self.channels();
        listener.listen_all(channels.iter().map(AsRef::as_ref)).await?;
        // Listening first and looking second: nothing falls in between.
        self.heads_of(None).iter().for_each(|head| head.look());
        loop {
            tokio::select! {
                notification = tokio::time::timeout(HEARTBEAT, listener.try_recv()) => match notification {
                    Ok(Ok(Some(told))) => {
                        for head in self.heads_of(Some(told.channel())) {
                            head.told(told.payload());
                        }
                    }
                    Ok(Ok(None)) => return Err(sqlx::Error::WorkerCrashed),
                    Ok(Err(error)) => return Err(error),
                    Err(_silent) => {
                        let alive = sqlx::Executor::execute(&mut listener, "select 1");
                        tokio::time::timeout(HEARTBEAT, alive).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
                    }
                },
                channel = wanted.recv() => match channel {
                    Some(channel) => listener.listen(&channel).await?,
                    None => return Ok(()),
                },
            }
        }
    }
}
