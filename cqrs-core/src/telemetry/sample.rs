use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::application::Core;
use crate::handler::HandlerStatus;
use crate::telemetry::may_be_listened_to;

/// How long it takes at most until it is noticed that somebody listens who did not before.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Tells at intervals how an application is, until it is stopped. While nobody can want to know, it looks more and more
/// rarely whether somebody does.
pub(crate) async fn run(core: &Core, stop: CancellationToken) {
    let interval = core.config.metrics_interval;
    let mut pause = interval;
    while stop.run_until_cancelled(sleep(pause)).await.is_some() {
        if may_be_listened_to() {
            stop.run_until_cancelled(sample(core)).await;
            pause = interval;
        } else {
            pause = (pause * 2).min(LONGEST_PAUSE.max(interval));
        }
    }
}

/// When the store cannot be reached, the next time is soon enough.
async fn sample(core: &Core) {
    metric!(
        gauge.cqrs.aggregate.live = core.aggregates.len() as u64,
        gauge.cqrs.dispatch.active = core.dispatches.len() as u64,
        cqrs.application = core.name(),
    );
    let Ok(head) = core.store.head().await else { return };
    for entry in core.board.entries() {
        if let Some(status) = entry.status_here(head) {
            tell(core, &core.with_lag(status, &entry.filter).await);
        }
    }
}

fn tell(core: &Core, handler: &HandlerStatus) {
    metric!(
        gauge.cqrs.subscription.lag = handler.lag,
        gauge.cqrs.subscription.lag_time = handler.lag_time.map(|time| time.as_secs_f64()),
        gauge.cqrs.handler.parked = handler.parked as u64,
        gauge.cqrs.handler.down = u64::from(handler.state.is_down()),
        cqrs.application = core.name(),
        cqrs.handler = &*handler.name,
    );
}
