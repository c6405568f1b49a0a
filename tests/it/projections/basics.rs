//! Rows, and how far they are made.

use super::domain::*;
use cqrs::application::StartError;
use cqrs::prelude::*;
use cqrs::projection::{GenerationState, RowStore as _};
use cqrs::testing::settle;

/// Makes a row of every event that it knows of.
#[derive(Default)]
pub struct Positions {
    rows: MemoryRows<u64, &'static str>,
}

#[projection(name = "positions", interested_in = [Noted, Stamped], consistency = strong)]
impl Positions {
    fn rows(&self) -> &MemoryRows<u64, &'static str> {
        &self.rows
    }

    fn on_noted(&self, _: &Noted, rows: &mut RowsMut<u64, &'static str>, context: &ProjectionContext) {
        rows.insert(context.position(), "noted");
    }

    fn stamped(&self, _: &Stamped, context: &ProjectionContext, rows: &mut RowsMut<u64, &'static str>) {
        rows.insert(context.position(), "stamped");
    }
}

/// E-096, T-420, T-422: events of two types lead to rows; what the projection is not interested in leads to none, and
/// counts as projected.
#[tokio::test]
async fn t_420_t_422_each_event_leads_to_its_rows() {
    let (positions, rows) = (Positions::default(), Books::new());
    let all = positions.rows.clone();
    let desk = Desk::builder(MemoryStore::new()).projection(positions).projection(Notebooks::on(&rows));
    let desk = desk.start().await.unwrap();
    desk.dispatch(note("a", "1")).consistency(Strong).await.unwrap();
    desk.dispatch(Stamp { book: "a".to_owned() }).consistency(Strong).await.unwrap();
    desk.dispatch(note("b", "2")).consistency(Strong).await.unwrap();
    desk.dispatch(Stamp { book: "b".to_owned() }).consistency(Strong).await.unwrap();
    let found: Vec<_> = all.read(|rows| rows.iter().map(|(key, row)| (*key, *row)).collect());
    assert_eq!(found, [(1, "noted"), (2, "stamped"), (3, "noted"), (4, "stamped")]);
    assert_eq!((book(&rows, "a"), book(&rows, "b")), (texts(&["1"]), texts(&["2"])));
    settle(&desk).await;
    assert_eq!(until_caught_up(&desk, "notebooks").await.position, 4);
    desk.shutdown().await;
    assert_eq!(rows.generations("notebooks").await.unwrap()[0].position, 4, "with what led to no rows");
}

/// E-097, N-38: after a restart the projection goes on where its rows are made, and repeats nothing.
#[tokio::test]
async fn n_038_a_restart_goes_on_where_the_rows_are_made() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    for round in ["1", "2", "3"] {
        let desk = desk(&store, Notebooks::on(&rows)).await;
        take_notes(&desk, &[("a", round)]).await;
        desk.shutdown().await;
    }
    assert_eq!(book(&rows, "a"), texts(&["1", "2", "3"]));
    assert_eq!(generations(&rows).await, [(1, 1, GenerationState::Active)]);
}

/// E-095: a projection says which events it is interested in.
#[test]
fn e_095_a_projection_tells_its_event_types() {
    let names: Vec<_> =
        <Positions as Projection>::Event::schemas().iter().map(|schema| schema.name).collect();
    assert_eq!(names, ["desk.Noted", "desk.Stamped"]);
}

/// Keeps the latest note of each book, and nothing once somebody stamps the book "all".
#[derive(Default)]
struct Latest(MemoryRows<String, String>);

#[projection(name = "latest", interested_in = [Noted, Stamped])]
impl Latest {
    fn rows(&self) -> &MemoryRows<String, String> {
        &self.0
    }

    fn on_noted(&self, event: &Noted, rows: &mut RowsMut<String, String>) {
        rows.insert(event.book.clone(), event.text.clone());
    }

    fn on_stamped(&self, event: &Stamped, rows: &mut RowsMut<String, String>) {
        let keys: Vec<_> = rows.iter().map(|(book, _)| book.clone()).collect();
        for book in keys.into_iter().filter(|book| event.book == "all" || *book == event.book) {
            rows.remove(book);
        }
    }
}

