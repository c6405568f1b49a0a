//! Following the head of the log.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::fixture::{Calls as _, append_of, event, events, one_to, positions, stream, to};
use crate::store::{EventFilter, ExpectedVersion, RecordedEvent, Store};

/// Reads behind `after`, waiting for the head to move, until `count` events were read.
async fn follow(store: &Arc<dyn Store>, after: u64, count: usize, page: usize) -> Vec<RecordedEvent> {
    let mut head = store.watch_head();
    let mut read: Vec<RecordedEvent> = Vec::new();
    while read.len() < count {
        let announced = *head.borrow_and_update();
        let after = read.last().map_or(after, |event| event.position);
        let next =
            store.read_log(after, &EventFilter::all(), page).await.expect("the log can be read").events;
        // The announcement was seen before the log was read: whatever it names must be there.
        let reached = next.last().map_or(after, |event| event.position);
        assert!(
            reached >= announced || next.len() == page,
            "position {announced} was announced, but only {reached} can be read"
        );
        if next.is_empty() {
            head.changed().await.expect("the store is there");
        }
        read.extend(next);
    }
    read
}

/// A reader that follows the head, while 20 writers append, misses nothing and sees nothing twice. (T-225,
/// T-244)
pub async fn n_039_a_reader_at_the_head_misses_nothing(store: Arc<dyn Store>) {
    const WRITERS: usize = 20;
    const APPENDS: usize = 25;
    const EVENTS: usize = WRITERS * APPENDS * 2;
    let mut readers = JoinSet::new();
    for page in [1, 7, 1_000] {
        let store = Arc::clone(&store);
        readers.spawn(async move { follow(&store, 0, EVENTS, page).await });
    }
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            let account = stream(&format!("account-{number}"));
            for _ in 0..APPENDS {
                store.write(&account, 2).await;
                // One that fails between them must not leave a hole.
                let refused = store.try_write(&account, ExpectedVersion::NoStream, events(1)).await;
                assert!(refused.is_err());
            }
        });
    }
    writers.join_all().await;
    for read in readers.join_all().await {
        assert_eq!(positions(&read), one_to(EVENTS as u64));
        for number in 0..WRITERS {
            let account = stream(&format!("account-{number}"));
            let of_account = read.iter().filter(|event| event.stream_id == account);
            let versions: Vec<u64> = of_account.map(|event| event.stream_version).collect();
            assert_eq!(versions, one_to(2 * APPENDS as u64));
        }
    }
}

/// A reader that begins behind a position gets what there is, and then what comes, once. (M-006, M-007)
pub async fn m_006_what_is_there_and_what_comes_is_read_once(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 5).await;
    let reader = {
        let store = Arc::clone(&store);
        let mut readers = JoinSet::new();
        readers.spawn(async move { follow(&store, 3, 7, 2).await });
        readers
    };
    for count in [1, 3, 1] {
        store.write(&account, count).await;
    }
    let read = reader.join_all().await.remove(0);
    assert_eq!(positions(&read), (4..=10).collect::<Vec<_>>());
}

/// An append wakes every receiver, those too that were made before the first append. (M-007)
pub async fn an_append_wakes_every_receiver(store: Arc<dyn Store>) {
    let mut receivers = [store.watch_head(), store.watch_head()];
    assert!(receivers.iter().all(|receiver| *receiver.borrow() == 0));
    for position in [2, 4] {
        store.write(&stream("account-1"), 2).await;
        for receiver in &mut receivers {
            let head = receiver.wait_for(|head| *head >= position).await;
            assert_eq!(*head.expect("the store is there"), position);
        }
    }
}

/// A receiver that comes later gets to know the head without a further append.
pub async fn a_later_receiver_learns_the_head(store: Arc<dyn Store>) {
    store.write(&stream("account-1"), 3).await;
    let mut receiver = store.watch_head();
    let head = receiver.wait_for(|head| *head >= 3).await;
    assert_eq!(*head.expect("the store is there"), 3);
}

/// An append to several streams is announced as a whole: whoever sees its end can read its beginning.
pub async fn an_append_is_announced_as_a_whole(store: Arc<dyn Store>) {
    const APPENDS: u64 = 50;
    let (first, second) = (stream("account-1"), stream("account-2"));
    let reader = Arc::clone(&store);
    let mut readers = JoinSet::new();
    readers.spawn(async move {
        let mut head = reader.watch_head();
        loop {
            let announced = *head.borrow_and_update();
            assert!(announced.is_multiple_of(2), "half of an append was announced");
            assert_eq!(reader.position().await % 2, 0, "half of an append can be seen");
            if announced == 2 * APPENDS {
                return;
            }
            head.changed().await.expect("the store is there");
        }
    });
    for _ in 0..APPENDS {
        let both = append_of([
            to(&first, ExpectedVersion::Any, vec![event(1)]),
            to(&second, ExpectedVersion::Any, vec![event(2)]),
        ]);
        store.append(both).await.expect("nothing is expected");
    }
    readers.join_all().await;
}
