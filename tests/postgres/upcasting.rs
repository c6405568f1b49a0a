//! Old events on Postgres: what was parked because it could not be read, and a rebuild, go through the upcasters of the day.

use std::convert::Infallible;

use cqrs::event::{EventSchema, Metadata, Upcast, Upcaster};
use cqrs::id::{CommandId, CorrelationId, EventId};
use cqrs::postgres::sqlx::{self, PgConnection};
use cqrs::postgres::{PostgresRows, PostgresStore};
use cqrs::prelude::*;
use cqrs::store::{Append, EventData, EventStore as _, ExpectedVersion, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::domain::{Desk, in_time, schema, store};

/// A program that knows the event in one shape.
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

            pub struct Reviews(mpsc::Sender<String>);

            #[event_handler(name = "reviews", interested_in = [Rated])]
            impl Reviews {
                async fn on_rated(&self, event: &Rated) -> Result<(), Infallible> {
                    self.0.send(format!("{event:?}")).await.unwrap();
                    Ok(())
                }
            }

            pub struct Ratings(PostgresRows);

            #[projection(name = "ratings", interested_in = [Rated])]
            impl Ratings {
                fn rows(&self) -> &PostgresRows {
                    &self.0
                }

                async fn create(&self, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
                    let create = "create table ratings (position bigint primary key, told text not null)";
                    sqlx::raw_sql(create).execute(rows).await.map(drop)
                }

                async fn on_rated(
                    &self,
                    event: &Rated,
                    rows: &mut PgConnection,
                    context: &ProjectionContext,
                ) -> Result<(), sqlx::Error> {
                    let insert = sqlx::query("insert into ratings values ($1, $2)");
                    let insert = insert.bind(context.position().cast_signed()).bind(format!("{event:?}"));
                    insert.execute(rows).await.map(drop)
                }
            }

            application! {
                pub struct Program {
                    routers: [Desk],
                }
            }

            pub async fn start(store: &PostgresStore, told: &mpsc::Sender<String>, rows: &PostgresRows) -> Program {
                let builder = Program::builder(store.clone()).name("reviews").register_events::<Rated>();
                let builder = builder.event_handler(Reviews(told.clone())).projection(Ratings(rows.clone()));
                builder.start().await.unwrap()
            }
        }
    };
}

program!(yesterday { stars } EventSchema::new("shop.Rated", 1));

// Reads the words, too, and knows out of how many stars there are.
program!(today { stars, of } EventSchema::new("shop.Rated", 2).upcasters(&[Upcaster::new(1, |rated| {
    let stars = if rated["stars"] == "five" { json!(5) } else { rated["stars"].clone() };
    Ok(Upcast::Next(json!({ "stars": stars, "of": 5 })))
})]));

async fn rate(store: &PostgresStore, stream_id: &str, stars: Value) {
    let event = EventData {
        event_id: EventId::new(),
        event_type: "shop.Rated".into(),
        schema_version: 1,
        data: json!({ "stars": stars }).to_string().into(),
        metadata: Metadata::new(),
        causation_id: CommandId::new().into(),
        correlation_id: CorrelationId::new(),
    };
    let stream_id = StreamId::new(stream_id).unwrap();
    let append = Append::to_stream(CommandId::new(), stream_id, ExpectedVersion::Any, vec![event]);
    store.append(append).await.unwrap();
}

/// Waits until both handlers have come to the end of the log and have parked so many keys.
async fn until_parked(program: &impl Application, count: usize) {
    in_time(async {
        loop {
            let statuses = program.handlers().await.unwrap();
            if statuses.iter().all(|status| (status.lag, status.parked) == (0, count)) {
                return;
            }
        }
    })
    .await;
}

async fn told(rows: &PostgresRows) -> Vec<String> {
    let schema = rows.schema_of("ratings");
    let select = format!("select told from {schema}.ratings order by position");
    sqlx::query_scalar(sqlx::AssertSqlSafe(select)).fetch_all(rows.pool()).await.unwrap()
}

#[tokio::test]
async fn n_024_what_was_parked_and_a_rebuild_go_through_the_upcasters_of_the_day() {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    let (told_by_handler, mut hear) = mpsc::channel(100);
    for (stream_id, stars) in [("shop-1", json!("five")), ("shop-1", json!(4)), ("shop-2", json!(3))] {
        rate(&store, stream_id, stars).await;
    }
    let yesterday = yesterday::start(&store, &told_by_handler, &rows).await;
    until_parked(&yesterday, 1).await;
    yesterday.shutdown().await;
    assert_eq!(told(&rows).await, ["Rated { stars: 3 }"]);
    assert_eq!(in_time(hear.recv()).await.unwrap(), "Rated { stars: 3 }");

    let today = today::start(&store, &told_by_handler, &rows).await;
    until_parked(&today, 1).await;
    for name in ["reviews", "ratings"] {
        today.handler(name).unwrap().retry_parked("shop-1").await.unwrap();
    }
    until_parked(&today, 0).await;
    let now = ["Rated { stars: 5, of: 5 }", "Rated { stars: 4, of: 5 }"];
    assert_eq!([in_time(hear.recv()).await.unwrap(), in_time(hear.recv()).await.unwrap()], now);
    assert_eq!(told(&rows).await, [now[0], now[1], "Rated { stars: 3 }"]);

    // The rows of yesterday's code are made anew by today's.
    let rebuild = today.projection_named("ratings").unwrap().rebuild().await.unwrap();
    in_time(rebuild.switched()).await.unwrap();
    assert_eq!(told(&rows).await, [now[0], now[1], "Rated { stars: 3, of: 5 }"]);
    assert!(hear.try_recv().is_err());
    today.shutdown().await;
}
