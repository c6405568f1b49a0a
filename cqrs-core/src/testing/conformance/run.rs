use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::audit::AuditStore;
use crate::store::Store;
use crate::testing::conformance::TestRows;

/// How long a case may take: far longer than any needs, so that only one that hangs is ended by it.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs a case on a fresh store, on a runtime of its own.
pub fn run<S: Store, Fresh: Future<Output = S>, Case: Future<Output = ()>>(
    fresh: impl FnOnce() -> Fresh,
    case: impl FnOnce(Arc<dyn Store>) -> Case,
) {
    runtime().block_on(within_the_limit(async {
        let store: Arc<dyn Store> = Arc::new(fresh().await);
        case(store).await;
    }));
}

/// Runs a case that compares two fresh stores.
pub fn run_with_two<S: Store, Fresh: Future<Output = S>, Case: Future<Output = ()>>(
    fresh: impl Fn() -> Fresh,
    case: impl FnOnce(Arc<dyn Store>, Arc<dyn Store>) -> Case,
) {
    runtime().block_on(within_the_limit(async {
        let first: Arc<dyn Store> = Arc::new(fresh().await);
        let second: Arc<dyn Store> = Arc::new(fresh().await);
        case(first, second).await;
    }));
}

/// Runs a case on a fresh store of an audit.
pub fn run_with_audit<S: AuditStore, Fresh: Future<Output = S>, Case: Future<Output = ()>>(
    fresh: impl FnOnce() -> Fresh,
    case: impl FnOnce(Arc<dyn AuditStore>) -> Case,
) {
    runtime().block_on(within_the_limit(async {
        let store: Arc<dyn AuditStore> = Arc::new(fresh().await);
        case(store).await;
    }));
}

/// Runs a case on fresh rows.
pub fn run_with_rows<R: TestRows, Fresh: Future<Output = R>, Case: Future<Output = ()>>(
    fresh: impl FnOnce() -> Fresh,
    case: impl FnOnce(R) -> Case,
) {
    runtime().block_on(within_the_limit(async { case(fresh().await).await }));
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("the operating system gives a runtime its threads")
}

async fn within_the_limit(case: impl Future<Output = ()>) {
    assert!(tokio::time::timeout(LIMIT, case).await.is_ok(), "the case did not end within {LIMIT:?}");
}
