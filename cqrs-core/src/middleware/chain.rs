use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::{Instant, timeout_at};

use crate::middleware::entry::DynMiddleware;
use crate::middleware::{DispatchContext, DispatchFailure, DispatchOutcome, Halt, HaltKind};
use crate::{BoxError, panics};

/// The layers around a router's commands, the outermost first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    layers: Vec<Layer>,
}

#[derive(Clone)]
pub(crate) struct Layer {
    pub(crate) name: &'static str,
    pub(crate) middleware: Arc<dyn DynMiddleware>,
}

/// Why the command was not reached.
pub(crate) enum Halted {
    Refused { layer: &'static str, error: BoxError },
    Responded { layer: &'static str },
    Repeat,
    Panicked { layer: &'static str, message: String },
    TimedOut,
}

impl Chain {
    pub(crate) fn push(&mut self, layer: Layer) {
        self.layers.push(layer);
    }

    /// Enters the layers from the outside in. Gives how many were entered, the halting one included, and
    /// why the rest was not.
    pub(crate) async fn enter(&self, context: &mut DispatchContext) -> (usize, Result<(), Halted>) {
        for (index, Layer { name, middleware }) in self.layers.iter().enumerate() {
            let deadline = context.deadline();
            let before = within(deadline, panics::catch_async(middleware.before(context)));
            let halted = match before.await {
                Some(Ok(Ok(()))) => continue,
                Some(Ok(Err(Halt(HaltKind::Refused(error))))) => Halted::Refused { layer: name, error },
                Some(Ok(Err(Halt(HaltKind::Responded)))) => Halted::Responded { layer: name },
                Some(Ok(Err(Halt(HaltKind::Repeat)))) => Halted::Repeat,
                Some(Err(message)) => Halted::Panicked { layer: name, message },
                None => Halted::TimedOut,
            };
            return (index + 1, Err(halted));
        }
        (self.layers.len(), Ok(()))
    }

    /// Leaves the layers after success, from the inside out. What a layer does wrong here does not change
    /// the outcome, since the events are stored; it is logged.
    pub(crate) async fn succeed(
        &self,
        entered: usize,
        context: &mut DispatchContext,
        outcome: &DispatchOutcome,
    ) {
        for Layer { name, middleware } in self.layers[..entered].iter().rev() {
            let deadline = leave_deadline(context);
            let after = within(deadline, panics::catch_async(middleware.after(context, outcome)));
            report(name, "after_dispatch", after.await);
        }
    }

    /// Leaves the layers after failure, from the inside out.
    pub(crate) async fn fail(
        &self,
        entered: usize,
        context: &mut DispatchContext,
        failure: &DispatchFailure<'_>,
    ) {
        for Layer { name, middleware } in self.layers[..entered].iter().rev() {
            let deadline = leave_deadline(context);
            let failed = within(deadline, panics::catch_async(middleware.failed(context, failure)));
            report(name, "after_failure", failed.await);
        }
    }
}

/// Each hook on the way out has the whole time limit for itself, since the dispatch may have used its own up.
fn leave_deadline(context: &DispatchContext) -> Option<Instant> {
    Instant::now().checked_add(context.timeout()?)
}

fn report(layer: &str, hook: &str, result: Option<Result<(), String>>) {
    match result {
        Some(Ok(())) => {}
        Some(Err(panic)) => {
            tracing::error!(cqrs.middleware = layer, cqrs.hook = hook, panic, "middleware panicked");
        }
        None => tracing::error!(cqrs.middleware = layer, cqrs.hook = hook, "middleware took too long"),
    }
}

/// Awaits `future` until `deadline`; `None` when that passed first.
pub(crate) async fn within<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    // What is ready at once, as most of it is on a store in memory, needs no timer.
    if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        return Some(output);
    }
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await.ok(),
        None => Some(future.await),
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}
