//! Names and starting places of handlers.

use cqrs::application::{StartError, StartFault};
use cqrs::handler::{HandlerConsistency, StartFrom};

use super::domain::*;
use cqrs::MemoryStore;
use cqrs::dispatch::Consistency;
use cqrs::prelude::*;
use tokio::sync::mpsc;

#[tokio::test]
async fn t_261_a_handler_without_a_name_is_refused() {
    let (script, _inbox) = Script::telling();
    let started = Desk::builder(MemoryStore::new()).event_handler_as("", Eager(script)).start().await;
    let Err(StartError::Invalid { faults, .. }) = started else {
        panic!("started, or failed otherwise: {started:?}");
    };
    assert!(
        matches!(faults.as_slice(), [StartFault::UnnamedHandler { type_name }] if type_name.ends_with("Eager")),
        "{faults:?}"
    );
}

#[test]
fn t_262_a_handler_is_eventual_and_starts_from_the_origin_unless_it_says_otherwise() {
    assert_eq!(Eager::CONSISTENCY, HandlerConsistency::Eventual);
    assert_eq!(Eager::START_FROM, StartFrom::Origin);
    assert_eq!(Careful::CONSISTENCY, HandlerConsistency::Strong);
    assert_eq!(Newcomer::START_FROM, StartFrom::Current);
    assert_eq!(Latecomer::START_FROM, StartFrom::Position(2));
}

/// Listed in an application, and made by `Default` where the builder is given none.
struct Listed(Option<mpsc::Sender<String>>);

static MADE_BY_DEFAULT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

impl Default for Listed {
    fn default() -> Self {
        MADE_BY_DEFAULT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self(None)
    }
}

#[event_handler(name = "listed", interested_in = [Noted], consistency = strong)]
impl Listed {
    async fn on_noted(&self, event: &Noted) -> Result<(), Broken> {
        match &self.0 {
            Some(sender) => sender.send(event.text.clone()).await.map_err(|_| Broken("nobody listens")),
            None => Ok(()),
        }
    }
}

application! {
    struct DeskWithListed {
        routers: [DeskRouter],
        event_handlers: [Listed],
    }
}

#[tokio::test]
async fn t_263_the_instance_given_to_the_builder_takes_the_place_of_the_default() {
    let (sender, mut texts) = mpsc::channel(1);
    let desk = DeskWithListed::builder(MemoryStore::new())
        .event_handler(Listed(Some(sender)))
        .start()
        .await
        .unwrap();
    desk.dispatch(note("a", "given")).consistency(Strong).await.unwrap();
    assert_eq!(texts.try_recv().unwrap(), "given");
    assert_eq!(desk.handlers().await.unwrap().len(), 1, "one handler, not two");
    desk.shutdown().await;
}

#[tokio::test]
async fn t_263_a_listed_handler_is_made_by_default() {
    let desk = DeskWithListed::builder(MemoryStore::new()).start().await.unwrap();
    desk.dispatch(note("a", "default")).consistency(Strong).await.unwrap();
    assert!(MADE_BY_DEFAULT.load(std::sync::atomic::Ordering::Relaxed) > 0);
    desk.shutdown().await;
}

#[tokio::test]
async fn t_277_two_instances_of_one_type_under_two_names_each_get_all_events() {
    let (first, mut firsts) = Script::telling();
    let (second, mut seconds) = Script::telling();
    let desk = Desk::builder(MemoryStore::new())
        .event_handler_as("first", Careful(first))
        .event_handler_as("second", Careful(second))
        .start()
        .await
        .unwrap();
    for text in ["1", "2", "3"] {
        desk.dispatch(note("a", text)).consistency(Strong).await.unwrap();
    }
    assert_eq!(firsts.rest(), ["1", "2", "3"]);
    let told = seconds.next().await;
    assert_eq!(told.context.handler(), "second");
    assert_eq!(seconds.rest(), ["2", "3"]);
    desk.shutdown().await;
}

// C-038, T-231, T-232
#[tokio::test]
async fn t_278_e_075_handlers_start_from_the_origin_the_present_or_a_position() {
    let store = MemoryStore::new();
    let desk = Desk::builder(store.clone()).start().await.unwrap();
    for text in ["1", "2", "3"] {
        desk.dispatch(note("a", text)).await.unwrap();
    }
    desk.shutdown().await;

    let (origin, mut from_origin) = Script::telling();
    let (current, mut from_current) = Script::telling();
    let (position, mut from_position) = Script::telling();
    let desk = Desk::builder(store)
        .event_handler(Eager(origin))
        .event_handler(Newcomer(current))
        .event_handler(Latecomer(position))
        .start()
        .await
        .unwrap();
    let names = ["eager", "newcomer", "latecomer"];
    desk.dispatch(note("a", "4"))
        .consistency(Consistency::Handlers(names.map(Into::into).to_vec()))
        .await
        .unwrap();
    assert_eq!(from_origin.rest(), ["1", "2", "3", "4"]);
    assert_eq!(from_current.rest(), ["4"]);
    assert_eq!(from_position.rest(), ["3", "4"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn t_278_where_the_present_was_at_the_first_start_is_remembered() {
    let store = MemoryStore::new();
    let writer = Desk::builder(store.clone()).node("writer").start().await.unwrap();
    writer.dispatch(note("a", "before")).await.unwrap();
    let (script, mut inbox) = Script::telling();
    let reader = || Desk::builder(store.clone()).node("reader").event_handler(Newcomer(script.clone()));

    reader().start().await.unwrap().shutdown().await;
    writer.dispatch(note("a", "between")).await.unwrap();
    let desk = reader().start().await.unwrap();
    assert_eq!(inbox.texts(1).await, ["between"]);

    desk.shutdown().await;
    writer.shutdown().await;
    assert_eq!(inbox.rest(), Vec::<String>::new());
}
