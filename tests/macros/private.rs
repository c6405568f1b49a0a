//! All types private, declared inside of a function even.

#![deny(warnings)]

use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

pub(crate) mod inner {
    use super::*;

    #[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
    struct Hidden;

    #[derive(Default, Clone)]
    pub(crate) struct Shown;

    #[aggregate]
    impl Shown {
        #[apply]
        fn hidden(&mut self, _: &Hidden) {}
    }
}

#[tokio::test]
async fn types_inside_of_a_function() {
    #[derive(Router)]
    struct Inner;

    #[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
    struct Happened;

    #[derive(Command, Serialize, Deserialize)]
    #[command(router = Inner, aggregate = Local, identify_by = |_| 1)]
    struct Happen;

    #[derive(Default, Clone)]
    struct Local;

    #[aggregate]
    impl Local {
        #[execute]
        fn happen(&self, _: &Happen) -> Happened {
            Happened
        }

        #[apply]
        fn happened(&mut self, _: &Happened) {}
    }

    #[derive(Default)]
    struct Reaction;

    #[event_handler(name = "inside", interested_in = [Happened])]
    impl Reaction {
        async fn on_happened(&self, _: &Happened) {}
    }

    application! {
        struct Whole { routers: [Inner], event_handlers: [Reaction] }
    }

    let whole = Whole::builder(MemoryStore::new()).start().await.unwrap();
    assert_eq!(whole.dispatch(Happen).await.unwrap().events(), [Happened.into()]);
    whole.shutdown().await;
    let _ = inner::Shown;
}
