//! All shapes that a decision may have, and what it may take.

use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Router)]
struct ShapeRouter;

application! {
    struct Shapes { routers: [ShapeRouter] }
}

#[derive(Debug, thiserror::Error, PartialEq)]
enum Refusal {
    #[error("no")]
    No,
    #[error(transparent)]
    Number(#[from] std::num::ParseIntError),
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Added(u64);

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Doubled;

macro_rules! commands {
    ($($name:ident)+) => {$(
        #[derive(Command, Serialize, Deserialize)]
        #[command(router = ShapeRouter, aggregate = Sum, identify_by = |_| "only")]
        struct $name;
    )+};
}

commands!(One Nothing Unit Maybe Array Pair Many Several Enum Fails Parses Emits Steps ByContext Lifetimes);

#[derive(Default, Clone, Debug, PartialEq)]
struct Sum(u64);

#[aggregate(error = Refusal)]
impl Sum {
    #[execute]
    fn one(&self, _: &One) -> Added {
        Added(1)
    }

    #[execute]
    fn nothing(&self, _command: &Nothing) {}

    #[execute]
    #[expect(clippy::unused_unit, reason = "the shape under test")]
    fn unit(&self, _command: &Unit) -> () {}

    #[execute]
    fn maybe(&self, _command: &Maybe) -> Option<Added> {
        (self.0 < 10).then_some(Added(10))
    }

    #[execute]
    fn array(&self, _command: &Array) -> [Added; 2] {
        [Added(1), Added(2)]
    }

    #[execute]
    fn pair(&self, _command: &Pair) -> Result<(Added, Option<Doubled>), Refusal> {
        Ok((Added(1), Some(Doubled)))
    }

    #[execute]
    fn many(&self, _command: &Many) -> Vec<Added> {
        vec![Added(1); 3]
    }

    #[execute]
    fn several(&self, _command: &Several) -> Events<Self> {
        Events::new().with(Added(3)).with(Doubled)
    }

    #[execute]
    fn of_enum(&self, _command: &Enum) -> SumEvent {
        SumEvent::Added(Added(7))
    }

    #[execute]
    fn fails(&self, _command: &Fails) -> Result<Added, Refusal> {
        Err(Refusal::No)
    }

    #[execute]
    fn parses(&self, _command: &Parses) -> Result<Added, std::num::ParseIntError> {
        "x".parse().map(Added)
    }

    #[execute]
    fn emits(&self, command: &Emits, emitter: &mut Emitter<'_, Self>) -> Option<Added> {
        let Emits = command;
        emitter.emit(Added(5));
        emitter.emit(Doubled);
        Some(Added(emitter.state().0))
    }

    #[execute]
    fn steps(
        &self,
        emitter: &mut Emitter<'_, Self>,
        context: &CommandContext,
        _: &Steps,
    ) -> Result<(), Refusal> {
        emitter.step(|_| Added(context.version + 1))?;
        emitter.step(|sum| Added(sum.0))
    }

    #[execute]
    fn by_context(&self, _command: &ByContext, context: &CommandContext) -> Added {
        Added(u64::from(context.attempt))
    }

    #[execute]
    fn lifetimes<'a>(&'a self, _command: &'a Lifetimes) -> Result<Added, Refusal> {
        Ok(Added(1))
    }

    #[apply]
    fn added(&mut self, event: &Added) {
        self.0 += event.0;
    }

    #[apply]
    fn doubled(&mut self, _: &Doubled) {
        self.0 *= 2;
    }
}

async fn events_of<C, Place>(command: C) -> Result<Vec<SumEvent>, DispatchError<Refusal>>
where
    C: Command<Aggregate = Sum>,
    <Shapes as Application>::Routers: cqrs::router::Contains<C::Router, Place>,
{
    let shapes = Shapes::builder(MemoryStore::new()).start().await.expect("the application starts");
    let result = shapes.dispatch(command).await;
    shapes.shutdown().await;
    result.map(Dispatched::into_events)
}

fn added(numbers: &[u64]) -> Vec<SumEvent> {
    numbers.iter().map(|number| Added(*number).into()).collect()
}

#[tokio::test]
async fn every_shape_gives_its_events() {
    assert_eq!(events_of(One).await.expect("the application starts"), added(&[1]));
    assert_eq!(events_of(Nothing).await.unwrap(), []);
    assert_eq!(events_of(Unit).await.unwrap(), []);
    assert_eq!(events_of(Maybe).await.unwrap(), added(&[10]));
    assert_eq!(events_of(Array).await.unwrap(), added(&[1, 2]));
    assert_eq!(events_of(Pair).await.unwrap(), [Added(1).into(), SumEvent::Doubled(Doubled)]);
    assert_eq!(events_of(Many).await.unwrap(), added(&[1, 1, 1]));
    assert_eq!(events_of(Several).await.unwrap(), [Added(3).into(), SumEvent::Doubled(Doubled)]);
    assert_eq!(events_of(Enum).await.unwrap(), added(&[7]));
    assert_eq!(events_of(Emits).await.unwrap(), [Added(5).into(), Doubled.into(), Added(10).into()]);
    assert_eq!(events_of(Steps).await.unwrap(), added(&[1, 1]));
    assert_eq!(events_of(ByContext).await.unwrap(), added(&[1]));
    assert_eq!(events_of(Lifetimes).await.unwrap(), added(&[1]));
}

#[tokio::test]
async fn refusals_keep_their_type() {
    use cqrs::dispatch::DispatchError::Rejected;
    assert!(matches!(events_of(Fails).await, Err(Rejected(Refusal::No))));
    assert!(matches!(events_of(Parses).await, Err(Rejected(Refusal::Number(_)))));
}

#[test]
fn names_default_to_those_of_the_type() {
    assert_eq!((Sum::NAME, Sum::STREAM_PREFIX, Shapes::NAME), ("Sum", "Sum", "Shapes"));
    assert_eq!((One::NAME, ShapeRouter::NAME), ("One", "ShapeRouter"));
}
