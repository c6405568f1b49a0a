//! Old events reach every kind of reader in their present shape: N-024, T-341 to T-343.

use std::collections::BTreeMap;

use chrono::DateTime;
use cqrs::MemoryStore;
use cqrs::prelude::*;
use cqrs::process_manager::Role;
use cqrs::store::{Snapshot, SnapshotStore as _};
use cqrs::testing::settle;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::domain::*;
use crate::support::log::{names_of, raw, stream, write};

type Stored = (&'static str, u32, Value);

/// Writes an event of old into each of the streams.
async fn past(store: &MemoryStore, events: impl IntoIterator<Item = (&str, Stored)>) {
    for (stream_id, (name, version, data)) in events {
        write(store, stream_id, vec![raw(name, version, &data)]).await;
    }
}

fn called(name: &str) -> Stored {
    ("shop.Called", 1, json!({ "name": name }))
}

/// Without a currency, in whole euros, under a name of old if told so.
fn priced(name: &'static str, euros: u64) -> Stored {
    (name, 1, json!({ "price": euros }))
}

fn ordered(lines: &[&str]) -> Stored {
    ("shop.Ordered", 1, json!({ "lines": lines }))
}

fn euros(euros: u64) -> String {
    told(&Priced { cents: euros * 100, currency: "EUR".to_owned() })
}

fn named(name: &str) -> String {
    told(&Named { name: name.to_owned() })
}

fn line(article: &str) -> String {
    told(&LineAdded { article: article.to_owned() })
}

/// Follows shops from their name on, and each article that is ordered, of which it names a shop.
#[derive(Default, Serialize, Deserialize, Clone, Debug)]
struct Clerk {
    told: Vec<String>,
}

#[process_manager(name = "clerk", interested_in = [Named, Priced, LineAdded], consistency = strong)]
impl Clerk {
    #[on(with = starts)]
    fn named(&mut self, event: &Named) {
        self.told.push(told(event));
    }

    #[on(with = continues)]
    fn priced(&mut self, event: &Priced) {
        self.told.push(told(event));
    }

    #[on(start_or_continue, by = article)]
    fn line_added(&mut self, event: &LineAdded, process: &mut Process) {
        self.told.push(told(event));
        process.send(name(&format!("of {}", event.article), &format!("line {}", self.told.len())));
    }
}

/// Shops that the clerk has named are none of its own.
fn starts(event: &Named, context: &EventContext) -> Interest {
    if event.name.starts_with("line") { Interest::none() } else { shop(Role::Start, context) }
}

fn continues(_event: &Priced, context: &EventContext) -> Interest {
    shop(Role::Continue, context)
}

fn shop(role: Role, context: &EventContext) -> Interest {
    Interest::of(role, [context.aggregate_id()])
}

application! {
    struct Clerks {
        routers: [ShopRouter],
        process_managers: [Clerk],
    }
}

async fn told_to(clerks: &Clerks, instance: &str) -> Vec<String> {
    let instance = clerks.process_manager("clerk").unwrap().instance(instance).await.unwrap();
    instance.map_or_else(Vec::new, |instance| serde_json::from_value::<Clerk>(instance.state).unwrap().told)
}

#[tokio::test]
async fn t_341_t_343_old_events_start_and_continue_processes() {
    let store = MemoryStore::new();
    let before =
        [called("corner"), priced("shop.Priced", 7), priced("shop.Tagged", 8), ordered(&["tea", "jam"])];
    past(&store, before.map(|event| ("shop-1", event))).await;
    let clerks = Clerks::builder(store.clone()).start().await.unwrap();
    settle(&clerks).await;
    assert_eq!(told_to(&clerks, "1").await, [named("corner"), euros(7), euros(8)]);
    assert_eq!(
        (told_to(&clerks, "tea").await, told_to(&clerks, "jam").await),
        (vec![line("tea")], vec![line("jam")])
    );

    // While it runs; one event may concern an instance twice.
    past(&store, [("shop-1", priced("shop.Priced", 9)), ("shop-2", ordered(&["tea", "gin", "tea"]))]).await;
    settle(&clerks).await;
    assert_eq!(told_to(&clerks, "1").await.last(), Some(&euros(9)));
    assert_eq!(told_to(&clerks, "tea").await, [line("tea"), line("tea"), line("tea")]);
    assert_eq!(told_to(&clerks, "gin").await, [line("gin")]);
    for (article, lines) in [("tea", 3), ("jam", 1), ("gin", 1)] {
        let sent = names_of(&store, &format!("shop-of {article}")).await;
        assert_eq!(sent.len(), lines, "{article}: a command for each line, also of one stored event");
    }
    clerks.shutdown().await;
}

/// Remembers what it was told, with snapshots.
#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
struct Shelf {
    told: Vec<String>,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = ShelfRouter, aggregate = Shelf, identify_by = id)]
