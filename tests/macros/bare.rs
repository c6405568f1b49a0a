//! Without the implicit prelude: nothing that the macros make depends on names in scope.

#![no_implicit_prelude]

use ::serde::{Deserialize, Serialize};

#[derive(::cqrs::Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "BareDone", version = 2, upcast(1 => |value| value), aliases = ["Finished"])]
struct Done {
    what: u8,
}

use ::core::clone::Clone;
use ::core::cmp::PartialEq;
use ::core::fmt::Debug;

#[derive(::cqrs::EventSet, Clone, Debug, PartialEq)]
enum Set {
    Done(Done),
}

#[derive(::cqrs::Router)]
#[router(middleware = [::cqrs::middleware::RequestLog], timeout = "1s", consistency = ["bare"])]
struct R;

#[derive(::cqrs::Command, Serialize, Deserialize)]
#[command(router = R, aggregate = A, identify_by = what, prefix = "a", validate)]
struct Do {
    what: u8,
}

impl Do {
    fn validate(&self) -> ::core::result::Result<(), ::cqrs::command::ValidationErrors> {
        ::core::result::Result::Ok(())
    }
}

#[derive(::cqrs::Command, Serialize, Deserialize)]
#[command(router = R, aggregate = A, identify_by = |command| command.what, handler = H, prefix = prefix)]
struct Handle {
    what: u8,
}

fn prefix() -> &'static str {
    "b"
}

#[derive(::core::default::Default, Clone)]
struct A;

#[::cqrs::aggregate(lifespan = ::cqrs::aggregate::DefaultLifespan, mailbox = 5)]
impl A {
    #[execute]
    fn decide(&self, command: &Do) -> Done {
        Done { what: command.what }
    }

    #[apply]
    fn done(&mut self, event: &Done) {
        let _ = event;
    }

    #[before_execute]
    fn before(
        &self,
        _: &::cqrs::command::CommandContext,
    ) -> ::core::result::Result<(), ::core::convert::Infallible> {
        ::core::result::Result::Ok(())
    }
}

#[derive(::core::default::Default)]
struct H;

#[::cqrs::command_handler]
impl H {
    #[execute]
    async fn decide(&self, _: &A, command: &Handle) -> Done {
        Done { what: command.what }
    }
}

#[::cqrs::event_handler(name = "bare", interested_in = [Done], consistency = strong)]
impl H {
    async fn on_done(&self, _: &Done, _: &::cqrs::event::EventContext) {}

    async fn on_error(
        &self,
        _: &::cqrs::handler::HandlerFailure<::core::convert::Infallible>,
    ) -> ::cqrs::handler::ErrorAction {
        ::cqrs::handler::ErrorAction::Skip
    }
}

#[derive(::core::default::Default)]
struct P(::cqrs::MemoryRows<u64, u64>);

#[::cqrs::projection(name = "bare-rows", interested_in = [Done], version = 2, partition_by = what, consistency = strong)]
impl P {
    fn rows(&self) -> &::cqrs::MemoryRows<u64, u64> {
        &self.0
    }

    fn create(&self, _: &mut ::cqrs::RowsMut<u64, u64>) {}

    async fn on_done(
        &self,
        _: &Done,
        context: &::cqrs::projection::ProjectionContext,
        rows: &mut ::cqrs::RowsMut<u64, u64>,
    ) {
        rows.insert(context.position(), 1);
    }

    async fn on_error(
        &self,
        _: &::cqrs::projection::ProjectionFailure<::core::convert::Infallible>,
    ) -> ::cqrs::handler::ErrorAction {
        ::cqrs::handler::ErrorAction::Skip
    }
}

::cqrs::application! {
    struct App {
        routers: [R],
        event_handlers: [H],
        projections: [P],
        middleware: [::cqrs::middleware::RequestLog],
        timeout: never,
    }
}

#[::core::prelude::v1::test]
fn it_works_all_the_same() {
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let app = App::builder(::cqrs::MemoryStore::new()).start().await.unwrap();
        let receipt = app.dispatch(Do { what: 1 }).await.unwrap();
        ::core::assert_eq!(receipt.events(), [AEvent::Done(Done { what: 1 })]);
        let receipt = app.dispatch(Handle { what: 2 }).await.unwrap();
        ::core::assert_eq!(receipt.stream_id().as_str(), "b-2");
        let _ = Set::Done(Done { what: 1 });
        app.shutdown().await;
    });
}
