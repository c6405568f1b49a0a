use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::application::Core;
use crate::handler::HandlerStatus;

/// How long it takes at most until it is noticed that somebody listens who did not before.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Tells at intervals how an application is, until it is stopped. While nobody listens, it looks more and more rarely
/// whether somebody does.
pub(crate) async fn run(core: &Core, stop: CancellationToken) {
    let interval = core.config.metrics_interval;
    let mut pause = interval;
    while stop.run_until_cancelled(sleep(pause)).await.is_some() {
        if tell_of_application(core) {
            stop.run_until_cancelled(tell_of_handlers(core)).await;
            pause = interval;
        } else {
            pause = (pause * 2).min(LONGEST_PAUSE.max(interval));
        }
    }
}

/// Gives whether anybody listened.
fn tell_of_application(core: &Core) -> bool {
    let mut is_heard = false;
    let mut live = || {
        is_heard = true;
        core.aggregates.len() as u64
    };
    metric!(
        gauge.cqrs.aggregate.live = live(),
        gauge.cqrs.dispatch.active = core.dispatches.len() as u64,
        cqrs.application = core.name(),
    );
    is_heard
}

/// When the store cannot be reached, the next time is soon enough.
async fn tell_of_handlers(core: &Core) {
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
