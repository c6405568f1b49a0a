//! What each tenant has: a warehouse.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct PiecesReceived {
    pub article: String,
    pub pieces: u64,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = Goods, aggregate = Article, identify_by = article)]
pub struct ReceivePieces {
    pub article: String,
    pub pieces: u64,
}

#[derive(Default, Clone)]
pub struct Article {
    pub pieces: u64,
}

#[aggregate(stream_prefix = "article")]
impl Article {
    #[execute]
    fn receive(&self, command: &ReceivePieces) -> PiecesReceived {
        PiecesReceived { article: command.article.clone(), pieces: command.pieces }
    }

    #[apply]
    fn received(&mut self, event: &PiecesReceived) {
        self.pieces += event.pieces;
    }
}

#[derive(Router)]
pub struct Goods;

/// Counts what it was told of; each tenant has one of its own.
#[derive(Clone, Default)]
pub struct Tally(Arc<AtomicU64>);

impl Tally {
    pub fn pieces(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[event_handler(name = "tally", interested_in = [PiecesReceived], start_from = origin, consistency = strong)]
impl Tally {
    async fn on_received(&self, event: &PiecesReceived) -> Result<(), Infallible> {
        self.0.fetch_add(event.pieces, Ordering::Relaxed);
        Ok(())
    }
}

application! {
    /// The warehouse of one tenant.
    pub struct Warehouse {
        routers: [Goods],
        event_handlers: [Tally],
    }
}
