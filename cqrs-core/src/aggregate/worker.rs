use std::pin::pin;
use std::sync::Arc;

use tokio::time::Instant;
use tracing::Instrument as _;

use crate::aggregate::failure::panicked;
use crate::aggregate::instance::{Instance, Loaded, Next, Settle};
use crate::aggregate::{Aggregate, AggregateRuntime, DefaultLifespan, Job, Lifespan, Order, Outcome};
use crate::command::AnyCommand;
use crate::dispatch::DispatchError;
use crate::panics;

/// Runs the commands that wait for an instance, one after the other, until none waits.
pub(crate) async fn run<A: Aggregate>(runtime: Arc<AggregateRuntime<A>>, instance: Arc<Instance<A>>) {
    let mut unfinished = Unfinished { runtime: &runtime, instance: &instance, is_finished: false };
    let (mut loaded, mut job) = instance.begin();
    while let Some(Job { order, mut reply }) = job {
        if reply.is_closed() || order.progress.is_given_up() {
            // Whoever sent it does not listen any more, and nothing was begun.
            job = runtime.settle(&instance, loaded.as_ref(), Settle::Skipped);
            continue;
        }
        let outcome = {
            // Pinned where it is made: the wrappers would otherwise copy it, and it is large.
            let work = pin!(runtime.process(&instance.stream_id, &mut loaded, &order, &mut reply));
            panics::catch_async(work.instrument(order.span.clone())).await
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(message) => {
                tracing::error!(
                    cqrs.stream_id = %instance.stream_id,
                    cqrs.command_id = %order.command_id,
                    panic = message,
                    "aggregate panicked"
                );
                // What the panic left is not to be trusted; the next command loads it anew.
                loaded = None;
                Err(panicked(&order, &instance.stream_id, message))
            }
        };
        if let (Ok(success), Some(loaded)) = (&outcome, &mut loaded)
            && !success.events.is_empty()
        {
            runtime.snapshot_if_due(&instance.stream_id, loaded);
        }
        let settle = runtime.lifespan_after(&order, &outcome);
        // The instance is at rest before the caller hears of it, so that what the caller does next meets it
        // as it will stay.
        job = runtime.settle(&instance, loaded.as_ref(), settle);
        let _ = reply.send(outcome);
        tokio::task::consume_budget().await;
    }
    unfinished.is_finished = true;
}

/// Retires an instance whose run is dropped before its end, as with the tokio runtime of the caller who began
/// it: nobody would run its commands any more, and none could start another run.
struct Unfinished<'a, A: Aggregate> {
    runtime: &'a AggregateRuntime<A>,
    instance: &'a Arc<Instance<A>>,
    is_finished: bool,
}

impl<A: Aggregate> Drop for Unfinished<'_, A> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.instance.abandon();
            self.runtime.forget(self.instance);
        }
    }
}

impl<A: Aggregate> AggregateRuntime<A> {
    fn settle(
        &self,
        instance: &Arc<Instance<A>>,
        loaded: Option<&Loaded<A>>,
        settle: Settle,
    ) -> Option<Job<A>> {
        let now = Instant::now();
        match instance.settle(loaded, settle, now) {
            Next::Job(job) => Some(job),
            Next::Idle => {
                if let Some(at) = instance.expires_at() {
                    self.environment.sweep.schedule(at);
                }
                None
            }
            Next::Retired => {
                self.forget(instance);
                if let (Some(loaded), Settle::Done(lifespan) | Settle::Refused(lifespan)) = (loaded, settle) {
                    self.snapshot_on_stop(&instance.stream_id, loaded, lifespan);
                }
                None
            }
        }
    }

    fn lifespan_after(&self, order: &Order<A>, outcome: &Outcome<A>) -> Settle {
        let hooks = &self.settings.lifespan;
        match outcome {
            Ok(success) => Settle::Done(asked(|| match success.events.last() {
                Some(event) => (hooks.after_event)(event),
                None => (hooks.after_command)(&AnyCommand::shared(&order.command)),
            })),
            Err(DispatchError::Rejected(error)) => Settle::Refused(asked(|| (hooks.after_error)(error))),
            Err(_) => Settle::Refused(DefaultLifespan::AFTER_ERROR),
        }
    }
}

/// The answer of a lifespan. The command is committed or refused by now, so a lifespan that panics does not
/// change its outcome.
fn asked(hook: impl FnOnce() -> Lifespan) -> Lifespan {
    panics::catch(hook).unwrap_or_else(|panic| {
        tracing::error!(panic, "a lifespan panicked, the default holds");
        DefaultLifespan::AFTER_COMMAND
    })
}
