use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use tokio::time::Instant;
use tracing::Instrument as _;

use crate::aggregate::chain::{Chain, Fate, Link};
use crate::aggregate::failure::panicked;
use crate::aggregate::instance::{Instance, Loaded, Next, Settle, Taken};
use crate::aggregate::{
    Aggregate, AggregateRuntime, DefaultLifespan, Job, Lifespan, Order, Outcome, Success,
};
use crate::command::AnyCommand;
use crate::dispatch::DispatchError;
use crate::panics;
use crate::telemetry::aggregate::Executing;

/// Runs the commands that wait for an instance, in their order, until none waits: together where several wait and
/// can be appended together, else one by one.
pub(crate) async fn run<A: Aggregate>(runtime: Arc<AggregateRuntime<A>>, instance: Arc<Instance<A>>) {
    let (mut worker, mut next) = Worker::begin(&runtime, &instance);
    while let Some(taken) = next {
        let job = match worker.chain(taken) {
            Ok(chain) => {
                next = pin!(worker.carry_out_all(chain)).await;
                continue;
            }
            Err(job) => job,
        };
        let Job { order, mut reply } = job;
        if reply.is_closed() || order.progress.is_given_up() {
            // Whoever sent it does not listen any more, and nothing was begun.
            next = worker.settle(Settle::Skipped);
            continue;
        }
        let executing = Executing::begin(&order, &instance.stream_id);
        let outcome = {
            // Pinned where it is made: the wrappers would otherwise copy it, and it is large.
            let work = pin!(runtime.process(&instance.stream_id, &mut worker.loaded, &order, &mut reply));
            panics::catch_async(work.instrument(executing.span(&order))).await
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
                worker.loaded = None;
                Err(panicked(&order, &instance.stream_id, message))
            }
        };
        // Before the caller hears of it, so that it lies inside the dispatch.
        executing.end(&outcome);
        let settle = worker.conclude(&order, &outcome);
        // The instance is at rest before the caller hears of it, so that what the caller does next meets it
        // as it will stay.
        next = worker.settle(settle);
        let _ = reply.send(outcome);
        tokio::task::consume_budget().await;
    }
    worker.is_finished = true;
}

/// A run of an instance.
struct Worker<'a, A: Aggregate> {
    runtime: &'a AggregateRuntime<A>,
    instance: &'a Arc<Instance<A>>,
    loaded: Option<Loaded<A>>,
    /// Commands that have left the queue and are run one by one before the next is taken: those of a chain that was
    /// not stored, and the one that ended a chain.
    single: VecDeque<Job<A>>,
    is_finished: bool,
}

impl<'a, A: Aggregate> Worker<'a, A> {
    fn begin(runtime: &'a AggregateRuntime<A>, instance: &'a Arc<Instance<A>>) -> (Self, Option<Taken<A>>) {
        let (loaded, first) = instance.begin();
        (Self { runtime, instance, loaded, single: VecDeque::new(), is_finished: false }, first)
    }

    /// The chain that a command begins, if others wait that can be appended together with it; else the command.
    #[expect(clippy::result_large_err, reason = "it is taken apart at once, never kept")]
    fn chain(&mut self, Taken { job, others_wait }: Taken<A>) -> Result<Chain<A>, Job<A>> {
        let together = others_wait && self.runtime.environment.commands_per_append > 1;
        let Some(known) = self.loaded.as_ref().filter(|_| together) else {
            return Err(job);
        };
        let (chain, ended_by) = self.runtime.chain(self.instance, known, job);
        match ended_by {
            Some(job) if chain.links.is_empty() => Err(job),
            ended_by => {
                self.single.extend(ended_by);
                Ok(chain)
            }
        }
    }

    /// Appends a chain and answers its callers, or leaves its commands to be run one by one; gives the next command.
    async fn carry_out_all(&mut self, mut chain: Chain<A>) -> Option<Taken<A>> {
        let mut waited = false;
        let fate = {
            let mut sent = pin!(self.runtime.append_chain(&self.instance.stream_id, &mut chain));
            poll_fn(|context| {
                let polled = sent.as_mut().poll(context);
                waited |= polled.is_pending();
                polled
            })
            .await
        };
        match fate {
            Fate::Stored(appended) => {
                let ended = chain.links.into_iter().zip(appended);
                let ended = ended.map(|(Link { job, events, after }, appended)| {
                    let success = Success::of(&after, Some(&appended), events);
                    (job, Some(after), Ok(success))
                });
                self.end_all(ended, waited).await
            }
            Fate::Failed(failure) => {
                let stream_id = &self.instance.stream_id;
                // What the store has now is not known for sure; the next command reads it.
                let ended = chain.links.into_iter().map(|Link { job, .. }| {
                    let failure = failure.of(&job.order, stream_id);
                    (job, None, Err(failure))
                });
                self.end_all(ended, waited).await
            }
            Fate::NotStored => self.one_by_one(chain.links),
            Fate::Overtaken(actual) => {
                self.follow(actual).await;
                self.one_by_one(chain.links)
            }
        }
    }

