//! Routers that include routers.

use cqrs::MemoryStore;
use cqrs::aggregate::Execute;
use cqrs::application::{StartError, StartFault};
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "composite.Pinged")]
pub struct Pinged;

macro_rules! pings {
    ($($command:ident in $router:ident),*) => {
        $(
            #[derive(Command, Serialize, Deserialize, Clone, Debug)]
            #[command(router = $router, aggregate = Echo, identify_by = 0)]
            pub struct $command(pub u32);

            impl Execute<$command> for Echo {
                fn execute(
                    &self,
                    _command: &$command,
                    emitter: &mut Emitter<'_, Self>,
                    _context: &CommandContext,
                ) -> Result<(), Self::Error> {
                    emitter.emit(Pinged);
                    Ok(())
                }
            }
        )*
    };
}

pings!(PingInner in Inner, PingMiddle in Middle, PingOuter in Outer, PingSide in Side, PingTwin in Twins);

#[derive(Default, Clone, Debug)]
pub struct Echo {
    pings: u32,
}

#[aggregate]
impl Echo {
    #[apply]
    fn pinged(&mut self, _event: &Pinged) {
        self.pings += 1;
    }
}

#[derive(Router)]
pub struct Inner;

#[derive(Router)]
#[router(includes = [Inner])]
pub struct Middle;

#[derive(Router)]
#[router(includes = [Middle])]
pub struct Outer;

#[derive(Router)]
pub struct Side;

application! {
    pub struct Everything {
        routers: [Outer, Side],
    }
}

application! {
    pub struct InnerAlone {
        routers: [Inner],
    }
}

// T-050, T-054
#[tokio::test]
async fn t_054_a_router_carries_the_commands_of_the_routers_in_it() {
    let everything = Everything::builder(MemoryStore::new()).start().await.unwrap();
    assert_eq!(everything.commands(), ["PingInner", "PingMiddle", "PingOuter", "PingSide"]);
    everything.dispatch(PingInner(1)).await.unwrap();
    everything.dispatch(PingMiddle(1)).await.unwrap();
    everything.dispatch(PingOuter(1)).await.unwrap();
    let last = everything.dispatch(PingSide(1)).await.unwrap();
    assert_eq!((last.version(), last.state().pings), (4, 4));
    everything.shutdown().await;
}

#[tokio::test]
async fn t_055_a_router_serves_several_applications() {
    let everything = Everything::builder(MemoryStore::new()).start().await.unwrap();
    let alone = InnerAlone::builder(MemoryStore::new()).start().await.unwrap();
    assert_eq!(everything.dispatch(PingInner(1)).await.unwrap().version(), 1);
    assert_eq!(alone.dispatch(PingInner(1)).await.unwrap().version(), 1);
    assert_eq!(alone.commands(), ["PingInner"]);
    everything.shutdown().await;
    alone.shutdown().await;
}

// T-022, T-052: by name; by type, the compiler refuses it.
#[tokio::test]
async fn t_052_a_command_of_no_listed_router_is_unknown() {
    let alone = InnerAlone::builder(MemoryStore::new()).start().await.unwrap();
    let error = alone.dispatch_json("PingOuter", json!(1)).await.unwrap_err();
    assert!(
        matches!(&error, DispatchError::UnknownCommand { application, command } if application == "InnerAlone" && command == "PingOuter"),
        "{error:?}"
    );
    alone.shutdown().await;
}

/// Has the name of another command.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = Twins, aggregate = Echo, identify_by = 0, name = "PingTwin")]
pub struct PingOtherTwin(pub u32);

impl Execute<PingOtherTwin> for Echo {
    fn execute(
        &self,
        _command: &PingOtherTwin,
        _emitter: &mut Emitter<'_, Self>,
        _context: &CommandContext,
    ) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[derive(Router)]
pub struct Twins;

application! {
    pub struct Twice {
        routers: [Twins],
    }
}

application! {
    pub struct ListedTwice {
        routers: [Inner, Middle],
    }
}

async fn faults<A: Application>() -> Vec<StartFault> {
    match A::builder(MemoryStore::new()).start().await {
        Err(StartError::Invalid { faults, .. }) => faults,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("started"),
    }
}

// T-032
#[tokio::test]
async fn t_032_two_commands_of_one_name_are_refused_with_both_places() {
    let faults = faults::<Twice>().await;
    let [StartFault::DuplicateCommand { name: "PingTwin", first, second }] = &faults[..] else {
        panic!("{faults:?}");
    };
    assert!(first.contains("composite.rs:") && second.contains("composite.rs:"));
    assert_ne!(first, second);
}

// T-053
#[tokio::test]
async fn t_053_a_router_that_is_listed_and_included_is_refused() {
    assert_eq!(faults::<ListedTwice>().await, [StartFault::DuplicateRouter { name: "Inner" }]);
}