/// E-091, E-092, E-099, E-100, E-101: rows are looked up, listed as a whole and by the beginning of their key, changed,
/// removed and cleared, and whoever holds the same rows sees the same.
#[tokio::test]
async fn e_099_rows_are_looked_up_listed_and_cleared() {
    let latest = Latest::default();
    let rows = latest.0.clone();
    let log = |noted: &[(&str, &str)], stamped: &str| {
        let note = |(book, text): &(&str, &str)| Noted { book: (*book).to_owned(), text: (*text).to_owned() };
        let stamp = Stamped { book: stamped.to_owned() };
        cqrs::testing::given_log().events("book-a", noted.iter().map(note)).events("book-a", [stamp])
    };
    log(&[("a-1", "1"), ("b-1", "2"), ("a-2", "3"), ("a-1", "4")], "none").project(&latest).await;
    assert_eq!((rows.get("a-1"), rows.get("nobody")), (Some("4".to_owned()), None));
    assert_eq!(rows.snapshot().keys().collect::<Vec<_>>(), ["a-1", "a-2", "b-1"]);
    let of_a = rows.read(|rows| {
        let from = rows.range("a-".to_owned()..);
        from.take_while(|(book, _)| book.starts_with("a-")).map(|(_, text)| text.clone()).collect::<Vec<_>>()
    });
    assert_eq!(of_a, ["4", "3"]);
    log(&[("a-2", "5")], "a-1").project(&latest).await;
    assert_eq!((rows.get("a-1"), rows.get("a-2"), latest.0.len()), (None, Some("5".to_owned()), 2));
    log(&[], "all").project(&latest).await;
    assert!(rows.is_empty() && latest.0.is_empty());
}

/// EV-81: where the rows are lost, they are made anew from the first event on, whatever the log's store knows.
#[tokio::test]
async fn ev_081_rows_that_are_lost_are_made_anew() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let first = desk(&store, Notebooks::on(&rows)).await;
    take_notes(&first, &[("a", "1"), ("a", "2")]).await;
    first.shutdown().await;
    let rows = Books::new();
    let second = desk(&store, Notebooks::on(&rows)).await;
    take_notes(&second, &[("a", "3")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "2", "3"]));
    second.shutdown().await;
}

/// Rows that are made of one log are not continued with the events of another one.
#[tokio::test]
async fn rows_of_another_log_are_left_alone() {
    let rows = Books::new();
    let first = desk(&MemoryStore::new(), Notebooks::on(&rows)).await;
    take_notes(&first, &[("a", "1"), ("a", "2")]).await;
    first.shutdown().await;
    let other = MemoryStore::new();
    past(&other, 5).await;
    let second = desk(&other, Notebooks::on(&rows)).await;
    let failed = until_state(&second, "notebooks", cqrs::handler::HandlerState::Failed).await;
    assert!(failed.last_error.unwrap().contains("another log"));
    assert_eq!(book(&rows, "a"), texts(&["1", "2"]));
    second.shutdown().await;
}

/// A log that is shorter than the rows say has lost events.
#[tokio::test]
async fn rows_that_are_ahead_of_their_log_stop_the_projection() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let first = desk(&store, Notebooks::on(&rows)).await;
    take_notes(&first, &[("a", "1")]).await;
    first.shutdown().await;
    let place = cqrs::projection::RowPlace { projection: "notebooks".into(), generation: 1, epoch: 1_000 };
    use cqrs::projection::RowTransaction as _;
    rows.claim(&place).await.unwrap();
    let transaction = rows.begin(&place).await.unwrap();
    transaction.commit(1, cqrs::store::HandlerCommit::new().position(99)).await.unwrap();
    let place = cqrs::projection::RowPlace { epoch: 0, ..place };
    drop(place);
    let second = desk(&store, Notebooks::on(&rows)).await;
    let status = until(async || {
        let status = status(&second, "notebooks").await;
        status.last_error.is_some().then_some(status)
    });
    let error = status.await.last_error.unwrap();
    assert!(error.contains("99"), "{error}");
    second.shutdown().await;
}

