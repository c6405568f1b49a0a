use std::time::Duration;

use crate::aggregate::Aggregate;
use crate::command::AnyCommand;

/// How long an instance of an aggregate is kept in memory once it has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lifespan {
    /// For this long, counted anew from each command.
    KeepFor(Duration),
    /// Until the bound on live instances pushes it out.
    Forever,
    /// Not at all.
    Stop,
    /// Not at all, but its state is kept as a snapshot.
    StopAfterSnapshot,
}

/// Says after each command how long an instance is kept, for `#[aggregate(lifespan = ..)]`.
///
/// One of the three is called for each command: after the last event, or after a command without event, or
/// after a refusal. A time given after a refusal never shortens what is left of an earlier answer;
/// [`Lifespan::Stop`] ends the instance in any case.
pub trait AggregateLifespan<A: Aggregate> {
    /// After a command that emitted events; called with the last one.
    #[must_use]
    fn after_event(event: &A::Event) -> Lifespan {
        let _ = event;
        DefaultLifespan::AFTER_COMMAND
    }

    /// After a command that emitted none.
    #[must_use]
    fn after_command(command: &AnyCommand) -> Lifespan {
        let _ = command;
        DefaultLifespan::AFTER_COMMAND
    }

    /// After a command that was refused.
    #[must_use]
    fn after_error(error: &A::Error) -> Lifespan {
        let _ = error;
        DefaultLifespan::AFTER_ERROR
    }
}

/// 30 minutes after an event or a command, 5 minutes after a refusal.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultLifespan;

impl DefaultLifespan {
    /// 30 minutes.
    pub const AFTER_COMMAND: Lifespan = Lifespan::KeepFor(Duration::from_secs(30 * 60));

    /// 5 minutes.
    pub const AFTER_ERROR: Lifespan = Lifespan::KeepFor(Duration::from_secs(5 * 60));
}

impl<A: Aggregate> AggregateLifespan<A> for DefaultLifespan {}
