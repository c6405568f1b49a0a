//! Handlers that come and go while the application runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::domain::*;
use super::partitions::Divided;
use crate::applications::faulty_store::{Call, Fault, FaultyStore};
use crate::process_managers::domain::{Do, Done, JobRouter};
use crate::projections::domain::{Books, Notebooks, book, until_active};
use crate::projections::inline::Inline;
use crate::publishers::domain::{NAME as PUBLISHER, broker_of, check_messages};
use crate::support::gate::Gate;
use cqrs::MemoryStore;
use cqrs::application::{
    AddHandlerError, ApplicationState, Config, RemoveHandlerError, StartError, StartFault,
};
use cqrs::event::EventSchema;
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::testing::settle;
use tokio::sync::Notify;
use tokio::task::JoinSet;

fn careful() -> Consistency {
    Consistency::Handlers(vec!["careful".into()])
}

async fn empty_desk(store: &MemoryStore) -> Desk {
    Desk::builder(store.clone()).start().await.unwrap()
}

/// A handler that is interested in other events than those that are added.
struct Stamps;

#[event_handler(name = "stamps", interested_in = [Stamped])]
impl Stamps {
    fn on_stamped(&self, _event: &Stamped) {}
}

/// Does not prepare itself before the gate lets it.
struct Prepared(Gate, Script);

#[event_handler(name = "prepared", interested_in = [Noted])]
impl Prepared {
    async fn init(&self) -> Result<(), Broken> {
        self.0.pass().await;
        Ok(())
    }

    async fn on_noted(&self, event: &Noted, context: &EventContext) -> Result<(), Broken> {
        self.1.run(event.clone(), context.clone()).await
    }
}

/// Has writers note down, side by side, until told to stop.
struct Writers {
    is_over: Arc<AtomicBool>,
    tasks: JoinSet<usize>,
}

impl Writers {
    fn start(desk: &Desk) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for writer in 0..4 {
            let (desk, is_over) = (desk.clone(), Arc::clone(&is_over));
            tasks.spawn(async move {
                let mut written = 0;
                while !is_over.load(Ordering::SeqCst) {
                    desk.dispatch(note(&format!("book{writer}"), written.to_string())).await.unwrap();
                    desk.dispatch(Stamp { book: format!("stamps{writer}") }).await.unwrap();
                    written += 1;
                }
                written
            });
        }
        Self { is_over, tasks }
    }

    async fn stop(self) -> usize {
        self.is_over.store(true, Ordering::SeqCst);
        self.tasks.join_all().await.into_iter().sum()
    }
}

/// The positions of all notes in the log.
async fn notes(store: &MemoryStore) -> Vec<u64> {
    let notes = log(store).await.into_iter().filter(|event| event.event_type == "desk.Noted");
    notes.map(|event| event.position).collect()
}