struct Label {
    id: String,
    name: String,
}

#[aggregate(stream_prefix = "shelf", snapshot_every = 2)]
impl Shelf {
    #[execute]
    fn label(&self, command: &Label) -> Named {
        let name = command.name.clone();
        Named { name }
    }

    #[apply]
    fn named(&mut self, event: &Named) {
        self.told.push(told(event));
    }

    #[apply]
    fn priced(&mut self, event: &Priced) {
        self.told.push(told(event));
    }

    #[apply]
    fn ordered(&mut self, event: &Ordered) {
        self.told.push(told(event));
    }

    #[apply]
    fn line_added(&mut self, event: &LineAdded) {
        self.told.push(told(event));
    }
}

#[derive(Router)]
struct ShelfRouter;

application! {
    struct Shelves {
        routers: [ShelfRouter],
    }
}

// N-024: a state that no events make tells that the snapshot was used.
#[tokio::test]
async fn n_024_old_events_behind_a_snapshot_are_read_in_their_present_shape() {
    let store = MemoryStore::new();
    past(&store, [("shelf-1", called("a")), ("shelf-1", called("b"))]).await;
    let state = Shelf { told: vec!["what the snapshot says".to_owned()] };
    let snapshot = Snapshot {
        stream_id: stream("shelf-1"),
        version: 2,
        state_type: "Shelf".to_owned(),
        schema_version: 1,
        data: serde_json::to_vec(&state).unwrap().into(),
        created_at: DateTime::UNIX_EPOCH,
    };
    store.save_snapshot(snapshot).await.unwrap();
    let behind = [priced("shop.Tagged", 7), called("c"), ordered(&["tea", "jam"])];
    past(&store, behind.map(|event| ("shelf-1", event))).await;

    let ordered = told(&Ordered { lines: 2 });
    let mut expected = vec![state.told[0].clone(), euros(7), named("c"), ordered, line("tea"), line("jam")];
    let shelves = Shelves::builder(store.clone()).start().await.unwrap();
    let seen = shelves.aggregate_state::<Shelf>("1").await.unwrap();
    assert_eq!((seen.version, &seen.state.told), (5, &expected));
    let label = Label { id: "1".to_owned(), name: "d".to_owned() };
    let dispatched = shelves.dispatch(label).await.unwrap();
    expected.push(named("d"));
    assert_eq!((dispatched.version(), &dispatched.state().told), (6, &expected));
    shelves.shutdown().await;
    let taken = store.latest_snapshot(&stream("shelf-1")).await.unwrap().unwrap();
    assert_eq!(taken.version, 6);
    assert_eq!(serde_json::from_slice::<Shelf>(&taken.data).unwrap().told, expected);
}

/// What was said at each position.
type Lines = MemoryRows<u64, Vec<String>>;

