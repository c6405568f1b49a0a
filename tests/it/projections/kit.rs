//! The testing kit for projections: given events, then rows.

use super::domain::*;
use cqrs::testing::given_log;

fn noted(book: &str, text: &str) -> Noted {
    Noted { book: book.to_owned(), text: text.to_owned() }
}

#[tokio::test]
async fn events_are_given_and_rows_are_there() {
    let rows = Books::new();
    let notebooks = Notebooks::on(&rows);
    given_log()
        .events("book-a", [noted("a", "1"), noted("a", "2")])
        // Of no interest.
        .events("book-a", [Stamped { book: "a".to_owned() }])
        .events("book-b", [noted("b", "3")])
        .project(&notebooks)
        .await;
    assert_eq!((book(&rows, "a"), book(&rows, "b")), (texts(&["1", "2"]), texts(&["3"])));
    given_log().events("book-a", [noted("a", "4")]).project(&notebooks).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "2", "4"]), "a scenario goes on behind the one before");
}

#[tokio::test]
async fn what_fails_gives_its_error_and_leaves_no_rows() {
    let rows = Books::new();
    let notebooks = Notebooks::on(&rows).with_faults(&Faults::of("bad", Fault::Fail));
    let given = given_log().events("book-a", [noted("a", "1"), noted("a", "bad")]);
    assert_eq!(given.clone().project_in_vain(&notebooks).await, Broken("on purpose"));
    assert!(rows.is_empty());
    let failed =
        futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(given.project(&notebooks)));
    let panic = failed.await.unwrap_err().downcast::<String>().unwrap();
    assert!(panic.contains("kit.rs") && panic.contains("on purpose"), "{panic}");
}

#[tokio::test]
async fn time_and_metadata_are_given_too() {
    use chrono::DateTime;
    use cqrs::prelude::*;

    #[derive(Default)]
    struct Log {
        rows: MemoryRows<u64, (i64, String, u64)>,
    }

    #[projection(name = "log", interested_in = [Noted])]
    impl Log {
        fn rows(&self) -> &MemoryRows<u64, (i64, String, u64)> {
            &self.rows
        }

        fn on_noted(
            &self,
            _: &Noted,
            context: &ProjectionContext,
            rows: &mut RowsMut<u64, (i64, String, u64)>,
        ) {
            let actor = context.metadata().get("actor").map(ToString::to_string).unwrap_or_default();
            let version = context.stream_version();
            rows.insert(context.position(), (context.created_at().timestamp(), actor, version));
        }
    }

    let log = Log::default();
    given_log()
        .at(DateTime::UNIX_EPOCH)
        .events("book-a", [noted("a", "1")])
        .at(DateTime::from_timestamp(7, 0).unwrap())
        .metadata("actor", "u-7")
        .events("book-a", [noted("a", "2")])
        .project(&log)
        .await;
    assert_eq!(log.rows.get(&1), Some((0, String::new(), 1)));
    assert_eq!(log.rows.get(&2), Some((7, "\"u-7\"".to_owned(), 2)));
}