/// What came is every note from the first one that came on, once and in order.
async fn check_gapless(store: &MemoryStore, positions: &[u64]) {
    let notes = notes(store).await;
    let begin = notes.partition_point(|position| position < positions.first().unwrap_or(&u64::MAX));
    assert_eq!(positions, &notes[begin..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g_005_handlers_that_are_added_while_events_are_written_miss_none() {
    let store = MemoryStore::new();
    let desk = Desk::builder(store.clone()).event_handler(Stamps).start().await.unwrap();
    let writers = Writers::start(&desk);
    let mut inboxes = Vec::new();
    for index in 0..20 {
        let (script, inbox) = Script::telling();
        let from_origin = index % 2 == 0;
        let name = format!("added-{index}");
        let before = log(&store).await.len() as u64;
        match from_origin {
            true => desk.add_event_handler_as(&name, Eager(script)).await.unwrap(),
            false => desk.add_event_handler_as(&name, Newcomer(script)).await.unwrap(),
        };
        let after = log(&store).await.len() as u64;
        inboxes.push((name, inbox, if from_origin { 0..=0 } else { before..=after }));
        // Some while the tail reads for others, some while it has just gone on.
        tokio::task::yield_now().await;
    }
    writers.stop().await;
    settle(&desk).await;
    for (name, mut inbox, begins) in inboxes {
        let positions = inbox.positions();
        check_gapless(&store, &positions).await;
        let notes = notes(&store).await;
        let mut earlier =
            notes.iter().rev().filter(|note| positions.first().is_none_or(|first| *note < first));
        let earlier = earlier.next().copied().unwrap_or(0);
        assert!(earlier <= *begins.end(), "{name} began behind {earlier}, and was added in {begins:?}");
    }
    assert!(desk.shutdown().await.is_clean());
}

#[tokio::test]
async fn what_the_tail_was_reading_when_a_handler_came_is_read_again_for_it() {
    let store = FaultyStore::default();
    let desk = Desk::builder(store.clone()).event_handler(Stamps).start().await.unwrap();
    // The tail has looked once.
    settle(&desk).await;
    until(async || (store.calls(Call::ReadLog) > 0).then_some(())).await;
    let (go_on, before) = (Arc::new(Notify::new()), store.calls(Call::ReadLog));
    store.fail(Call::ReadLog, Fault::Hold(Arc::clone(&go_on)), 1);
    // It reads this page for those alone who want stamps.
    desk.dispatch(note("a", "1")).await.unwrap();
    until(async || (store.calls(Call::ReadLog) > before).then_some(())).await;
    let (script, mut inbox) = Script::telling();
    desk.add_event_handler(Eager(script)).await.unwrap();
    go_on.notify_one();
    assert_eq!(inbox.texts(1).await, ["1"]);
    desk.dispatch(note("a", "2")).await.unwrap();
    settle(&desk).await;
    assert_eq!(inbox.rest(), ["2"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn what_the_tail_has_passed_over_comes_to_a_handler_that_is_added() {
    let store = MemoryStore::new();
    let desk = Desk::builder(store.clone()).event_handler(Stamps).start().await.unwrap();
    for text in ["1", "2", "3"] {
        desk.dispatch(note("a", text)).await.unwrap();
    }
    // In the buffer, without the notes.
    settle(&desk).await;
    let ((early, mut all), (new, mut newer)) = (Script::telling(), Script::telling());
    desk.add_event_handler(Eager(early)).await.unwrap();
    desk.add_event_handler(Newcomer(new)).await.unwrap();
    desk.dispatch(note("a", "4")).await.unwrap();
    settle(&desk).await;
    assert_eq!(all.rest(), ["1", "2", "3", "4"]);
    assert_eq!(newer.rest(), ["4"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn an_application_without_handlers_is_given_some() {
    let store = MemoryStore::new();
    let desk = empty_desk(&store).await;
    desk.dispatch(note("a", "1")).await.unwrap();
    let (script, mut inbox) = Script::telling();
    let added = desk.add_event_handler(Newcomer(script.clone())).await.unwrap();
    assert_eq!(added.name(), "newcomer");
    desk.dispatch(note("a", "2")).await.unwrap();
    settle(&desk).await;
    // Nobody reads the log then, until somebody comes again.
    desk.remove_handler("newcomer").await.unwrap();
    desk.dispatch(note("a", "3")).await.unwrap();
    desk.add_event_handler(Newcomer(script)).await.unwrap();
    desk.dispatch(note("a", "4")).await.unwrap();
    settle(&desk).await;
    assert_eq!(inbox.rest(), ["2", "3", "4"]);
    desk.shutdown().await;
}

/// E-050, E-051, E-052, C-42, C-43
#[tokio::test]
async fn e_050_handlers_are_listed_and_found_while_they_are_there() {
    let desk = empty_desk(&MemoryStore::new()).await;
    let listed = async || {
        let statuses = desk.handlers().await.unwrap();
        statuses.into_iter().map(|status| status.name).collect::<Vec<_>>()
    };
    assert_eq!((listed().await, desk.handler("one").is_none()), (vec![], true));
    for (name, all) in [("one", &["one"][..]), ("two", &["one", "two"])] {
        desk.add_event_handler_as(name, Eager(Script::telling().0)).await.unwrap();
        assert_eq!(listed().await, all);
        assert_eq!(desk.handler(name).unwrap().name(), name);
    }
    desk.remove_handler("one").await.unwrap();
    assert_eq!((listed().await, desk.handler("one").is_none()), (vec!["two".to_owned()], true));
    desk.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g_005_a_handler_that_is_removed_and_added_goes_on_where_it_was() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let desk = empty_desk(&store).await;
    let writers = Writers::start(&desk);
    for _ in 0..30 {
        desk.add_event_handler(Careful(script.clone())).await.unwrap();
        desk.dispatch(note("c", "strong")).consistency(Strong).await.unwrap();
        desk.remove_handler("careful").await.unwrap();
    }
    let written = writers.stop().await;
    desk.add_event_handler(Careful(script)).await.unwrap();
    settle(&desk).await;
    let positions = inbox.positions();
    assert_eq!(positions, notes(&store).await);
    assert_eq!(positions.len(), written + 30);
    assert!(desk.shutdown().await.is_clean());
}

#[tokio::test]
async fn a_removed_handler_finishes_its_event_and_keeps_its_name_until_then() {
    let store = MemoryStore::new();
    let (script, gate) = Script::held();
    let desk = Desk::builder(store.clone()).event_handler(Careful(script.clone())).start().await.unwrap();
    desk.dispatch(note("a", "1")).await.unwrap();
    soon(gate.arrival()).await;
    let mut waiting = JoinSet::new();
    waiting.spawn(desk.dispatch(note("a", "2")).consistency(Strong).into_future());
    until(async || (log(&store).await.len() == 2).then_some(())).await;

    let (mut removing, remover) = (JoinSet::new(), desk.clone());
    removing.spawn(async move { remover.remove_handler("careful").await });
    until(async || desk.handler("careful").is_none().then_some(())).await;
    let again = desk.add_event_handler(Careful(script.clone())).await.unwrap_err();
    assert!(matches!(&again, AddHandlerError::NameTaken { handler, .. } if handler == "careful"), "{again}");
    // Nobody waits for it who comes now.
    soon(desk.dispatch(note("a", "3")).consistency(Strong)).await.unwrap();
    assert!(removing.try_join_next().is_none(), "it waits for its event");
    gate.let_one_in();
    soon(removing.join_next()).await.unwrap().unwrap().unwrap();

    let error = soon(waiting.join_next()).await.unwrap().unwrap().unwrap_err();
    let DispatchError::NotHandled { pending, .. } = error else { panic!("{error:?}") };
    assert_eq!((pending[0].position, pending[0].state), (1, HandlerState::Stopped));
    assert_eq!(desk.handlers().await.unwrap(), []);
    // The event that it had finished does not come again.
    let (script, mut inbox) = Script::telling();
    desk.add_event_handler(Careful(script)).await.unwrap();
    settle(&desk).await;
    assert_eq!(inbox.rest(), ["2", "3"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn of_two_that_come_under_one_name_one_is_added() {
    let store = MemoryStore::new();
    let desk = empty_desk(&store).await;
    let gate = Gate::shut();
    let (script, mut inbox) = Script::telling();
    let first = desk.add_event_handler(Prepared(gate.clone(), script.clone()));
    let second = async {
        soon(gate.arrival()).await;
        let second = desk.add_event_handler(Prepared(Gate::default(), script.clone())).await;
        gate.open();
        second.map(drop)
    };
    let (first, second) = tokio::join!(first, second);
    first.unwrap();
    assert!(matches!(second, Err(AddHandlerError::NameTaken { .. })), "{second:?}");
    let third = desk.add_event_handler(Prepared(Gate::default(), script.clone())).await;
    assert!(matches!(third, Err(AddHandlerError::NameTaken { .. })), "{third:?}");
    desk.dispatch(note("a", "1")).await.unwrap();
    settle(&desk).await;
    assert_eq!(inbox.rest(), ["1"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn a_strong_dispatch_waits_for_a_handler_that_was_added() {
    let store = MemoryStore::new();
    let desk = empty_desk(&store).await;
    let (script, mut inbox) = Script::telling();
    desk.add_event_handler(Careful(script)).await.unwrap();
    desk.dispatch(note("a", "1")).consistency(Strong).await.unwrap();
    assert_eq!(inbox.rest(), ["1"]);
    desk.dispatch(note("a", "2")).consistency(careful()).await.unwrap();
    assert_eq!(inbox.rest(), ["2"]);
    desk.remove_handler("careful").await.unwrap();
    let error = desk.dispatch(note("a", "3")).consistency(careful()).await.unwrap_err();
    assert!(matches!(error, DispatchError::UnknownHandler { .. }), "{error:?}");
    desk.shutdown().await;
}

#[tokio::test]
async fn an_add_that_is_dropped_leaves_nothing() {
    let store = MemoryStore::new();
    let desk = empty_desk(&store).await;
    let gate = Gate::shut();
    let (script, mut inbox) = Script::telling();
    {
        let adding = desk.add_event_handler(Prepared(gate.clone(), script.clone()));
        tokio::select! {
            biased;
            added = adding => panic!("{added:?}"),
            () = gate.arrival() => {}
        }
    }
    assert_eq!(desk.handlers().await.unwrap(), []);
    desk.dispatch(note("a", "1")).await.unwrap();
    desk.add_event_handler(Prepared(Gate::default(), script)).await.unwrap();
    settle(&desk).await;
    assert_eq!(inbox.rest(), ["1"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn a_removal_that_is_dropped_goes_on() {
    let store = MemoryStore::new();
    let (script, gate) = Script::held();
    let desk = Desk::builder(store.clone()).event_handler(Eager(script.clone())).start().await.unwrap();
    desk.dispatch(note("a", "1")).await.unwrap();
    soon(gate.arrival()).await;
    tokio::select! {
        biased;
        removed = desk.remove_handler("eager") => panic!("{removed:?}"),
        () = std::future::ready(()) => {}
    }
    gate.open();
    // Its name is free when it has finished.
    until(async || desk.add_event_handler(Eager(script.clone())).await.ok().map(drop)).await;
    assert_eq!(gate.arrivals(), 0);
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_removed_all_the_same() {
    let store = MemoryStore::new();
    let config = Config::new().shutdown_deadline(Duration::from_secs(2));
    let (hanging, gate) = Script::held();
    let desk = Desk::builder(store.clone()).config(config).start().await.unwrap();
    desk.add_event_handler(Eager(hanging)).await.unwrap();
    desk.dispatch(note("a", "1")).await.unwrap();
    gate.arrival().await;
    let error = desk.remove_handler("eager").await.unwrap_err();
    let RemoveHandlerError::CutOff { ref handler, limit, .. } = error else { panic!("{error}") };
    assert_eq!((handler.as_str(), limit), ("eager", Duration::from_secs(2)));
    let (script, mut inbox) = Script::telling();
    desk.add_event_handler(Eager(script)).await.unwrap();
    assert_eq!(inbox.texts(1).await, ["1"]);
    assert!(desk.shutdown().await.is_clean());
}

/// T-099
#[tokio::test]
async fn a_handler_that_has_given_up_is_tried_again() {
    let store = MemoryStore::new();
    let broken = Script::new(|_, _| std::future::ready(Err(Broken("bad address"))));
    let broken = broken.on_error(|_| ErrorAction::Stop);
    let desk = Desk::builder(store.clone()).event_handler(Eager(broken)).start().await.unwrap();
    desk.dispatch(note("a", "1")).await.unwrap();
    until_state(&desk, "eager", HandlerState::Failed).await;
    let (mended, mut inbox) = Script::telling();
    let error = desk.add_event_handler(Eager(mended.clone())).await.map(drop).unwrap_err();
    assert!(matches!(error, AddHandlerError::NameTaken { .. }), "{error}");
    desk.remove_handler("eager").await.unwrap();
    desk.add_event_handler(Eager(mended)).await.unwrap();
    assert_eq!(inbox.texts(1).await, ["1"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn a_handler_removes_itself() {
    let store = MemoryStore::new();
    let later = DeskLater::default();
    let own = later.clone();
    let script = Script::new(move |event, _| {
        let desk = own.get();
        async move {
            if event.text == "last" {
                desk.remove_handler("careful").await.unwrap();
            }
            Ok(())
        }
    });
    let desk = empty_desk(&store).await;
    later.set(&desk);
    desk.add_event_handler(Careful(script)).await.unwrap();
    desk.dispatch(note("a", "first")).consistency(Strong).await.unwrap();
    soon(desk.dispatch(note("a", "last")).consistency(Strong)).await.unwrap();
    assert!(desk.handler("careful").is_none());
    // What it was at counts as handled.
    let (script, mut inbox) = Script::telling();
    until(async || desk.add_event_handler(Careful(script.clone())).await.ok().map(drop)).await;
    desk.dispatch(note("a", "more")).consistency(Strong).await.unwrap();
    assert_eq!(inbox.rest(), ["more"]);
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_ever_for_a_handler_that_is_being_added() {
    let store = MemoryStore::new();
    let desk = empty_desk(&store).await;
    let gate = Gate::shut();
    let (script, mut inbox) = Script::telling();
    let adding = desk.add_event_handler(Prepared(gate.clone(), script.clone()));
    let stopping = async {
        gate.arrival().await;
        desk.shutdown_within(Duration::from_secs(2)).await
    };
    let (added, report) = tokio::join!(adding, stopping);
    let error = added.map(drop).unwrap_err();
    let state = ApplicationState::ShuttingDown;
    assert!(matches!(error, AddHandlerError::NotRunning { state: found, .. } if found == state), "{error}");
    assert_eq!(report.unfinished_handlers, [""; 0]);
    assert_eq!(report.unfinished_tasks, 0);

    let error = desk.add_event_handler(Eager(script)).await.map(drop).unwrap_err();
    assert!(matches!(error, AddHandlerError::NotRunning { .. }), "{error}");
    // Nothing of it runs, and nothing keeps the name of the application.
    inbox_closes(&mut inbox, gate).await;
    empty_desk(&store).await.shutdown().await;
}

async fn inbox_closes(inbox: &mut Inbox, gate: Gate) {
    gate.open();
    soon(inbox.closed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handlers_that_come_and_go_during_a_shutdown_are_not_left_behind() {
    for _ in 0..50 {
        let store = MemoryStore::new();
        let desk = empty_desk(&store).await;
        desk.dispatch(note("a", "1")).await.unwrap();
        let (script, mut inbox) = Script::telling();
        let mut changes = JoinSet::new();
        for index in 0..8 {
            let (desk, script) = (desk.clone(), script.clone());
            changes.spawn(async move {
                let name = format!("added-{index}");
                while desk.add_event_handler_as(&name, Eager(script.clone())).await.is_ok() {
                    let _ = desk.remove_handler(&name).await;
                }
            });
        }
        tokio::task::yield_now().await;
        let report = desk.shutdown().await;
        assert!(report.is_clean(), "{report}");
        soon(changes.join_all()).await;
        drop(script);
        soon(inbox.closed()).await;
        soon(empty_desk(&store).await.shutdown()).await;
    }
}

#[tokio::test]
async fn a_handler_that_is_removed_from_its_owner_goes_on_on_another_node() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let first = empty_desk(&store).await;
    let second = Desk::builder(store.clone()).node("second").start().await.unwrap();
    first.add_event_handler(Careful(script.clone())).await.unwrap();
    second.add_event_handler(Careful(script)).await.unwrap();
    until_state(&second, "careful", HandlerState::Passive).await;
    first.dispatch(note("a", "1")).consistency(Strong).await.unwrap();
    first.remove_handler("careful").await.unwrap();
    until_state(&second, "careful", HandlerState::Running).await;
    second.dispatch(note("a", "2")).consistency(Strong).await.unwrap();
    assert_eq!(inbox.rest(), ["1", "2"]);
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test]
async fn a_store_that_fails_while_a_handler_is_added_leaves_nothing() {
    for call in [Call::Head, Call::AcquireLease, Call::Checkpoint, Call::Records] {
        let store = FaultyStore::default();
        let desk = Desk::builder(store.clone()).start().await.unwrap();
        desk.dispatch(note("a", "1")).await.unwrap();
        let (script, mut inbox) = Script::telling();
        store.fail(call, Fault::Unavailable, usize::MAX);
        let error = desk.add_event_handler(Eager(script.clone())).await.map(drop).unwrap_err();
        assert!(matches!(error, AddHandlerError::Start(StartError::Store { .. })), "{call:?}: {error}");
        store.heal(call);
        desk.add_event_handler(Eager(script)).await.unwrap();
        assert_eq!(inbox.texts(1).await, ["1"], "{call:?}");
        assert!(desk.shutdown().await.is_clean());
    }
}

/// An event that no application knows, since nobody has registered it.
#[derive(serde::Serialize, serde::Deserialize, Clone, Debug, PartialEq)]
struct Unheard;

impl Event for Unheard {
    const SCHEMA: &'static EventSchema = &EventSchema::new("desk.Unheard", 1);
}

cqrs::event::event_set_of_one!(Unheard);

struct OfTheUnheard;

#[event_handler(name = "unheard", interested_in = [Unheard])]
impl OfTheUnheard {
    fn on_unheard(&self, _event: &Unheard) {}
}

struct Unfit;

#[event_handler(name = "unfit", interested_in = [Noted])]
impl Unfit {
    fn init(&self) -> Result<(), Broken> {
        Err(Broken("no address"))
    }

    fn on_noted(&self, _event: &Noted) {}
}

#[tokio::test]
async fn what_cannot_be_added_or_removed_is_refused() {
    let desk = Desk::builder(MemoryStore::new());
    let desk = desk.projection(Inline::default()).start().await.unwrap();
    let (script, _inbox) = Script::telling();

    let error = desk.add_event_handler_as("", Eager(script.clone())).await.map(drop).unwrap_err();
    let AddHandlerError::Invalid { faults, .. } = error else { panic!("{error}") };
    assert!(matches!(*faults, [StartFault::UnnamedHandler { .. }]), "{faults:?}");

    let error = desk.add_event_handler(OfTheUnheard).await.map(drop).unwrap_err();
    let AddHandlerError::UnknownEvents { ref events, .. } = error else { panic!("{error}") };
    assert_eq!(*events, ["desk.Unheard"]);
    assert!(error.to_string().contains("register_events"), "{error}");

    let error = desk.add_event_handler(Unfit).await.map(drop).unwrap_err();
    assert!(matches!(error, AddHandlerError::Start(StartError::Init { .. })), "{error}");

    let error = desk.add_projection_as("other", Inline::default()).await.map(drop).unwrap_err();
    assert!(matches!(error, AddHandlerError::Inline { .. }), "{error}");
    let error = desk.remove_handler("notebooks").await.unwrap_err();
    assert!(matches!(error, RemoveHandlerError::Inline { .. }), "{error}");

    let error = desk.remove_handler("nobody").await.unwrap_err();
    assert!(matches!(error, RemoveHandlerError::Unknown { .. }), "{error}");
    assert_eq!(desk.handlers().await.unwrap().len(), 1);
    desk.shutdown().await;
}

#[tokio::test]
async fn partitions_come_and_go() {
    let store = MemoryStore::new();
    let desk = empty_desk(&store).await;
    let (script, mut inbox) = Script::telling();
    for round in 0..3 {
        let added = desk.add_event_handler(Divided(script.clone())).await.unwrap();
        assert_eq!(added.partitions().await.unwrap().len(), 16);
        for book in 0..20 {
            desk.dispatch(note(&book.to_string(), format!("{book}/{round}"))).await.unwrap();
        }
        settle(&desk).await;
        desk.remove_handler("divided").await.unwrap();
    }
    let mut expected: Vec<_> =
        (0..3).flat_map(|round| (0..20).map(move |book| format!("{book}/{round}"))).collect();
    let mut found = inbox.rest();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    desk.shutdown().await;
}

#[tokio::test]
async fn a_projection_is_added_and_rebuilt_and_removed() {
    let store = MemoryStore::new();
    let desk = empty_desk(&store).await;
    let rows = Books::default();
    for text in 0..3 {
        desk.dispatch(note("a", text.to_string())).await.unwrap();
    }
    let added = desk.add_projection(Notebooks::on(&rows)).await.unwrap();
    desk.dispatch(note("a", "3")).consistency(Strong).await.unwrap();
    assert_eq!(book(&rows, "a"), ["0", "1", "2", "3"]);
    soon(added.rebuild().await.unwrap().switched()).await.unwrap();
    until_active(&rows, 2).await;
    assert!(desk.projection::<Notebooks>().is_some());

    desk.remove_handler("notebooks").await.unwrap();
    assert!(desk.projection::<Notebooks>().is_none());
    desk.dispatch(note("a", "4")).consistency(Strong).await.unwrap();
    assert_eq!(book(&rows, "a"), ["0", "1", "2", "3"]);
    desk.add_projection(Notebooks::on(&rows)).await.unwrap();
    desk.dispatch(note("a", "5")).consistency(Strong).await.unwrap();
    assert_eq!(book(&rows, "a"), ["0", "1", "2", "3", "4", "5"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn a_publisher_is_added_and_removed() {
    let store = MemoryStore::new();
    let desk = empty_desk(&store).await;
    let broker = broker_of(2);
    for text in ["a:1", "a:2", "a:3"] {
        desk.add_publisher(broker.clone()).await.unwrap();
        desk.dispatch(note("a", text)).await.unwrap();
        settle(&desk).await;
        desk.remove_handler(PUBLISHER).await.unwrap();
    }
    check_messages(&broker, &["a:1", "a:2", "a:3"]);
    desk.shutdown().await;
}

application! {
    struct Yard {
        routers: [DeskRouter, JobRouter],
    }
}

/// Has each note done.
#[derive(Default, Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Secretary;

#[process_manager(
    name = "secretary",
    interested_in = [Noted, Done],
    error = std::convert::Infallible,
)]
impl Secretary {
    #[on(start, by = text)]
    fn noted(&mut self, event: &Noted, process: &mut Process) {
        process.send(Do { task: event.text.clone(), what: "it".into() });
    }

    #[on(stop, by = task)]
    fn done(&mut self, _event: &Done) {}
}

/// E-080
#[tokio::test]
async fn a_process_manager_is_added_and_removed() {
    let store = MemoryStore::new();
    let yard = Yard::builder(store.clone()).start().await.unwrap();
    let done = async || {
        let done = log(&store).await.into_iter().filter(|event| event.event_type == "jobs.Done");
        done.map(|event| event.stream_id.to_string()).collect::<Vec<_>>()
    };
    let added = yard.add_process_manager::<Secretary>().await.unwrap();
    yard.dispatch(note("a", "1")).await.unwrap();
    settle(&yard).await;
    assert_eq!(added.instances(None, 10).await.unwrap(), []);
    yard.remove_handler("secretary").await.unwrap();
    assert!(yard.process_manager("secretary").is_none());
    yard.dispatch(note("a", "2")).await.unwrap();
    assert_eq!(done().await, ["task-1"]);
    yard.add_process_manager::<Secretary>().await.unwrap();
    settle(&yard).await;
    assert_eq!(done().await, ["task-1", "task-2"]);
    yard.shutdown().await;
}
