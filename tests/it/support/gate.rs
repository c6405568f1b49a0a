use std::sync::Arc;

use tokio::sync::Semaphore;

/// A gate that a test holds shut: whoever comes to it is counted and waits.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    arrivals: Semaphore,
    passes: Semaphore,
}

impl Gate {
    pub fn shut() -> Self {
        Self(Arc::new(Inner { arrivals: Semaphore::new(0), passes: Semaphore::new(0) }))
    }

    /// Comes to the gate, and goes on when it lets one in.
    pub async fn pass(&self) {
        self.0.arrivals.add_permits(1);
        if let Ok(pass) = self.0.passes.acquire().await {
            pass.forget();
        }
    }

    /// Waits until somebody has come to the gate; each arrival counts once.
    pub async fn arrival(&self) {
        self.0.arrivals.acquire().await.unwrap().forget();
    }

    /// How many have come that nobody waited for.
    pub fn arrivals(&self) -> usize {
        self.0.arrivals.available_permits()
    }

    /// Lets one in.
    pub fn let_one_in(&self) {
        self.0.passes.add_permits(1);
    }

    /// Lets everybody in from now on.
    pub fn open(&self) {
        self.0.passes.close();
    }
}

impl Default for Gate {
    /// A gate that is open.
    fn default() -> Self {
        let gate = Self::shut();
        gate.open();
        gate
    }
}
