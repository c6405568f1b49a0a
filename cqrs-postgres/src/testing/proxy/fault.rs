use fastrand::Rng;
use tokio::sync::oneshot;

use super::request::Request;

/// Which answers get lost, and who waits for which requests.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    awaited: Vec<(Vec<u8>, oneshot::Sender<()>)>,
    /// One answer each, to a request that holds the bytes.
    next: Vec<Vec<u8>>,
    some: Option<(f64, Rng)>,
}

impl Faults {
    pub(crate) fn lose_next(&mut self, bytes: Vec<u8>) {
        self.next.push(bytes);
    }

    pub(crate) fn lose_some(&mut self, probability: f64, seed: u64) {
        self.some = Some((probability, Rng::with_seed(seed)));
    }

    pub(crate) fn lose_none(&mut self) {
        self.next.clear();
        self.some = None;
    }

    pub(crate) fn await_next(&mut self, bytes: Vec<u8>) -> oneshot::Receiver<()> {
        let (told, forwarded) = oneshot::channel();
        self.awaited.push((bytes, told));
        forwarded
    }

    /// Who waits for this request, to be told when the server has it.
    pub(crate) fn awaiting(&mut self, request: &Request) -> Vec<oneshot::Sender<()>> {
        if !request.executes() {
            return Vec::new();
        }
        let awaited = self.awaited.extract_if(.., |(bytes, _)| request.holds(bytes));
        awaited.map(|(_, told)| told).collect()
    }

    /// Whether this request's answer gets lost. Asked once a request.
    pub(crate) fn strike(&mut self, request: &Request) -> bool {
        if !request.executes() {
            return false;
        }
        if let Some(index) = self.next.iter().position(|bytes| request.holds(bytes)) {
            self.next.remove(index);
            return true;
        }
        self.some.as_mut().is_some_and(|(probability, rng)| rng.f64() < *probability)
    }
}
