//! What handlers are asked to do apart from events: `init` and `after_start`.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::domain::*;
use cqrs::MemoryStore;
use cqrs::application::StartError;
use cqrs::handler::{HandlerState, InitError};
use cqrs::id::NodeId;
use cqrs::prelude::*;
use cqrs::store::LeaseStore as _;

type Init = dyn Fn() -> Result<(), Broken> + Send + Sync;
type AfterStart =
    dyn Fn(StartContext) -> Pin<Box<dyn Future<Output = Result<(), Broken>> + Send>> + Send + Sync;

/// Notes down what it is called for, and does what a test tells it.
#[derive(Clone)]
struct Hooked {
    calls: Arc<Mutex<Vec<String>>>,
    init: Arc<Init>,
    after_start: Arc<AfterStart>,
}

#[event_handler(name = "hooked", interested_in = [Noted], consistency = strong)]
impl Hooked {
    fn init(&self) -> Result<(), Broken> {
        self.call("init");
        (self.init)()
    }

    async fn after_start(&self, context: &StartContext) -> Result<(), Broken> {
        self.call(format!("started at {}", context.position()));
        (self.after_start)(context.clone()).await
    }

    fn on_noted(&self, event: &Noted) -> Result<(), Broken> {
        self.call(&event.text);
        if event.text == "bad" { Err(Broken("bad")) } else { Ok(()) }
    }

    async fn before_reset(&self) -> Result<(), Broken> {
        self.call("reset");
        Ok(())
    }

    async fn on_error(&self, _: &HandlerFailure<Broken>) -> ErrorAction {
        ErrorAction::Park
    }
}

impl Hooked {
    fn new() -> Self {
        Self {
            calls: Arc::default(),
            init: Arc::new(|| Ok(())),
            after_start: Arc::new(|_| Box::pin(std::future::ready(Ok(())))),
        }
    }

    fn init_with(self, init: impl Fn() -> Result<(), Broken> + Send + Sync + 'static) -> Self {
        Self { init: Arc::new(init), ..self }
    }

