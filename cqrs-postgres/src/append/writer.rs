use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::time::timeout;

use crate::PostgresPool;
use crate::append::batch::{Batch, MAX_UNITS};
use crate::append::lane::Lane;
use crate::append::unit::Request;
use crate::store::Shared;

/// How many batches are under way at most. The database writes one after the other; while it commits one, the next is
/// there already, encoded, sent and read by the server.
const LANES: usize = 2;

/// How many requests are worth a batch of their own while another one is under way. Fewer fill the next one better.
const WORTH_A_LANE: usize = 64;

/// How often the callers that the last batch woke get a chance to send their next append into this one.
const YIELDS: usize = 8;

/// How many batches in a row a connection is kept for that others wait for: all other appends of the store wait behind a
/// batch, and readers of the log for what is in it.
const TURN: usize = 16;

/// How long connections are kept when nothing comes.
const LINGER: Duration = Duration::from_millis(250);

/// Writes the appends of a store, batch after batch.
pub(crate) struct Writer {
    pool: PostgresPool,
    queue: mpsc::Receiver<Request>,
    /// In the order in which they came.
    waiting: VecDeque<Request>,
    /// The lanes that carry nothing, that which was last used at the end.
    lanes: Vec<Lane>,
}

impl Writer {
    pub(crate) fn new(store: &Shared, queue: mpsc::Receiver<Request>) -> Self {
        let lanes = (0..LANES).map(|_| Lane::new(store)).collect();
        Self { pool: store.pool.clone(), queue, waiting: VecDeque::new(), lanes }
    }

    /// Writes until every handle of the store is gone and the queue is empty.
    pub(crate) async fn run(mut self) {
        let mut under_way = FuturesUnordered::new();
        loop {
            if under_way.is_empty() && self.waiting.is_empty() {
                match self.next().await {
                    Some(request) => self.waiting.push_back(request),
                    None => return,
                }
            }
            self.gather().await;
            while let Some((lane, batch)) = self.load(under_way.len()) {
                under_way.push(lane.carry(batch));
            }
            if let Some(mut lane) = under_way.next().await {
                let has_more = !self.waiting.is_empty() || !self.queue.is_empty();
                if !self.pool.has_spare() && (!has_more || lane.has_carried(TURN)) {
                    // Somebody may be waiting for it.
                    lane.rest();
                }
                self.lanes.push(lane);
            }
        }
    }

    /// The next request. An idle writer gives its connections back.
    async fn next(&mut self) -> Option<Request> {
        if self.lanes.iter().any(Lane::has_connection) {
            if let Ok(next) = timeout(LINGER, self.receive()).await {
                return next;
            }
            self.lanes.iter_mut().for_each(Lane::rest);
        }
        self.receive().await
    }

    /// The next request of the queue. When the pool is to be closed, what is in the queue is the last.
    async fn receive(&mut self) -> Option<Request> {
        let stop = self.pool.stop().clone();
        tokio::select! {
            biased;
            request = self.queue.recv() => request,
            () = stop.cancelled() => {
                self.queue.close();
                self.queue.recv().await
            }
        }
    }

    /// Takes what is in the queue. Nobody is waited for, but those who are ready to send are let.
    async fn gather(&mut self) {
        let mut yields = 0;
        while self.waiting.len() < LANES * MAX_UNITS {
            match self.queue.try_recv() {
                Ok(request) => self.waiting.push_back(request),
                Err(TryRecvError::Empty) if yields < YIELDS => {
                    yields += 1;
                    tokio::task::yield_now().await;
                    if self.queue.is_empty() {
                        break;
                    }
                }
                Err(_) => break,
            }
        }
    }

    /// The next batch, if it is to go now, and its lane. One always goes; another beside it when so many wait that it is
    /// worth it, and then each takes its share.
    fn load(&mut self, under_way: usize) -> Option<(Lane, Batch)> {
        let waiting = self.waiting.len();
        let lanes = if self.pool.has_spare() { (waiting / WORTH_A_LANE).min(LANES) } else { 0 };
        let lane = self.lanes.pop_if(|_| waiting > 0 && (under_way == 0 || lanes > 0))?;
        let share = waiting.div_ceil((LANES - under_way).min(lanes).max(1));
        Batch::take(&mut self.waiting, share).map(|batch| (lane, batch))
    }
}