    /// Ends the commands of a chain with these outcomes and the states that they leave; gives the next command.
    async fn end_all(
        &mut self,
        ended: impl Iterator<Item = (Job<A>, Option<Loaded<A>>, Outcome<A>)>,
        store_made_wait: bool,
    ) -> Option<Taken<A>> {
        let mut ended = ended.peekable();
        while let Some((Job { order, reply }, after, outcome)) = ended.next() {
            // An earlier command of the chain may have been the occasion of a snapshot.
            let snapshot_version = self.loaded.as_ref().map_or(0, |before| before.snapshot_version);
            self.loaded = after.map(|after| Loaded { snapshot_version, ..after });
            let settle = self.conclude(&order, &outcome);
            if ended.peek().is_some() {
                self.instance.keep(self.loaded.as_ref(), settle, Instant::now());
                let _ = reply.send(outcome);
                tokio::task::consume_budget().await;
                continue;
            }
            if store_made_wait {
                // Those who were answered and go on at once may come together again; otherwise they would split into
                // two chains that wait for each other.
                tokio::task::yield_now().await;
            }
            let next = self.settle(settle);
            let _ = reply.send(outcome);
            tokio::task::consume_budget().await;
            return next;
        }
        None
    }

    /// Leaves the commands of a chain, of which nothing is stored, to the ordinary path; gives the first.
    fn one_by_one(&mut self, links: Vec<Link<A>>) -> Option<Taken<A>> {
        links.into_iter().rev().for_each(|link| self.single.push_front(link.job));
        self.next_single()
    }

    fn next_single(&mut self) -> Option<Taken<A>> {
        self.single.pop_front().map(|job| Taken { job, others_wait: false })
    }

    /// Catches up with another writer. When that fails, the next command reads the state anew, and is told why it
    /// cannot.
    async fn follow(&mut self, actual: u64) {
        let Some(mut known) = self.loaded.take() else { return };
        let followed = self.runtime.follow(&self.instance.stream_id, &mut known, actual);
        if let Ok(Ok(())) = panics::catch_async(followed).await {
            self.loaded = Some(known);
        }
    }

    /// Takes a snapshot if one is due behind a command, and asks how long the instance is kept.
    fn conclude(&mut self, order: &Order<A>, outcome: &Outcome<A>) -> Settle {
        if let (Ok(success), Some(loaded)) = (outcome, &mut self.loaded)
            && !success.events.is_empty()
        {
            self.runtime.snapshot_if_due(&self.instance.stream_id, loaded);
        }
        self.runtime.lifespan_after(order, outcome)
    }

    /// Ends a command; gives the next one.
    fn settle(&mut self, settle: Settle) -> Option<Taken<A>> {
        let now = Instant::now();
        if let Some(next) = self.next_single() {
            self.instance.keep(self.loaded.as_ref(), settle, now);
            return Some(next);
        }
        match self.instance.settle(self.loaded.as_ref(), settle, now) {
            Next::Job(next) => Some(next),
            Next::Idle => {
                if let Some(at) = self.instance.expires_at() {
                    self.runtime.environment.sweep.schedule(at);
                }
                None
            }
            Next::Retired => {
                self.runtime.forget(self.instance);
                if let (Some(loaded), Settle::Done(lifespan) | Settle::Refused(lifespan)) =
                    (&self.loaded, settle)
                {
                    self.runtime.snapshot_on_stop(&self.instance.stream_id, loaded, lifespan);
                }
                None
            }
        }
    }
}

/// Retires an instance whose run is dropped before its end, as with the tokio runtime of the caller who began
/// it: nobody would run its commands any more, and none could start another run.
impl<A: Aggregate> Drop for Worker<'_, A> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.instance.abandon();
            self.runtime.forget(self.instance);
        }
    }
}

impl<A: Aggregate> AggregateRuntime<A> {
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