    fn starting<F>(self, after_start: impl Fn(StartContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Broken>> + Send + 'static,
    {
        Self { after_start: Arc::new(move |context| Box::pin(after_start(context))), ..self }
    }

    /// One whose `after_start` fails until the switch is set.
    fn failing() -> (Self, Arc<AtomicBool>) {
        let is_mended = Arc::new(AtomicBool::new(false));
        let mended = Arc::clone(&is_mended);
        let hooked = Self::new().starting(move |_| {
            let is_mended = mended.load(Ordering::SeqCst);
            async move { if is_mended { Ok(()) } else { Err(Broken("not yet")) } }
        });
        (hooked, is_mended)
    }

    fn call(&self, what: impl Into<String>) {
        self.calls.lock().unwrap().push(what.into());
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// The calls since the last look.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

async fn start(store: &MemoryStore, hooked: &Hooked) -> Desk {
    Desk::builder(store.clone()).event_handler(hooked.clone()).start().await.unwrap()
}

async fn strong(desk: &Desk, text: &str) {
    desk.dispatch(note(text, text)).consistency(Strong).await.unwrap();
}

// T-266, T-268
#[tokio::test]
async fn t_266_every_node_prepares_itself_and_the_owner_starts() {
    let (store, a, b) = (MemoryStore::new(), Hooked::new(), Hooked::new());
    let first = start(&store, &a).await;
    let second = Desk::builder(store.clone()).node("b").event_handler(b.clone()).start().await.unwrap();
    strong(&first, "1").await;
    assert_eq!(a.calls(), ["init", "started at 0", "1"]);
    assert_eq!(b.calls(), ["init"], "it is passive");
    first.shutdown().await;
    strong(&second, "2").await;
    assert_eq!(b.calls(), ["init", "started at 1", "2"], "it took over");
    strong(&second, "3").await;
    second.shutdown().await;
    assert_eq!((a.calls().len(), b.calls().len()), (3, 4), "and nothing else is called");
}

// T-266
#[tokio::test]
async fn t_266_an_application_whose_handler_cannot_be_prepared_does_not_start() {
    let (script, mut inbox) = Script::telling();
    let failing = Hooked::new().init_with(|| Err(Broken("no printer")));
    let panicking = Hooked::new().init_with(|| panic!("by mistake"));
    for (hooked, reason) in [(failing, "no printer"), (panicking, "init panicked: by mistake")] {
        let store = MemoryStore::new();
        let builder = || Desk::builder(store.clone()).event_handler(Eager(script.clone()));
        let refused = builder().event_handler(hooked.clone()).start().await.unwrap_err();
        let StartError::Init { handler, source, .. } = &refused else { panic!("{refused:?}") };
        assert_eq!(handler, "hooked");
        assert!(refused.to_string().contains("handler \"hooked\" of application \"Desk\""), "{refused}");
        let text = match source {
            InitError::Failed(error) => error.to_string(),
            other => other.to_string(),
        };
        assert_eq!(text, reason);
        assert_eq!(hooked.calls(), ["init"]);
        // Nothing was begun: neither the name nor a lease is taken.
        for handler in ["eager", "hooked"] {
            let epoch = store.acquire_lease(handler, NodeId::new(), Duration::ZERO).await.unwrap();
            assert_eq!(epoch, Some(1), "nobody had it");
        }
        let desk = builder().event_handler(Hooked::new()).start().await.unwrap();
        strong(&desk, "1").await;
        assert_eq!(inbox.texts(1).await, ["1"]);
        desk.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn t_268_no_event_comes_before_after_start_has_passed() {
    let (hooked, is_mended) = Hooked::failing();
    let desk = start(&MemoryStore::new(), &hooked).await;
    desk.dispatch(note("a", "1")).await.unwrap();
    let status = until_state(&desk, "hooked", HandlerState::Retrying).await;
    assert_eq!(status.last_error.as_deref(), Some("not yet"));
    until(async || (hooked.calls().len() > 5).then_some(())).await;
    assert!(hooked.calls()[1..].iter().all(|call| call == "started at 0"), "{:?}", hooked.calls());
    is_mended.store(true, Ordering::SeqCst);
    strong(&desk, "2").await;
    assert_eq!(hooked.take().split_off(6).last_chunk(), Some(&["1".to_owned(), "2".to_owned()]));
    let status = status_of(&desk).await;
    assert_eq!((status.state, status.last_error), (HandlerState::Running, None));
    desk.shutdown().await;
}

async fn status_of(desk: &Desk) -> cqrs::handler::HandlerStatus {
    status(desk, "hooked").await
}

#[tokio::test(start_paused = true)]
async fn t_268_a_panic_in_after_start_counts_as_a_failure() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let hooked = Hooked::new().starting(move |_| {
        let attempt = counted.fetch_add(1, Ordering::SeqCst);
        async move { if attempt < 2 { panic!("by mistake") } else { Ok(()) } }
    });
    let desk = start(&MemoryStore::new(), &hooked).await;
    let status = until_state(&desk, "hooked", HandlerState::Retrying).await;
    assert_eq!(status.last_error.as_deref(), Some("after_start panicked: by mistake"));
    strong(&desk, "1").await;
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
    desk.shutdown().await;
}

// G11
#[tokio::test]
async fn g_011_a_shutdown_does_not_wait_for_after_start() {
    let hanging = Hooked::new().starting(|_| std::future::pending());
    let (failing, _) = Hooked::failing();
    for hooked in [hanging, failing] {
        let desk = start(&MemoryStore::new(), &hooked).await;
        until(async || (hooked.calls().len() > 1).then_some(())).await;
        let report = soon(desk.shutdown()).await;
        assert!(report.is_clean(), "{report}");
        assert_eq!(status_of(&desk).await.state, HandlerState::Stopped);
    }
}

// T-330
#[tokio::test]
async fn t_330_after_start_is_called_again_behind_a_reset() {
    let hooked = Hooked::new();
    let desk = start(&MemoryStore::new(), &hooked).await;
    strong(&desk, "1").await;
    desk.handler("hooked").unwrap().reset().await.unwrap();
    until(async || (hooked.calls().len() == 6).then_some(())).await;
    assert_eq!(hooked.calls(), ["init", "started at 0", "1", "reset", "started at 0", "1"]);
    desk.shutdown().await;
}

/// A pause or a reset is not kept waiting by a handler that cannot start, nor does what is parked come before it.
#[tokio::test(start_paused = true)]
async fn a_handler_that_cannot_start_can_be_looked_after() {
    let (store, steady) = (MemoryStore::new(), Hooked::new());
    let desk = start(&store, &steady).await;
    strong(&desk, "1").await;
    desk.dispatch(note("a", "bad")).consistency(Strong).await.unwrap_err();
    desk.shutdown().await;

    let (hooked, is_mended) = Hooked::failing();
    let desk = start(&store, &hooked).await;
    let handler = desk.handler("hooked").unwrap();
    until_state(&desk, "hooked", HandlerState::Retrying).await;
    handler.pause().await.unwrap();
    until_state(&desk, "hooked", HandlerState::Paused).await;
    handler.retry_parked("book-a").await.unwrap();
    let seen = hooked.calls().len();
    until(async || (hooked.calls().len() > seen).then_some(())).await;
    assert_eq!(status_of(&desk).await.state, HandlerState::Paused);
    assert!(!hooked.calls().contains(&"bad".to_owned()), "it is not ready");
    is_mended.store(true, Ordering::SeqCst);
    until(async || hooked.calls().contains(&"bad".to_owned()).then_some(())).await;
    until_state(&desk, "hooked", HandlerState::Paused).await;

    is_mended.store(false, Ordering::SeqCst);
    hooked.take();
    handler.reset().await.unwrap();
    until(async || hooked.calls().contains(&"reset".to_owned()).then_some(())).await;
    handler.resume().await.unwrap();
    until_state(&desk, "hooked", HandlerState::Retrying).await;
    is_mended.store(true, Ordering::SeqCst);
    until_caught_up(&desk, "hooked").await;
    let calls = hooked.take();
    assert_eq!((&*calls[0], &*calls[1]), ("reset", "started at 0"));
    assert_eq!(calls.last_chunk(), Some(&["1".to_owned(), "bad".to_owned()]));
    desk.shutdown().await;
}

/// Each partition starts by itself, and is told which one it is.
#[derive(Clone, Default)]
struct Divided(Arc<Mutex<Vec<(u16, u16)>>>);

#[event_handler(name = "divided", interested_in = [Noted], partitions = 4)]
impl Divided {
    fn after_start(&self, context: &StartContext) -> Result<(), Broken> {
        assert_eq!((context.handler(), context.application()), ("divided", "Desk"));
        assert!(context.app::<Desk>().is_some());
        self.0.lock().unwrap().push((context.partition(), context.partitions()));
        Ok(())
    }

    fn on_noted(&self, _: &Noted) {}
}

#[tokio::test]
async fn t_268_each_partition_starts_by_itself() {
    let divided = Divided::default();
    let desk = Desk::builder(MemoryStore::new()).event_handler(divided.clone()).start().await.unwrap();
    let started = async |times: usize| {
        until(async || (divided.0.lock().unwrap().len() == 4 * times).then_some(())).await;
        let mut started = std::mem::take(&mut *divided.0.lock().unwrap());
        started.sort_unstable();
        started
    };
    assert_eq!(started(1).await, [(0, 4), (1, 4), (2, 4), (3, 4)]);
    desk.handler("divided").unwrap().reset().await.unwrap();
    assert_eq!(started(1).await, [(0, 4), (1, 4), (2, 4), (3, 4)]);
    desk.shutdown().await;
}
