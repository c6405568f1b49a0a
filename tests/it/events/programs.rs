//! A program that cannot read what is stored, and the next one, which can: what was parked goes through the upcasters and
//! code of the day.

use std::convert::Infallible;

use cqrs::MemoryStore;
use cqrs::event::{EventSchema, Upcast, Upcaster};
use cqrs::prelude::*;
use cqrs::process_manager::Role;
use cqrs::testing::settle;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::domain::{Heard, ShopRouter, told};
use crate::handlers::domain::until;
use crate::support::log::{raw, write};

/// A program with a handler of each kind, which know the event in one shape.
macro_rules! program {
    ($program:ident { $($field:ident),* } $schema:expr) => {
        mod $program {
            use super::*;

            #[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
            pub struct Rated {
                $(pub $field: u64),*
            }

            impl Event for Rated {
                const SCHEMA: &'static EventSchema = &$schema;
            }

            cqrs::event::event_set_of_one!(Rated);

            pub struct Reviews(pub Heard);

            #[event_handler(name = "reviews", interested_in = [Rated], consistency = strong)]
            impl Reviews {
                async fn on_rated(&self, event: &Rated) -> Result<(), Infallible> {
                    self.0.hear(event)
                }
            }

            #[derive(Default, Serialize, Deserialize, Clone, Debug)]
            pub struct Judge {
                told: Vec<String>,
            }

            #[process_manager(name = "judge", interested_in = [Rated], consistency = strong)]
            impl Judge {
                #[on(with = whom)]
                fn rated(&mut self, event: &Rated) {
                    self.told.push(told(event));
                }
            }

            fn whom(_event: &Rated, context: &EventContext) -> Interest {
                Interest::of(Role::StartOrContinue, [context.aggregate_id()])
            }

            pub struct Ratings(pub MemoryRows<u64, String>);

            #[projection(name = "ratings", interested_in = [Rated], consistency = strong)]
            impl Ratings {
                fn rows(&self) -> &MemoryRows<u64, String> {
                    &self.0
                }

                fn on_rated(&self, event: &Rated, rows: &mut RowsMut<u64, String>, context: &ProjectionContext) {
                    rows.insert(context.position(), told(event));
                }
            }

            application! {
                pub struct Program {
                    routers: [ShopRouter],
                    process_managers: [Judge],
                }
            }

            pub async fn start(store: &MemoryStore, heard: &Heard, rows: &MemoryRows<u64, String>) -> Program {
                let builder = Program::builder(store.clone()).name("reviews").register_events::<Rated>();
                let builder = builder.event_handler(Reviews(heard.clone())).projection(Ratings(rows.clone()));
                builder.start().await.unwrap()
            }
        }
    };
}

program!(yesterday { stars } EventSchema::new("shop.Rated", 1));

// Reads the words, too, and knows out of how many stars there are.
program!(today { stars, of } EventSchema::new("shop.Rated", 2).upcasters(&[
    Upcaster::new(1, |rated| Ok(Upcast::Next(json!({ "stars": stars(&rated["stars"])?, "of": 5 }))))
]));

fn stars(value: &Value) -> Result<u64, cqrs::event::UpcastError> {
    match (value.as_u64(), value.as_str()) {
        (Some(stars), _) => Ok(stars),
        (None, Some("five")) => Ok(5),
        _ => Err(cqrs::event::UpcastError::new(format!("what is {value}?"))),
    }
}

/// What each handler has parked: its name, the key and the position.
async fn parked(program: &impl Application, names: &[&str]) -> Vec<(String, String, u64)> {
    let mut all = Vec::new();
    for name in names {
        for parked in program.handler(name).unwrap().parked(None, 10).await.unwrap() {
            all.push(((*name).to_owned(), parked.key, parked.position));
        }
    }
    all
}

const HANDLERS: [&str; 3] = ["reviews", "judge", "ratings"];

#[tokio::test]
async fn what_could_not_be_read_is_tried_again_by_the_code_of_the_day() {
    let (store, heard, rows) = (MemoryStore::new(), Heard::default(), MemoryRows::new());
    for data in [json!({ "stars": "five" }), json!({ "stars": 4 })] {
        write(&store, "shop-1", vec![raw("shop.Rated", 1, &data)]).await;
    }
    write(&store, "shop-2", vec![raw("shop.Rated", 1, &json!({ "stars": 3 }))]).await;
    let yesterday = yesterday::start(&store, &heard, &rows).await;
    settle(&yesterday).await;
    let waiting = HANDLERS.map(|name| (name.to_owned(), "shop-1".to_owned(), 1));
    assert_eq!(parked(&yesterday, &HANDLERS).await, waiting);
    assert_eq!((heard.take(), rows.len()), (vec!["Rated { stars: 3 }".to_owned()], 1), "others go on");
    yesterday.shutdown().await;

    let today = today::start(&store, &heard, &rows).await;
    settle(&today).await;
    assert_eq!(parked(&today, &HANDLERS).await, waiting, "nobody has asked for it");
    for name in HANDLERS {
        today.handler(name).unwrap().retry_parked("shop-1").await.unwrap();
    }
    until(async || parked(&today, &HANDLERS).await.is_empty().then_some(())).await;
    let expected = ["Rated { stars: 5, of: 5 }", "Rated { stars: 4, of: 5 }"];
    assert_eq!(heard.take(), expected);
    assert_eq!([rows.get(&1).unwrap(), rows.get(&2).unwrap()], expected);
    let judge = today.process_manager("judge").unwrap().instance("1").await.unwrap().unwrap();
    assert_eq!(judge.state, json!({ "told": expected }));
    today.shutdown().await;
}
