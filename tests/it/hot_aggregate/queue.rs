//! Commands that wait in their order behind one whose append is held.

use std::future::IntoFuture;

use cqrs::application::Config;
use cqrs::prelude::*;
use tokio::task::JoinSet;

use crate::support::gate::Gate;
use crate::support::store::{Act, ScriptedStore};
use crate::support::tally::{Tallies, Tally, TooLittle, add};

pub type Answer = Result<Dispatched<Tally>, DispatchError<TooLittle>>;

/// An aggregate whose first command, which adds 1, is held at the gate of the store.
pub struct Busy {
    pub store: ScriptedStore,
    pub tallies: Tallies,
    pub gate: Gate,
    sent: usize,
    callers: JoinSet<(usize, Answer)>,
}

impl Busy {
    /// Behind the first append the store follows the script.
    pub async fn new(script: impl IntoIterator<Item = Act>) -> Self {
        Self::with(Config::new(), script).await
    }

    pub async fn with(config: Config, script: impl IntoIterator<Item = Act>) -> Self {
        let store = ScriptedStore::default();
        let tallies = Tallies::builder(store.clone()).config(config).start().await.unwrap();
        Self::on(store, tallies, script).await
    }

    pub async fn on(store: ScriptedStore, tallies: Tallies, script: impl IntoIterator<Item = Act>) -> Self {
        let gate = Gate::shut();
        store.then([Act::HoldBefore(gate.clone())]);
        store.then(script);
        let mut busy = Self { store, tallies, gate, sent: 0, callers: JoinSet::new() };
        busy.send(busy.tallies.dispatch(add("1", 1)).no_timeout());
        busy.gate.arrival().await;
        busy
    }

    /// Sends a command, which waits behind those that were sent before.
    pub fn send<D: IntoFuture<Output = Answer, IntoFuture: Send + 'static>>(&mut self, dispatch: D) {
        let (number, dispatch) = (self.sent, dispatch.into_future());
        self.sent += 1;
        self.callers.spawn(async move { (number, dispatch.await) });
    }

    /// Waits until so many commands wait for the aggregate.
    pub async fn queued(&self, count: usize) {
        while self.tallies.live_aggregates()[0].waiting != count {
            tokio::task::yield_now().await;
        }
    }

    /// Lets everybody else do what they can.
    pub async fn settle(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    /// How many callers were answered since the last time.
    pub fn answered(&mut self) -> usize {
        std::iter::from_fn(|| self.callers.try_join_next()).count()
    }

    /// The answers, in the order of the commands.
    pub async fn answers(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some(answer) = self.callers.join_next().await {
            answers.push(answer.unwrap());
        }
        answers.sort_unstable_by_key(|(number, _)| *number);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Lets the first append happen, and gives the answers.
    pub async fn run(&mut self) -> Vec<Answer> {
        self.gate.open();
        self.answers().await
    }

    /// The versions that the commands were told, all of which must have been carried out.
    pub async fn versions(&mut self) -> Vec<u64> {
        self.run().await.into_iter().map(|answer| answer.unwrap().version()).collect()
    }

    /// So many commands that add 1, all of them waiting.
    pub async fn send_adds(&mut self, count: usize) {
        for _ in 0..count {
            self.send(self.tallies.dispatch(add("1", 1)));
        }
        self.queued(count).await;
    }
}
