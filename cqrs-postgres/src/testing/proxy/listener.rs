use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, yield_now};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::serve;
use super::controls::Controls;
use crate::testing::HarnessError;
use crate::testing::port::free_port;

/// The port of a proxy, open or closed.
#[derive(Debug)]
pub(crate) struct Listener {
    port: u16,
    end: CancellationToken,
    open: Mutex<Option<Accepting>>,
}

#[derive(Debug)]
struct Accepting {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Listener {
    pub(crate) async fn start(controls: Arc<Controls>) -> Result<Self, HarnessError> {
        let socket = bind_anywhere().await.map_err(HarnessError::io("find a free port"))?;
        let port = socket.local_addr().map_err(HarnessError::io("find a free port"))?.port();
        let end = CancellationToken::new();
        let open = Mutex::new(Some(Accepting::start(socket, controls, end.child_token())));
        Ok(Self { port, end, open })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Nobody listens any more when this returns.
    pub(crate) async fn close(&self) {
        if let Some(Accepting { stop, task }) = self.open.lock().await.take() {
            stop.cancel();
            // It does not panic, and nobody aborts it.
            let _ = task.await;
        }
    }

    pub(crate) async fn open(&self, controls: Arc<Controls>) -> Result<(), HarnessError> {
        let mut open = self.open.lock().await;
        if open.is_none() {
            let socket = bind(self.port).await.map_err(HarnessError::io("listen again"))?;
            *open = Some(Accepting::start(socket, controls, self.end.child_token()));
        }
        Ok(())
    }

    pub(crate) fn end(&self) {
        self.end.cancel();
    }
}

impl Accepting {
    fn start(socket: TcpListener, controls: Arc<Controls>, stop: CancellationToken) -> Self {
        let task = TaskTracker::new().spawn(accept_all(socket, controls, stop.clone()));
        Self { stop, task }
    }
}

async fn accept_all(socket: TcpListener, controls: Arc<Controls>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        let Ok((client, _)) = accepted else {
            // The client is gone again, or the process has too many files open for the moment.
            yield_now().await;
            continue;
        };
        controls.count_connection();
        let generation = controls.generation();
        let (controls, cut) = (Arc::clone(&controls), generation.cut.clone());
        generation.tasks.spawn(async move { serve(client, &controls, &cut).await });
    }
}

async fn bind_anywhere() -> io::Result<TcpListener> {
    for _ in 0..10 {
        if let Ok(socket) = bind(free_port()?).await {
            return Ok(socket);
        }
    }
    bind(free_port()?).await
}

async fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}