/// T-424: what is missing is told at the start, and how to give it.
#[tokio::test]
async fn t_424_a_projection_without_an_instance_is_told_at_the_start() {
    struct Needy(Books);

    #[projection(name = "needy", interested_in = [Noted])]
    impl Needy {
        fn rows(&self) -> &Books {
            &self.0
        }

        fn on_noted(&self, _: &Noted) {}
    }

    application! {
        pub struct Office {
            routers: [DeskRouter],
            projections: [Needy, Positions],
        }
    }
    let error = Office::builder(MemoryStore::new()).start().await.unwrap_err();
    let StartError::Invalid { faults, .. } = &error else { panic!("{error:?}") };
    assert_eq!(faults.len(), 1, "{error}");
    assert!(error.to_string().contains("projection"), "{error}");
    assert!(error.to_string().contains(".projection("), "{error}");
    let office = Office::builder(MemoryStore::new()).projection(Needy(Books::new())).start().await.unwrap();
    let names: Vec<_> = office.handlers().await.unwrap().into_iter().map(|status| status.name).collect();
    assert_eq!(names, ["needy", "positions"], "and nothing of what works behind them");
    office.shutdown().await;
}

/// Two projections of one name are told at the start.
#[tokio::test]
async fn names_are_unique_among_projections_and_handlers() {
    let rows = Books::new();
    let twice = Desk::builder(MemoryStore::new())
        .projection(Notebooks::on(&rows))
        .projection_as("notebooks", Notebooks::on(&Books::new()));
    assert!(twice.start().await.unwrap_err().to_string().contains("notebooks"));
}

/// T-428: projections of one type under names of their own have positions of their own.
#[tokio::test]
async fn t_428_several_projections_of_one_type() {
    let (store, first, second) = (MemoryStore::new(), Books::new(), Books::new());
    let build = |names: &[&str]| {
        let rows = [first.clone(), second.clone()];
        names.iter().zip(rows).fold(Desk::builder(store.clone()), |desk, (name, rows)| {
            desk.projection_as(name, Notebooks::on(&rows))
        })
    };
    let desk = build(&["one"]).start().await.unwrap();
    take_notes(&desk, &[("a", "1")]).await;
    desk.shutdown().await;
    let desk = build(&["one", "two"]).start().await.unwrap();
    take_notes(&desk, &[("a", "2")]).await;
    assert_eq!((book(&first, "a"), book(&second, "a")), (texts(&["1", "2"]), texts(&["1", "2"])));
    assert!(desk.projection::<Notebooks>().is_none(), "it has another name here");
    assert_eq!(desk.projection_named("two").unwrap().name(), "two");
    desk.shutdown().await;
}

/// Two projections do not share rows by accident.
#[tokio::test]
async fn rows_belong_to_one_projection() {
    let rows = Books::new();
    let desk = Desk::builder(MemoryStore::new())
        .projection_as("one", Notebooks::on(&rows))
        .projection_as("two", Notebooks::on(&rows))
        .start()
        .await
        .unwrap();
    let error = until(async || {
        let all = desk.handlers().await.unwrap();
        all.into_iter().find_map(|status| status.last_error)
    });
    assert!(error.await.contains("rows of its own"));
    desk.shutdown().await;
}

/// C-44: a projection is there once, also when it is both listed and given.
#[tokio::test]
async fn c_044_a_projection_that_is_listed_and_given_runs_once() {
    application! {
        pub struct Office {
            routers: [DeskRouter],
            projections: [Notebooks],
        }
    }
    let rows = Books::new();
    let office = Office::builder(MemoryStore::new()).projection(Notebooks::on(&rows)).start().await.unwrap();
    office.dispatch(note("a", "1")).consistency(Strong).await.unwrap();
    assert_eq!(office.handlers().await.unwrap().len(), 1);
    assert_eq!(book(&rows, "a"), texts(&["1"]));
    office.shutdown().await;
}

/// A snapshot stays as it is, whatever is written.
#[tokio::test]
async fn a_snapshot_of_rows_does_not_change() {
    let rows = Books::new();
    let desk = desk(&MemoryStore::new(), Notebooks::on(&rows)).await;
    take_notes(&desk, &[("a", "1")]).await;
    let before = rows.snapshot();
    take_notes(&desk, &[("a", "2"), ("b", "1")]).await;
    assert_eq!((before.len(), before["a"].len()), (1, 1));
    assert_eq!((rows.len(), rows.is_empty()), (2, false));
    desk.shutdown().await;
}
