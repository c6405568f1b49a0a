//! The testing kit for event handlers: given events, then what they are handled as.

use std::time::Duration;

use cqrs::handler::{HandlerError, RetryPolicy};
use cqrs::prelude::*;
use cqrs::testing::given_log;

use super::domain::*;

fn noted(text: &str) -> Noted {
    Noted { book: "a".to_owned(), text: text.to_owned() }
}

#[tokio::test]
async fn a_handler_is_given_what_it_is_interested_in() {
    let (script, mut inbox) = Script::telling();
    let given = given_log()
        .events("book-a", [noted("1")])
        .events("book-a", [Stamped { book: "a".to_owned() }])
        .metadata("actor", "u-7")
        .events("book-b", [noted("2")]);
    given.handle(&Careful(script)).await.unwrap();
    let (first, second) = (inbox.next().await, inbox.next().await);
    assert_eq!((first.event.text, second.event.text), ("1".to_owned(), "2".to_owned()));
    let context = second.context;
    assert_eq!((context.position(), context.stream_version(), context.aggregate_id()), (3, 1, "b"));
    assert_eq!((context.handler(), context.attempt()), ("careful", 1));
    assert_eq!(context.metadata().get("actor"), Some(&"u-7".into()));
    assert!(context.app::<Desk>().is_none());
}

#[tokio::test]
async fn a_failure_tells_what_would_become_of_the_event() {
    let (told, mut inbox) = tokio::sync::mpsc::channel(10);
    let script = Script::new(move |event, _| {
        told.try_send(event.text.clone()).unwrap();
        async move { if event.text == "bad" { Err(Broken("on purpose")) } else { Ok(()) } }
    })
    .on_error(|failure| RetryPolicy::fixed(Duration::from_secs(7)).attempts(3).decide(failure));
    let handler = Careful(script);
    let given = given_log().events("book-a", [noted("good"), noted("bad"), noted("behind it")]);
    let failed = given.clone().handle(&handler).await.unwrap_err();
    assert!(matches!(failed.failure.error, HandlerError::Failed(Broken("on purpose"))), "{failed}");
    assert_eq!((failed.failure.context.position(), failed.failure.attempt), (2, 1));
    assert_eq!(failed.action, ErrorAction::RetryAfter(Duration::from_secs(7)));
    assert_eq!([inbox.try_recv().unwrap(), inbox.try_recv().unwrap()], ["good", "bad"]);
    assert!(inbox.try_recv().is_err(), "what is behind it is not handled");
    let failed = given.attempt(3).handle(&handler).await.unwrap_err();
    assert_eq!((failed.failure.attempt, failed.action), (3, ErrorAction::Park));
    assert!(failed.to_string().contains("\"careful\", position 2, attempt 3"), "{failed}");
}

#[tokio::test]
async fn a_panic_is_a_failure_and_one_of_on_error_stops_the_handler() {
    let script = Script::new(|_, _| async { panic!("by mistake") });
    let given = given_log().events("book-a", [noted("1")]);
    let failed = given.clone().handle(&Careful(script.clone())).await.unwrap_err();
    assert!(
        matches!(&failed.failure.error, HandlerError::Panicked(text) if text == "by mistake"),
        "{failed}"
    );
    let failed = given.handle(&Careful(script.on_error(|_| panic!("twice")))).await.unwrap_err();
    assert_eq!(failed.action, ErrorAction::Stop);
}

/// An effect that is made once within a scenario is found again there.
#[tokio::test]
async fn effects_need_no_store() {
    let script = Script::new(|_, context| async move {
        let mut made = 0;
        for _ in 0..2 {
            let make = || {
                made += 1;
                std::future::ready(Ok::<_, Broken>(made))
            };
            assert_eq!(context.once("make", make).await.unwrap(), 1);
        }
        Ok(())
    });
    given_log().events("book-a", [noted("1")]).handle(&Careful(script)).await.unwrap();
}
