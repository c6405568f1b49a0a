use std::io;
use std::mem::take;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::fault::Faults;

/// What a proxy and its connections share.
///
/// No lock is held while anything waits, and a connection waits for nothing that a cut does not end.
#[derive(Debug)]
pub(crate) struct Controls {
    host: String,
    port: u16,
    weather: watch::Sender<Weather>,
    faults: Mutex<Faults>,
    generation: Mutex<Generation>,
    connections: AtomicU64,
    cuts: AtomicU64,
    lost_answers: AtomicU64,
}

/// What all bytes feel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) partitioned: bool,
    pub(crate) to_server: Duration,
    pub(crate) to_client: Duration,
}

/// The connections since the last cut.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generation {
    pub(crate) tasks: TaskTracker,
    pub(crate) cut: CancellationToken,
}

impl Controls {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            weather: watch::Sender::default(),
            faults: Mutex::default(),
            generation: Mutex::default(),
            connections: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            lost_answers: AtomicU64::new(0),
        }
    }

    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let server = TcpStream::connect((self.host.as_str(), self.port)).await?;
        server.set_nodelay(true)?;
        Ok(server)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }

    pub(crate) fn weather(&self) -> Weather {
        *self.weather.borrow()
    }

    /// Waits while bytes are held.
    pub(crate) async fn pass(&self) {
        let mut weather = self.weather.subscribe();
        // The sender is `self`: it is not gone while this waits.
        let _ = weather.wait_for(|weather| !weather.partitioned).await;
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The generation that a new connection belongs to.
    pub(crate) fn generation(&self) -> MutexGuard<'_, Generation> {
        self.generation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn cut(&self) {
        let Generation { tasks, cut } = take(&mut *self.generation());
        cut.cancel();
        tasks.close();
        tasks.wait().await;
    }

    pub(crate) fn end(&self) {
        self.generation().cut.cancel();
    }

    pub(crate) fn count_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_cut(&self) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_lost_answer(&self) {
        self.lost_answers.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    pub(crate) fn lost_answers(&self) -> u64 {
        self.lost_answers.load(Ordering::Relaxed)
    }
}
