use crate::handler::worker::End;
use crate::handler::{HandlerRunner, Tenure};
use crate::store::{HandlerCommit, RecordedEvent, StoreError};

/// What becomes of the events that a runner reads: the part in which event handlers, projections and process managers
/// differ.
pub(crate) trait Consumer: Send {
    /// Whether many events at once cost it less than one after the other.
    const TAKES_MANY: bool = true;

    /// Waits until this node may become the owner.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    fn eligible(&mut self, runner: &HandlerRunner) -> impl Future<Output = ()> + Send {
        let _ = runner;
        async {}
    }

    /// This node has become the owner.
    fn begin(
        &mut self,
        runner: &HandlerRunner,
        tenure: &mut Tenure,
    ) -> impl Future<Output = Result<(), End>> + Send {
        let _ = (runner, tenure);
        async { Ok(()) }
    }

    /// Gets ready for events, unless it is; tells whether it is now. What somebody wants to be done with events waits
    /// until then.
    fn get_ready(
        &mut self,
        runner: &HandlerRunner,
        tenure: &mut Tenure,
    ) -> impl Future<Output = Result<bool, End>> + Send {
        let _ = (runner, tenure);
        async { Ok(true) }
    }

    /// Handles events that follow each other in the log, leaves out those that the runner has passed or does not want,
    /// and has the runner advance.
    fn consume(
        &mut self,
        runner: &HandlerRunner,
        events: &[RecordedEvent],
        tenure: &mut Tenure,
    ) -> impl Future<Output = Result<(), End>> + Send;

    /// Tries the events of a parked key again, in their order, up to where the handler has come; the first one only
    /// if `with_first`. What was `done` by that is written together with it.
    fn retry_parked(
        &mut self,
        runner: &HandlerRunner,
        key: &str,
        with_first: bool,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> impl Future<Output = Result<Result<(), StoreError>, End>> + Send;

    /// Is asked before the handler begins anew; the error is why it must not. What it adds to `done` is written when
    /// the handler has forgotten all else.
    fn before_reset(
        &mut self,
        runner: &HandlerRunner,
        done: HandlerCommit,
    ) -> impl Future<Output = Result<HandlerCommit, String>> + Send;

    /// The handler has forgotten how far it has come, and what else it keeps.
    fn begun_anew(&mut self, tenure: &mut Tenure) {
        let _ = tenure;
    }

    /// Somebody may have changed what the handler keeps, on this node or another.
    fn called(&mut self) {}

    /// Does what is to be done apart from events.
    fn tend(
        &mut self,
        runner: &HandlerRunner,
        tenure: &mut Tenure,
    ) -> impl Future<Output = Result<(), End>> + Send {
        let _ = (runner, tenure);
        async { Ok(()) }
    }

    /// Is ready when there is something to tend.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    fn woken(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// This node is not the owner any more: what it has begun and not written is another one's.
    fn dismissed(&mut self) {}

    /// Finishes what is under way, since this node is going to stop.
    fn finish(
        &mut self,
        runner: &HandlerRunner,
        tenure: &mut Tenure,
    ) -> impl Future<Output = Result<(), End>> + Send {
        let _ = (runner, tenure);
        async { Ok(()) }
    }
}
