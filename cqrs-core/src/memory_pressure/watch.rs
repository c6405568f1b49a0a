use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::aggregate::Aggregates;
use crate::application::Config;
use crate::memory_pressure::{MemoryMeter, MemoryUse};

/// Looks at the memory now and then, and has aggregates leave it when it runs short, until it is stopped.
pub(crate) async fn watch(
    aggregates: &Aggregates,
    meter: &dyn MemoryMeter,
    config: &Config,
    stop: &CancellationToken,
) {
    let mut looks = interval(config.memory_interval);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = looks.tick() => {}
        }
        look(aggregates, meter.measure(), config);
    }
}

fn look(aggregates: &Aggregates, memory: Option<MemoryUse>, config: &Config) {
    let environment = aggregates.environment();
    let bound = &environment.bound;
    bound.note(memory);
    let Some(memory) = memory else { return };
    let percent = memory.percent();
    if percent >= u64::from(config.memory_high_water) {
        let was_under_pressure = bound.is_under_pressure();
        let passivated = aggregates.relieve();
        // Each look would say the same while there is nobody left who could leave.
        if passivated > 0 || !was_under_pressure {
            tracing::warn!(
                cqrs.application = &*environment.application,
                cqrs.memory_used = memory.used,
                cqrs.memory_limit = memory.limit,
                cqrs.passivated = passivated,
                cqrs.live = aggregates.len(),
                cqrs.max_live = bound.current(),
                "memory runs short, idle aggregates left it"
            );
        }
    } else if percent < u64::from(config.memory_low_water) && bound.restore() {
        tracing::info!(
            cqrs.application = &*environment.application,
            cqrs.memory_used = memory.used,
            cqrs.memory_limit = memory.limit,
            cqrs.max_live = bound.current(),
            "there is memory again"
        );
    }
}