macro_rules! list {
    ($list:ident, $($options:tt)*) => {
        #[derive(Clone, Default)]
        struct $list(Lines);

        #[projection(interested_in = [Named, Priced, LineAdded], $($options)*)]
        impl $list {
            fn rows(&self) -> &Lines {
                &self.0
            }

            fn on_named(&self, event: &Named, rows: &mut RowsMut<u64, Vec<String>>, context: &ProjectionContext) {
                rows.row(context.position()).push(told(event));
            }

            fn on_priced(&self, event: &Priced, rows: &mut RowsMut<u64, Vec<String>>, context: &ProjectionContext) {
                rows.row(context.position()).push(told(event));
            }

            fn on_line(&self, event: &LineAdded, rows: &mut RowsMut<u64, Vec<String>>, context: &ProjectionContext) {
                rows.row(context.position()).push(told(event));
            }
        }
    };
}

list!(List, name = "list", consistency = strong);
list!(SplitList, name = "split-list", rebuild_partitions = 4);
list!(InlineList, name = "inline-list", inline);

fn all(rows: &Lines) -> BTreeMap<u64, Vec<String>> {
    rows.read(|rows| rows.iter().map(|(position, lines)| (*position, lines.clone())).collect())
}

/// A past that has become something else by now, and the rows that it leads to.
async fn long_past(store: &MemoryStore) -> BTreeMap<u64, Vec<String>> {
    let mut expected = BTreeMap::new();
    for (round, first) in (0..50).zip((1..).step_by(4)) {
        let events = [
            called("corner"),
            priced("shop.Tagged", round),
            priced("shop.Priced", round),
            ordered(&["tea", "jam"]),
        ];
        past(store, events.map(|event| ("shop-1", event))).await;
        let rows =
            [vec![named("corner")], vec![euros(round)], vec![euros(round)], vec![line("tea"), line("jam")]];
        expected.extend((first..).zip(rows));
    }
    expected
}

#[tokio::test]
async fn n_024_a_rebuild_reads_old_events_in_their_present_shape() {
    let store = MemoryStore::new();
    let mut expected = long_past(&store).await;
    let (list, split) = (List::default(), SplitList::default());
    let shops = Shops::builder(store.clone()).event_handler(Listener::default());
    let shops = shops.projection(list.clone()).projection(split.clone()).start().await.unwrap();
    settle(&shops).await;
    assert_eq!(
        (all(&list.0), all(&split.0)),
        (expected.clone(), expected.clone()),
        "as they were first made"
    );
    for name in ["list", "split-list"] {
        let rebuild = shops.projection_named(name).unwrap().rebuild().await.unwrap();
        rebuild.switched().await.unwrap();
        assert_eq!(rebuild.generation(), 2, "{name}");
    }
    past(&store, [("shop-1", ordered(&["gin"]))]).await;
    expected.insert(201, vec![line("gin")]);
    settle(&shops).await;
    assert_eq!((all(&list.0), all(&split.0)), (expected.clone(), expected));
    shops.shutdown().await;
}

// On one thread nobody but the append makes up for what is missing, before it is over.
#[tokio::test]
async fn n_024_an_append_makes_up_for_old_events_in_their_present_shape() {
    let store = MemoryStore::new();
    let mut expected = long_past(&store).await;
    let list = InlineList::default();
    let shops = Shops::builder(store.clone()).event_handler(Listener::default()).projection(list.clone());
    let shops = shops.start().await.unwrap();
    settle(&shops).await;
    for event in [called("new"), priced("shop.Tagged", 7), ordered(&["gin", "rum"])] {
        past(&store, [("shop-2", event)]).await;
    }
    assert_eq!(all(&list.0), expected, "nobody has looked since");
    shops.dispatch(name("1", "corner")).await.unwrap();
    let rows = [vec![named("new")], vec![euros(7)], vec![line("gin"), line("rum")], vec![named("corner")]];
    expected.extend((201..).zip(rows));
    assert_eq!(all(&list.0), expected);
    shops.shutdown().await;
}
