//! Following orders: what the owner of a handler does because somebody has written it down, on this node or another.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error_text::error_text;
use crate::handler::consumer::Consumer;
use crate::handler::order::{HOLD, ORDER, Order, PAUSE, RESET};
use crate::handler::worker::End;
use crate::handler::{HandlerRunner, HandlerState, Tenure};
use crate::store::{HandlerCommit, HandlerRecord, StoreError, all_records};

/// How often orders are looked for in case that a call from another node was lost, while there is reason to expect some.
const LOOK: Duration = Duration::from_secs(1);

impl HandlerRunner {
    /// Is ready when there may be orders.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn called(&self, tenure: &Tenure) {
        let pause = LOOK.saturating_sub(tenure.looked_at.elapsed());
        let mut calls = tenure.calls.clone();
        tokio::select! {
            () = self.control.called() => {}
            Ok(()) = calls.changed() => {}
            () = sleep(pause), if tenure.expects_orders() => {}
        }
    }

    /// Does what was written down, if it is time to look. While the handler is paused, this waits.
    pub(crate) async fn follow_orders<C: Consumer>(
        &self,
        consumer: &mut C,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        loop {
            if tenure.calls.has_changed().unwrap_or(false) {
                tenure.calls.mark_unchanged();
                self.control.call();
            }
            if self.control.is_called() || (tenure.expects_orders() && tenure.looked_at.elapsed() >= LOOK) {
                tenure.looked_at = Instant::now();
                tenure.has_open_orders = false;
                consumer.called();
                match all_records(&*self.checkpoints, &self.name, ORDER).await {
                    Ok(orders) => self.follow_all(consumer, orders, tenure).await?,
                    Err(error) => self.report_unfollowed(&error, tenure),
                }
            }
            if !tenure.is_paused && !tenure.is_held {
                return Ok(());
            }
            self.save(tenure).await?;
            tokio::select! {
                () = self.stop.cancelled() => return Err(End::Stopped),
                () = tenure.lease.over() => return Err(End::Over),
                () = self.called(tenure) => {}
            }
        }
    }

    /// Whether to go on with what was read: orders come first, and a partition that is another node's share is left. It
    /// is asked behind an event, so that the handler goes on however often it is called.
    pub(crate) async fn heed(&self, tenure: &mut Tenure) -> Result<(), End> {
        self.give_up_surplus(tenure).await?;
        match self.control.has_call() || tenure.calls.has_changed().unwrap_or(false) {
            true => Err(End::Interrupted),
            false => Ok(()),
        }
    }

    /// Waits before an event is tried again. It may be long: a pause or a reset does not wait for its end.
    pub(crate) async fn wait_to_retry(&self, delay: Duration, tenure: &mut Tenure) -> Result<(), End> {
        let retry = sleep(delay);
        tokio::pin!(retry);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Err(End::Stopped),
                () = tenure.lease.over() => return Err(End::Over),
                () = &mut retry => return Ok(()),
                () = self.called(tenure) => {}
            }
            tenure.calls.mark_unchanged();
            tenure.looked_at = Instant::now();
            let urgent = [PAUSE, RESET, HOLD].map(str::to_owned);
            let found = self.checkpoints.records_of(&self.name, ORDER, &urgent).await;
            if found.is_ok_and(|found| !found.is_empty()) {
                self.control.call();
                return Err(End::Interrupted);
            }
        }
    }

    async fn follow_all<C: Consumer>(
        &self,
        consumer: &mut C,
        orders: Vec<HandlerRecord>,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let (mut is_paused, mut is_held) = (false, false);
        for record in orders {
            let done = HandlerCommit::new().remove(ORDER, &*record.key);
            let followed = match Order::of_record(&record) {
                Ok(Order::Pause) => {
                    is_paused = true;
                    Ok(())
                }
                Ok(Order::Hold { round }) => {
                    is_held = true;
                    self.hold(&round, tenure).await
                }
                Ok(Order::Reset { to, round }) => {
                    let reset = self.begin_anew(consumer, to, round, done, tenure).await?;
                    reset.map(|is_done| is_held = !is_done)
                }
                Ok(Order::ResetOthers { to, round }) => self.reset_others(to, &round, done, tenure).await?,
                Ok(Order::Redeliver { after }) => self.redeliver(after, done, tenure).await?,
                Ok(order @ (Order::RetryParked { .. } | Order::SkipParked { .. }))
                    if !consumer.get_ready(self, tenure).await? =>
                {
                    tracing::debug!(cqrs.handler = &*self.name, ?order, "waits until the handler is ready");
                    tenure.has_open_orders = true;
                    Ok(())
                }
                Ok(Order::RetryParked { key }) => {
                    consumer.retry_parked(self, &key, true, done, tenure).await?
                }
                Ok(Order::SkipParked { key, at }) => {
                    let is_left_out = tenure.parked.get(&key).is_some_and(|parked| parked.is_elsewhere(at));
                    consumer.retry_parked(self, &key, is_left_out, done, tenure).await?
                }
                Err(error) => Err(error),
            };
            if let Err(error) = followed {
                self.report_unfollowed(&error, tenure);
            }
        }
        tenure.is_held = is_held;
        if tenure.is_paused != is_paused {
            tenure.is_paused = is_paused;
            tracing::info!(cqrs.handler = &*self.name, cqrs.paused = is_paused, "handler paused or resumed");
            self.set_state(if is_paused { HandlerState::Paused } else { HandlerState::Running });
        } else if is_paused {
            // What was tried again meanwhile has said otherwise.
            self.set_state(HandlerState::Paused);
        }
        Ok(())
    }

    /// Goes back to a position that the handler has passed. Events of parked keys go on waiting.
    async fn redeliver(
        &self,
        after: u64,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<Result<(), StoreError>, End> {
        let position = after.min(self.position());
        // Checkpoints do not go back by themselves.
        if let Err(error) = self.checkpoints.delete_checkpoint(&self.name).await {
            return Ok(Err(error));
        }
        (tenure.saved, tenure.tried) = (position, position);
        self.progress.send_modify(|progress| progress.position = position);
        self.commit(done.position(position), tenure).await?;
        // Whoever has seen the order waits for it to be gone.
        self.progress.send_modify(|_| {});
        tracing::info!(cqrs.handler = &*self.name, cqrs.position = position, "events are handled again");
        Ok(Ok(()))
    }

    fn report_unfollowed(&self, error: &StoreError, tenure: &mut Tenure) {
        tenure.has_open_orders = true;
        tracing::warn!(
            cqrs.handler = &*self.name,
            error = error_text(error),
            "what the handler was told to do could not be done, trying again"
        );
    }
}
