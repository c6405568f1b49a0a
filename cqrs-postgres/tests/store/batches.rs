use cqrs_core::store::{AppendError, EventStore as _, ExpectedVersion, StoreError, StreamWrite};
use futures_util::future::join_all;

use crate::support::{append, assert_gapless, config, event, event_with, in_time, log, schema, store};
use cqrs_postgres::PostgresStore;

/// H19: appends that travel together have each their own result.
#[tokio::test]
async fn pg_116_of_a_hundred_appends_only_the_bad_ones_fail() {
    let schema = schema().await;
    let store = store(&schema).await;
    let taken = event(0);
    store.append(append("taken", vec![taken.clone()])).await.unwrap();
    let appends = (0..100).map(|number| match number {
        10 => {
            let mut conflict = append("s-10", vec![event(10)]);
            if let StreamWrite::Events { expected, .. } = &mut conflict.writes[0] {
                *expected = ExpectedVersion::Exact(5);
            }
            conflict
        }
        20 => append("s-20", vec![taken.clone()]),
        30 => append("s-30", vec![event_with("{\"text\":\"\\u0000\"}")]),
        number => append(&format!("s-{number}"), vec![event(number)]),
    });
    let appends: Vec<_> = appends.collect();
    let outcomes = in_time(join_all(appends.into_iter().map(|append| store.append(append)))).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        match number {
            10 => assert!(
                matches!(outcome, Err(AppendError::WrongExpectedVersion { actual: 0, .. })),
                "{outcome:?}"
            ),
            20 => assert!(
                matches!(outcome, Err(AppendError::DuplicateEvent { event_id }) if *event_id == taken.event_id),
                "{outcome:?}"
            ),
            30 => assert!(matches!(outcome, Err(AppendError::Store(StoreError::Failed(_)))), "{outcome:?}"),
            _ => assert!(outcome.is_ok(), "{number}: {outcome:?}"),
        }
    }
    let log = log(&store).await;
    assert_eq!(log.len(), 98);
    assert_gapless(&log);
}

/// H15: two events of one id that travel together: one of the appends is made.
#[tokio::test]
async fn pg_013_one_event_in_two_appends_at_once_is_written_once() {
    let schema = schema().await;
    let store = store(&schema).await;
    for round in 0..10 {
        let twin = event(round);
        let names = ["a", "b", "c"].map(|name| format!("{name}-{round}"));
        let outcomes =
            join_all(names.iter().map(|name| store.append(append(name, vec![twin.clone()])))).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    }
    assert_gapless(&log(&store).await);
}

/// H1: many writers on several stores of one schema, and a reader that polls: no hole, ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pg_111_a_reader_never_sees_a_hole() {
    const WRITERS: u64 = 32;
    const APPENDS: u64 = 20;
    let schema = schema().await;
    let nodes = join_all((0..4).map(|_| PostgresStore::connect(config(&schema).connections(2)))).await;
    let nodes: Vec<_> = nodes.into_iter().map(Result::unwrap).collect();
    let reader = tokio::spawn({
        let store = nodes[0].clone();
        async move {
            let (mut after, mut seen) = (0, 0);
            while seen < WRITERS * APPENDS * 2 {
                let page = store.read_log(after, &cqrs_core::store::EventFilter::all(), 100).await.unwrap();
                for event in page.events {
                    assert_eq!(event.position, seen + 1, "a position was passed over");
                    seen += 1;
                }
                after = page.read_to;
            }
        }
    });
    let writers = (0..WRITERS).map(|writer| {
        let store = nodes[usize::try_from(writer % 4).unwrap()].clone();
        tokio::spawn(async move {
            for number in 0..APPENDS {
                // Some at any version to shared streams, some that fail.
                let name = format!("s-{}", (writer + number) % 7);
                store.append(append(&name, vec![event(number), event(number)])).await.unwrap();
                let bad = append(&name, vec![event_with("no JSON")]);
                assert!(store.append(bad).await.is_err());
            }
        })
    });
    for writer in in_time(join_all(writers)).await {
        writer.unwrap();
    }
    in_time(reader).await.unwrap();
    assert_gapless(&log(&nodes[1]).await);
}

/// H10: whoever gives up waiting disturbs nobody who travels along.
#[tokio::test]
async fn pg_117_a_caller_that_gives_up_disturbs_nobody() {
    let schema = schema().await;
    let store = store(&schema).await;
    let mut waiting = Vec::new();
    for number in 0..50 {
        let append = append(&format!("s-{number}"), vec![event(number)]);
        let store = store.clone();
        let task = tokio::spawn(async move { store.append(append).await });
        if number % 3 == 0 {
            task.abort();
        } else {
            waiting.push(task);
        }
    }
    for task in waiting {
        in_time(task).await.unwrap().unwrap();
    }
    assert_gapless(&log(&store).await);
}

/// H8: what waits longer than the lock timeout for a transaction of the user is told so, with nothing written.
#[tokio::test]
async fn pg_118_a_log_that_is_locked_for_too_long_is_told() {
    let schema = schema().await;
    let store = PostgresStore::connect(config(&schema).lock_timeout(std::time::Duration::from_millis(20)))
        .await
        .unwrap();
    let mut holder = store.begin().await.unwrap();
    holder.append(append("held", vec![event(1)])).await.unwrap();
    let refused = in_time(store.append(append("s", vec![event(2)]))).await;
    assert!(matches!(refused, Err(AppendError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    holder.commit().await.unwrap();
    store.append(append("s", vec![event(3)])).await.unwrap();
    assert_eq!(log(&store).await.len(), 2);
}

#[tokio::test]
async fn pg_010_ten_thousand_events_in_one_append() {
    let schema = schema().await;
    let store = store(&schema).await;
    let written = store.append(append("s", (1..=10_000).map(event).collect())).await.unwrap();
    assert_eq!((written.position, written.streams[0].version), (10_000, 10_000));
    assert_gapless(&log(&store).await);
}

/// An outcome is kept for the retention time, and gone behind it; the events stay.
#[tokio::test]
async fn outcomes_are_kept_for_their_time() {
    let kept = crate::support::fresh(|schema| schema).await;
    let forgets = crate::support::fresh(|schema| schema.retention(std::time::Duration::ZERO)).await;
    for (store, removed) in [(kept, 0), (forgets, 2)] {
        let first = append("s", vec![event(1)]);
        store.append(first.clone()).await.unwrap();
        store.append(append("s", vec![event(2)])).await.unwrap();
        assert_eq!(store.forget_appends().await.unwrap(), removed);
        assert_eq!(store.outcome(first.id).await.unwrap().is_some(), removed == 0);
        assert_eq!(store.forget_appends().await.unwrap(), 0);
        assert_eq!(log(&store).await.len(), 2);
    }
}
