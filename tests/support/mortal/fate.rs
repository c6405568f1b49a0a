use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cqrs::store::StoreError;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::watch;

/// The steps of a life, and what happens at one of them. Each call of a store or of rows has two: before it is made, and
/// before it is answered.
#[derive(Clone)]
pub struct Fate {
    mishap: Mishap,
    at: usize,
    steps: Arc<AtomicUsize>,
    death: Arc<watch::Sender<bool>>,
    witness: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// What happens to a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    /// It ends, as a process does: from then on nothing is answered any more.
    Death,
    /// A call fails, before it is made or afterwards; whoever makes it cannot tell which.
    Fault,
}

/// What becomes of a step.
enum Step {
    Taken,
    Failed,
    Last,
}

/// Runs a life again and again, which ends at its first step, at its second one and so on, until one goes on to its end;
/// tells how many steps there were.
pub async fn each_death(run: impl AsyncFn(Fate)) -> usize {
    each_death_of(1, run).await
}

/// Runs a life again and again, in which the first step fails, the second one and so on; tells how many there were.
pub async fn each_fault(run: impl AsyncFn(Fate)) -> usize {
    each_fault_of(1, run).await
}

/// [`each_death`], with so many lives at a time: where each has to wait for its store.
pub async fn each_death_of(at_a_time: usize, run: impl AsyncFn(Fate)) -> usize {
    each(Mishap::Death, at_a_time, run).await
}

/// [`each_fault`], with so many lives at a time.
pub async fn each_fault_of(at_a_time: usize, run: impl AsyncFn(Fate)) -> usize {
    each(Mishap::Fault, at_a_time, run).await
}

async fn each(mishap: Mishap, at_a_time: usize, run: impl AsyncFn(Fate)) -> usize {
    let run = &run;
    let lives = (0..).map(|at| async move {
        let fate = Fate::new(mishap, at);
        let ran = AssertUnwindSafe(run(fate.clone())).catch_unwind().await;
        assert!(ran.is_ok(), "with {fate:?}");
        (fate.steps.load(Ordering::SeqCst) <= at).then_some(at)
    });
    let ends = stream::iter(lives).buffered(at_a_time).filter_map(std::future::ready);
    std::pin::pin!(ends).next().await.expect("a life has an end")
}

impl Fate {
    /// One without mishap.
    pub fn kind() -> Self {
        Self::new(Mishap::Fault, usize::MAX)
    }

    fn new(mishap: Mishap, at: usize) -> Self {
        Self { mishap, at, steps: Arc::default(), death: Arc::default(), witness: None }
    }

    /// Has somebody look at each step.
    pub fn seen_by(self, witness: impl Fn() + Send + Sync + 'static) -> Self {
        Self { witness: Some(Arc::new(witness)), ..self }
    }

    /// Lives to the end, or to the step at which it is over.
    pub async fn live(&self, life: impl Future<Output = ()>) {
        let mut death = self.death.subscribe();
        tokio::select! {
            () = life => {}
            _ = death.wait_for(|is_dead| *is_dead) => {}
        }
    }

    /// A call of what is outside.
    pub async fn call<T, E: From<StoreError>>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.step() {
            Step::Taken => {}
            Step::Failed => return Err(unplugged().into()),
            Step::Last => {
                // What a process holds goes with it.
                drop(call);
                return std::future::pending().await;
            }
        }
        let answer = call.await;
        match self.step() {
            Step::Taken => answer,
            Step::Failed => Err(unplugged().into()),
            Step::Last => {
                drop(answer);
                std::future::pending().await
            }
        }
    }

    /// A call that is none of the steps, such as one that comes from time to time.
    pub async fn aside<T>(&self, call: impl Future<Output = T>) -> T {
        if *self.death.borrow() {
            drop(call);
            return std::future::pending().await;
        }
        call.await
    }

    fn step(&self) -> Step {
        let step = self.steps.fetch_add(1, Ordering::SeqCst);
        if let Some(witness) = &self.witness {
            witness();
        }
        match self.mishap {
            Mishap::Death if step >= self.at => {
                self.death.send_replace(true);
                Step::Last
            }
            Mishap::Fault if step == self.at => Step::Failed,
            _ => Step::Taken,
        }
    }
}

fn unplugged() -> StoreError {
    StoreError::Unavailable("unplugged".into())
}

impl From<&Fate> for Fate {
    /// The same for another life.
    fn from(fate: &Fate) -> Self {
        Self::new(fate.mishap, fate.at)
    }
}

impl fmt::Debug for Fate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} at step {}", self.mishap, self.at)
    }
}
