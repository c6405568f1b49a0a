use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::subscription::{Page, Pages};

/// The pages that come next, read by a task of its own before it is their turn, so that the store is never idle while
/// events are handled. Dropping it gives the reading up.
pub(crate) struct Ahead {
    pages: mpsc::Receiver<Arc<Page>>,
    _reading: JoinSet<()>,
}

/// How many pages may wait to be handled, that which is being read included.
const PAGES: usize = 2;

impl Ahead {
    /// Begins to read behind a position, up to the first page that is not full, or that cannot be read.
    pub(crate) fn behind(position: u64, pages: &Arc<Pages>) -> Self {
        let (sender, receiver) = mpsc::channel(PAGES);
        let mut reading = JoinSet::new();
        reading.spawn(read(position, Arc::clone(pages), sender));
        Self { pages: receiver, _reading: reading }
    }

    /// The page that holds what is next behind a position; `None` when that is to be read in its turn.
    ///
    /// # Cancel safety
    /// What was read is read again when the future is dropped.
    pub(crate) async fn page(&mut self, position: u64) -> Option<Arc<Page>> {
        self.pages.recv().await.filter(|page| page.has_next(position))
    }
}

async fn read(mut position: u64, pages: Arc<Pages>, sender: mpsc::Sender<Arc<Page>>) {
    while let Ok(place) = sender.reserve().await {
        let Ok(page) = pages.behind(position).await else { return };
        position = page.log.read_to;
        let is_last = !page.is_full;
        place.send(page);
        if is_last {
            return;
        }
    }
}
