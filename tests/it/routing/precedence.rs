//! Options: the call's go before the command's, the router's, the application's, the framework's.

use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::aggregate::Execute;
use cqrs::middleware::Middleware;
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

use crate::support::store::{Act, ScriptedStore};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "precedence.Done")]
pub struct Done;

macro_rules! commands {
    ($($(#[$command:meta])* $name:ident),*) => {
        $(
            #[derive(Command, Serialize, Deserialize, Clone, Debug)]
            $(#[$command])*
            pub struct $name;

            impl Execute<$name> for Doer {
                fn execute(
                    &self,
                    _command: &$name,
                    emitter: &mut Emitter<'_, Self>,
                    _context: &CommandContext,
                ) -> Result<(), Self::Error> {
                    emitter.emit(Done);
                    Ok(())
                }
            }
        )*
    };
}

commands! {
    /// Says all by itself.
    #[command(router = Saying, aggregate = Doer, identify_by = |_| 1, timeout = "2s", consistency = eventual, retry_attempts = 2)]
    SayingCommand,

    /// Leaves all to its router.
    #[command(router = Saying, aggregate = Doer, identify_by = |_| 1)]
    SilentCommand,

    /// Its router says nothing, the one around it does.
    #[command(router = Silent, aggregate = Doer, identify_by = |_| 1)]
    OfSilentRouter,

    /// No router says anything.
    #[command(router = Alone, aggregate = Doer, identify_by = |_| 1)]
    OfLonelyRouter
}

#[derive(Default, Clone, Debug)]
pub struct Doer;

#[aggregate]
impl Doer {
    #[apply]
    fn done(&mut self, _event: &Done) {}
}

#[derive(Router)]
#[router(includes = [Silent], timeout = "3s", consistency = strong, retry_attempts = 3)]
pub struct Saying;

#[derive(Router)]
pub struct Silent;

#[derive(Router)]
pub struct Alone;

application! {
    pub struct SayingApplication {
        routers: [Saying, Alone],
        middleware: [Observe],
        timeout: "4s",
        retry_attempts: 4,
    }
}

application! {
    pub struct SilentApplication {
        routers: [Alone],
        middleware: [Observe],
    }
}

/// Tells the caller which options hold.
#[derive(Default)]
pub struct Observe;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Observed {
    timeout: Option<Duration>,
    consistency: Consistency,
}

impl Middleware for Observe {
    async fn before_dispatch(&self, context: &mut DispatchContext) -> Result<(), Halt> {
        let observed = Observed { timeout: context.timeout(), consistency: context.consistency().clone() };
        context.extensions_mut().insert(observed);
        Ok(())
    }
}

/// The dispatch must have had these options.
macro_rules! check {
    ($dispatch:expr, $seconds:expr, $consistency:expr) => {
        let dispatched = $dispatch.await.unwrap();
        let expected = Observed { timeout: $seconds.map(Duration::from_secs), consistency: $consistency };
        assert_eq!(dispatched.extensions().get::<Observed>(), Some(&expected));
    };
}

// L-015
#[tokio::test]
async fn the_innermost_level_that_says_something_wins() {
    let saying = SayingApplication::builder(MemoryStore::new()).start().await.unwrap();
    let call = || saying.dispatch(SayingCommand);
    check!(call().timeout(Duration::from_secs(1)).consistency(Strong), Some(1), Strong);
    check!(call().no_timeout(), None, Eventual);
    check!(call(), Some(2), Eventual);
    check!(saying.dispatch(SilentCommand), Some(3), Strong);
    check!(saying.dispatch(OfSilentRouter), Some(3), Strong);
    check!(saying.dispatch(OfLonelyRouter), Some(4), Eventual);
    saying.shutdown().await;

    let silent = SilentApplication::builder(MemoryStore::new()).start().await.unwrap();
    check!(silent.dispatch(OfLonelyRouter), Some(5), Eventual);
    silent.shutdown().await;
}

/// The dispatch must be executed this often, and give up then.
macro_rules! attempts {
    ($store:ident, $dispatch:expr, $attempts:expr) => {
        $store.then((0..$attempts).map(|_| {
            Act::After(crate::support::log::append_to(
                "Doer-1",
                vec![crate::support::log::raw("precedence.Done", 1, &serde_json::Value::Null)],
            ))
        }));
        match $dispatch.await {
            Err(DispatchError::TooManyAttempts { attempts, .. }) => assert_eq!(attempts, $attempts),
            other => panic!("{other:?}"),
        }
    };
}

#[tokio::test(start_paused = true)]
async fn retry_attempts_have_the_same_levels() {
    let store = ScriptedStore::default();
    let saying = SayingApplication::builder(store.clone()).start().await.unwrap();
    attempts!(store, saying.dispatch(SayingCommand).retry_attempts(1), 2);
    attempts!(store, saying.dispatch(SayingCommand), 3);
    attempts!(store, saying.dispatch(SilentCommand), 4);
    attempts!(store, saying.dispatch(OfLonelyRouter), 5);
    saying.shutdown().await;

    let store = ScriptedStore::default();
    let silent = SilentApplication::builder(store.clone()).start().await.unwrap();
    attempts!(store, silent.dispatch(OfLonelyRouter), 11);
    silent.shutdown().await;
}
