//! Layers around commands: who may send them, how long they may take, what is kept when one is sent twice.
//!
//! Run it with `cargo run --example middleware`.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::time::Duration;

use cqrs::middleware::{
    Authorization, Authorize, Forbidden, Idempotency, MissingIdempotencyKey, RequestLog, TimeLimit,
    Validation,
};
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
struct SeatReserved {
    guest: String,
}

#[derive(Command, Serialize, Deserialize)]
#[command(router = Reservations, aggregate = Show, identify_by = show, validate)]
struct ReserveSeat {
    show: String,
    guest: String,
}

impl ReserveSeat {
    fn validate(&self) -> Result<(), ValidationErrors> {
        ValidationErrors::new().check(!self.guest.is_empty(), "guest", "must not be empty").into_result()
    }
}

#[derive(Default, Clone)]
struct Show {
    seats: u32,
}

#[aggregate(stream_prefix = "show")]
impl Show {
    #[execute]
    fn reserve(&self, command: &ReserveSeat) -> SeatReserved {
        SeatReserved { guest: command.guest.clone() }
    }

    #[apply]
    fn reserved(&mut self, _event: &SeatReserved) {
        self.seats += 1;
    }
}

// The router's layers lie inside those of the application. A command that is wrong by itself does not even
// reach the policy.
#[derive(Router)]
#[router(middleware = [Validation, Authorization<OnlyStaff>])]
struct Reservations;

struct OnlyStaff {
    staff: &'static [&'static str],
}

impl Authorize for OnlyStaff {
    async fn authorize(&self, context: &DispatchContext) -> Result<(), Forbidden> {
        let actor = context.metadata().get("actor").and_then(|actor| actor.as_str());
        match actor {
            Some(actor) if self.staff.contains(&actor) => Ok(()),
            Some(_) => Err(Forbidden::new("only staff reserves seats")),
            None => Err(Forbidden::new("who are you?")),
        }
    }
}

/// A layer of one's own: it leaves a greeting for the caller.
#[derive(Default)]
struct Greeter;

#[derive(Clone)]
struct Greeting(String);

impl Middleware for Greeter {
    async fn after_dispatch(&self, context: &mut DispatchContext, outcome: &DispatchOutcome) {
        let greeting = Greeting(format!("{} seats are taken", outcome.version));
        context.extensions_mut().insert(greeting);
    }
}

application! {
    /// Sells seats.
    struct Theatre {
        routers: [Reservations],
        middleware: [RequestLog, TimeLimit, Idempotency, Greeter],
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let theatre = Theatre::builder(MemoryStore::new())
        .middleware(TimeLimit::new(Duration::from_secs(2)))
        .middleware(Idempotency::required())
        .middleware(Authorization::new(OnlyStaff { staff: &["grace"] }))
        .start()
        .await?;
    let reserve = |guest: &str| ReserveSeat { show: "hamlet".to_owned(), guest: guest.to_owned() };

    let keyless = theatre.dispatch(reserve("Ada")).metadata("actor", "grace").await;
    match keyless {
        Err(DispatchError::Halted { source, .. }) if source.is::<MissingIdempotencyKey>() => {
            println!("refused: {source}");
        }
        other => return Err(format!("expected a refusal, got {other:?}").into()),
    }

    let stranger = theatre.dispatch(reserve("Ada")).idempotency_key("r-1").metadata("actor", "mallory").await;
    println!(
        "refused: {}",
        stranger
            .err()
            .and_then(|error| std::error::Error::source(&error).map(ToString::to_string))
            .unwrap_or_default()
    );

    for attempt in 1..=2 {
        let receipt =
            theatre.dispatch(reserve("Ada")).idempotency_key("r-1").metadata("actor", "grace").await?;
        let greeting = receipt.extensions().get::<Greeting>().map_or("", |greeting| &greeting.0);
        println!(
            "attempt {attempt}: version {}, repeated: {}, {greeting}",
            receipt.version(),
            receipt.is_repeated()
        );
    }
    theatre.shutdown().await;
    Ok(())
}
