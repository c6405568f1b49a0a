use std::marker::PhantomData;

use crate::command::Command;
use crate::router::{Router, RouterDefinition};

/// A list of routers as a type: `()`, or `(First, Rest)` with a list as the rest.
pub trait RouterList: 'static {
    /// The definitions of the routers, in order.
    #[must_use]
    fn definitions() -> Vec<RouterDefinition>;
}

impl RouterList for () {
    fn definitions() -> Vec<RouterDefinition> {
        Vec::new()
    }
}

impl<R: Router, Rest: RouterList> RouterList for (R, Rest) {
    fn definitions() -> Vec<RouterDefinition> {
        let mut definitions = vec![R::definition()];
        definitions.extend(Rest::definitions());
        definitions
    }
}

/// Holds for a [`RouterList`] that has the router `R`, itself or inside a router that includes it: what makes
/// `dispatch` compile only for commands of listed routers. `Place` says where, and is inferred.
#[diagnostic::on_unimplemented(
    message = "the application does not list `{R}`, the router of this command: add it to `routers: [..]` in `application!`",
    label = "a command of `{R}`, which this application does not list"
)]
pub trait Contains<R, Place> {}

/// The router is the first one.
#[derive(Debug)]
pub struct Here;

/// The router is among the rest.
#[derive(Debug)]
pub struct There<Place>(PhantomData<Place>);

/// The router is included by the first one.
#[derive(Debug)]
pub struct Inside<Place>(PhantomData<Place>);

#[diagnostic::do_not_recommend]
impl<R, Rest> Contains<R, Here> for (R, Rest) {}

#[diagnostic::do_not_recommend]
impl<R, First, Rest, Place> Contains<R, There<Place>> for (First, Rest) where Rest: Contains<R, Place> {}

#[diagnostic::do_not_recommend]
impl<R, First: Router, Rest, Place> Contains<R, Inside<Place>> for (First, Rest) where
    First::Includes: Contains<R, Place>
{
}

/// Holds for a command whose router is in the [`RouterList`] `Routers`: [`Contains`], asked of the command.
/// Asked of the list, inference would take the router for one of the list before it knows the command, and
/// a command of another router would be a type mismatch without a cure.
pub trait CarriedBy<Routers, Place> {}

impl<C: Command, Routers: Contains<C::Router, Place>, Place> CarriedBy<Routers, Place> for C {}
