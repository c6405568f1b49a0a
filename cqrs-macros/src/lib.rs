//! Derive and attribute macros of the cqrs framework. Use them through the facade crate `cqrs`.

mod aggregate;
mod application;
mod command;
mod command_handler;
mod event;
mod event_handler;
mod event_set;
mod process_manager;
mod projection;
mod router;
mod shared;

use proc_macro::TokenStream;

#[doc = include_str!("docs/event.md")]
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    event::derive(input.into()).into()
}

#[doc = include_str!("docs/event_set.md")]
#[proc_macro_derive(EventSet, attributes(event_set))]
pub fn derive_event_set(input: TokenStream) -> TokenStream {
    event_set::derive(input.into()).into()
}

#[doc = include_str!("docs/command.md")]
#[proc_macro_derive(Command, attributes(command))]
pub fn derive_command(input: TokenStream) -> TokenStream {
    command::derive(input.into()).into()
}

#[doc = include_str!("docs/router.md")]
#[proc_macro_derive(Router, attributes(router))]
pub fn derive_router(input: TokenStream) -> TokenStream {
    router::derive(input.into()).into()
}

#[doc = include_str!("docs/aggregate.md")]
#[proc_macro_attribute]
pub fn aggregate(keys: TokenStream, item: TokenStream) -> TokenStream {
    aggregate::attribute(keys.into(), item.into()).into()
}

#[doc = include_str!("docs/command_handler.md")]
#[proc_macro_attribute]
pub fn command_handler(keys: TokenStream, item: TokenStream) -> TokenStream {
    command_handler::attribute(keys.into(), item.into()).into()
}

#[doc = include_str!("docs/event_handler.md")]
#[proc_macro_attribute]
pub fn event_handler(keys: TokenStream, item: TokenStream) -> TokenStream {
    event_handler::attribute(keys.into(), item.into()).into()
}

#[doc = include_str!("docs/projection.md")]
#[proc_macro_attribute]
pub fn projection(keys: TokenStream, item: TokenStream) -> TokenStream {
    projection::attribute(keys.into(), item.into()).into()
}

#[doc = include_str!("docs/process_manager.md")]
#[proc_macro_attribute]
pub fn process_manager(keys: TokenStream, item: TokenStream) -> TokenStream {
    process_manager::attribute(keys.into(), item.into()).into()
}

#[doc = include_str!("docs/application.md")]
#[proc_macro]
pub fn application(input: TokenStream) -> TokenStream {
    application::application(input.into()).into()
}
