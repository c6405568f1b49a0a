use fastrand::Rng;

use super::request::Request;

/// Which answers get lost.
#[derive(Debug, Default)]
pub(crate) struct Faults {
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
        *self = Self::default();
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
