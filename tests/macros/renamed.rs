//! The facade under another path, and `cqrs` being something else.

/// The facade as somebody else re-exports it.
pub(crate) mod facade {
    pub(crate) use ::cqrs::*;
}

mod user {
    use serde::{Deserialize, Serialize};

    use super::facade::{
        Command, Event, EventSet, Router, aggregate, application, command_handler, event_handler, projection,
    };

    #[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
    #[event(crate = super::facade, name = "RenamedDone", version = 2, upcast(1 => |value| value))]
    pub(super) struct Done;

    #[derive(EventSet, Clone, Debug, PartialEq)]
    #[event_set(crate = super::facade)]
    pub(super) enum Set {
        Done(Done),
    }

    #[derive(Command, Serialize, Deserialize)]
    #[command(crate = super::facade, router = R, aggregate = A, identify_by = |_| 1, timeout = "1s", handler = H)]
    pub(super) struct Do;

    #[derive(Router)]
    #[router(crate = super::facade, consistency = strong)]
    pub(super) struct R;

    #[derive(Default, Clone)]
    pub(super) struct A;

    #[aggregate(crate = super::facade, mailbox = 1)]
    impl A {
        #[apply]
        fn done(&mut self, _: &Done) {}
    }

    #[derive(Default)]
    pub(super) struct H;

    #[command_handler(crate = super::facade)]
    impl H {
        #[execute]
        fn decide(&self, _: &A, _: &Do) -> Done {
            Done
        }
    }

    #[event_handler(crate = super::facade, name = "renamed", interested_in = [Done])]
    impl H {
        async fn on_done(&self, _: &Done) {}
    }

    #[derive(Default)]
    pub(super) struct P(super::facade::MemoryRows<u8, u8>);

    #[projection(crate = super::facade, name = "renamed-rows", interested_in = [Done])]
    impl P {
        fn rows(&self) -> &super::facade::MemoryRows<u8, u8> {
            &self.0
        }

        async fn on_done(&self, _: &Done) {}
    }

    application! {
        pub(super) struct App { crate: super::facade, routers: [R], event_handlers: [H], projections: [P] }
    }
}

#[tokio::test]
async fn the_path_is_the_users() {
    let app = user::App::builder(facade::MemoryStore::new()).start().await.unwrap();
    let receipt = app.dispatch(user::Do).await.unwrap();
    assert_eq!(receipt.events(), [user::Done.into()]);
    assert_eq!(user::Set::from(user::Done), user::Set::Done(user::Done));
    app.shutdown().await;
}
