use tracing::{Instrument as _, Span};

use crate::telemetry::{ErrorType, Stopwatch};

/// Awaits work in its span; tells of its end how long it took and, if it failed, why.
pub(super) async fn observed<T, E: ErrorType>(
    span: Span,
    work: impl Future<Output = Result<T, E>>,
    ended: impl FnOnce(Stopwatch, Result<&T, &'static str>),
) -> Result<T, E> {
    let stopwatch = Stopwatch::start();
    let result = work.instrument(span.clone()).await;
    match &result {
        Ok(value) => ended(stopwatch, Ok(value)),
        Err(error) => {
            let error_type = error.error_type();
            fail(&span, error_type);
            ended(stopwatch, Err(error_type));
        }
    }
    result
}

/// Says in a span that what it stands for has failed.
pub(super) fn fail(span: &Span, error_type: &'static str) {
    span.record("error.type", error_type);
    span.record("otel.status_code", "ERROR");
}
