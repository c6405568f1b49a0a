//! Deadlines and scheduled commands, on a clock that the test moves.

use super::domain::*;
use cqrs::clock::Clock as _;
use cqrs::prelude::*;
use cqrs::store::{CheckpointStore as _, HandlerCommit, HandlerRecord};
use cqrs::testing::TestClock;

#[tokio::test]
async fn a_deadline_comes_once_and_not_before_its_time() {
    let site = Site::new().await;
    site.tell_all(&[("a", "start:by=pay/1000")]).await;
    let timers = site.foreman().timers(None, 10).await.unwrap();
    assert_eq!((timers.len(), timers[0].name.as_str(), timers[0].instance.as_str()), (1, "pay", "a"));
    site.advance(999).await;
    site.tell_all(&[("b", "start:do=1")]).await;
    assert!(site.done("a").await.is_empty());
    site.advance(1).await;
    until(async || (site.done("a").await == ["late-pay"]).then_some(())).await;
    site.advance(10_000).await;
    site.tell_all(&[("b", "go:do=2")]).await;
    assert_eq!(site.done("a").await, ["late-pay"]);
    assert!(site.foreman().timers(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_scheduled_command_is_sent_in_time() {
    let site = Site::new().await;
    site.tell_all(&[("a", "start:in=remind/1000/mail")]).await;
    assert!(site.done("a").await.is_empty());
    site.advance(1_000).await;
    until(async || (site.done("a").await == ["mail"]).then_some(())).await;
}

#[tokio::test]
async fn a_timer_can_be_cancelled_and_replaced() {
    let site = Site::new().await;
    site.tell_all(&[
        ("a", "start:by=x/1000:in=y/1000/no"),
        ("a", "go:cancel=x:in=y/5000/yes:cancel=unknown"),
    ])
    .await;
    site.advance(4_999).await;
    site.tell_all(&[("b", "start:by=z/1")]).await;
    site.advance(1).await;
    until(async || (site.done("a").await == ["yes"]).then_some(())).await;
    until(async || (site.done("b").await == ["late-z"]).then_some(())).await;
}

#[tokio::test]
async fn timers_go_with_their_instance() {
    let site = Site::new().await;
    site.tell_all(&[("a", "start:by=x/1000:in=y/1000/no"), ("a", "stop"), ("ab", "start:by=x/1000")]).await;
    assert_eq!(site.foreman().timers(None, 10).await.unwrap().len(), 1);
    site.advance(1_000).await;
    until(async || (site.done("ab").await == ["late-x"]).then_some(())).await;
    assert!(site.done("a").await.is_empty());
}

#[tokio::test]
async fn nothing_comes_in_time_for_an_instance_that_goes_back() {
    let site = Site::new().await;
    break_it("x");
    break_it("-1");
    on_error(|failure, _| match failure.is_compensating {
        false => ProcessAction::Compensate,
        true => ProcessAction::Park,
    });
    site.tell_all(&[("a", "start:undo=1/-1:by=x/1000:in=y/1000/mail")]).await;
    site.tell_all(&[("b", "start:undo=1/-1:in=y/1000/mail")]).await;
    site.tell_all(&[("b", "go:may=x")]).await;
    let timers = site.foreman().timers(None, 10).await.unwrap();
    assert!(timers.iter().all(|timer| timer.instance == "a"), "{timers:?}");
    // What is due together with the deadline that fails does not come, either.
    site.advance(1_000).await;
    until(async || (site.stuck().await.len() == 2).then_some(())).await;
    assert!(site.foreman().timers(None, 10).await.unwrap().is_empty());
    mend("-1");
    for job in ["a", "b"] {
        site.foreman().retry(job).await.unwrap();
        until(async || site.instance(job).await.is_none().then_some(())).await;
        assert_eq!(site.done(job).await, ["1", "-1"]);
    }
}

/// It may be one of a later version of the program.
#[tokio::test]
async fn a_timer_that_cannot_be_read_is_kept_and_others_come() {
    let site = Site::new().await;
    let odd = HandlerRecord {
        kind: "timer".into(),
        key: "\"a\" odd".to_owned(),
        position: 0,
        due_at: Some(site.clock.now()),
        data: br#"{"odd":1}"#.as_slice().into(),
    };
    site.store.change_records("foreman", HandlerCommit::new().put(odd.clone())).await.unwrap();
    for number in ["1", "2"] {
        site.tell_all(&[(number, "start:by=x/1000")]).await;
        site.advance(1_000).await;
        until(async || (site.done(number).await == ["late-x"]).then_some(())).await;
    }
    assert_eq!(site.store.records("foreman", "timer", None, 10).await.unwrap(), [odd]);
}

#[tokio::test]
async fn what_was_due_while_nothing_ran_comes_at_the_start() {
    let site = Site::new().await;
    site.tell_all(&[("a", "start:by=x/1000:in=y/1000/mail")]).await;
    site.advance(100_000).await;
    let site = site.restart().await;
    until(async || (site.done("a").await.len() == 2).then_some(())).await;
}

#[tokio::test]
async fn a_deadline_that_fails_is_tried_again_set_aside_and_taken_up() {
    let site = Site::new().await;
    break_it("x");
    site.tell_all(&[("a", "start:by=x/1000")]).await;
    site.advance(1_000).await;
    let stuck =
        async || site.foreman().timers(None, 10).await.unwrap().into_iter().find_map(|timer| timer.stuck);
    let error = until(stuck).await;
    assert!(error.contains("x is broken"), "{error}");
    mend("x");
    site.foreman().retry("a").await.unwrap();
    until(async || (site.done("a").await == ["late-x"]).then_some(())).await;
}

#[tokio::test]
async fn a_deadline_waits_behind_a_parked_event_of_its_instance() {
    let site = Site::new().await;
    site.tell_all(&[("a", "start:by=x/1000")]).await;
    break_it("pay");
    site.tell_all(&[("a", "go:may=pay:cancel=x:do=paid")]).await;
    site.advance(1_000).await;
    site.tell_all(&[("b", "start:do=1")]).await;
    assert!(site.done("a").await.is_empty());
    mend("pay");
    site.foreman().retry("a").await.unwrap();
    until(async || (site.done("a").await == ["paid"]).then_some(())).await;
    assert!(site.foreman().timers(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn many_timers_that_are_due_together_come_once_each() {
    let site = Site::new().await;
    for number in 0..1_200 {
        site.tell(&format!("j{number}"), "start:in=y/1000/mail").await;
    }
    site.settle().await;
    site.advance(1_000).await;
    until(async || site.foreman().timers(None, 10).await.unwrap().is_empty().then_some(())).await;
    site.settle().await;
    for number in 0..1_200 {
        assert_eq!(site.done(&format!("j{number}")).await, ["mail"]);
    }
}

#[derive(Default, serde::Serialize, serde::Deserialize, Clone)]
struct Nagging;

#[process_manager(name = "nagging", interested_in = [Told], by = job, idle_timeout = "10s")]
impl Nagging {
    #[on(start_or_continue)]
    fn on_told(&mut self, _event: &Told) {}

    fn on_idle(&mut self, process: &mut Process) -> Result<(), Broken> {
        process.send(Do { task: process.instance().to_owned(), what: "idle".to_owned() });
        Ok(())
    }
}

application! {
    struct Office {
        routers: [JobRouter],
        process_managers: [Nagging],
    }
}

/// T-380
#[tokio::test]
async fn an_instance_is_told_that_it_is_idle_whenever_that_much_time_has_passed() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let office = Office::builder(store.clone()).clock(clock.clone()).start().await.unwrap();
    office.dispatch(tell("a", "x")).await.unwrap();
    cqrs::testing::settle(&office).await;
    clock.advance(std::time::Duration::from_secs(9));
    office.dispatch(tell("a", "x")).await.unwrap();
    cqrs::testing::settle(&office).await;
    clock.advance(std::time::Duration::from_secs(9));
    office.dispatch(tell("b", "x")).await.unwrap();
    cqrs::testing::settle(&office).await;
    assert!(done(&store, "a").await.is_empty(), "it was told something in between");
    clock.advance(std::time::Duration::from_secs(1));
    until(async || (done(&store, "a").await.len() == 1).then_some(())).await;
    clock.advance(std::time::Duration::from_secs(10));
    until(async || (done(&store, "a").await.len() == 2).then_some(())).await;
    until(async || (done(&store, "b").await.len() == 1).then_some(())).await;
}

/// Ends when it is idle.
#[derive(Default, serde::Serialize, serde::Deserialize, Clone)]
struct Dozing {
    words: Vec<String>,
}

std::thread_local! {
    /// What is moved while somebody finds out whose an event is.
    static MOVED: std::cell::RefCell<Option<TestClock>> = const { std::cell::RefCell::new(None) };
}

#[process_manager(name = "dozing", interested_in = [Told], idle_timeout = "10s", consistency = strong)]
impl Dozing {
    #[on(with = whose)]
    fn on_told(&mut self, event: &Told) {
        self.words.push(event.word.clone());
    }

    fn on_idle(&mut self, process: &mut Process) {
        process.stop();
    }
}

/// "late" takes longer than the instance is patient.
fn whose(event: &Told, _context: &EventContext) -> Interest {
    if event.word == "late" {
        MOVED.with_borrow(|clock| clock.as_ref().unwrap().advance(std::time::Duration::from_secs(10)));
    }
    Interest::of(cqrs::process_manager::Role::StartOrContinue, [&event.job])
}

application! {
    struct Beds {
        routers: [JobRouter],
        process_managers: [Dozing],
    }
}

/// L-005: an instance whose time is up while its next event is on the way handles that event, and an event that comes
/// when it has ended begins anew.
#[tokio::test]
async fn t_389_an_event_of_an_instance_that_is_idle_meanwhile_is_handled() {
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    MOVED.set(Some(clock.clone()));
    let beds = Beds::builder(store.clone()).clock(clock.clone()).start().await.unwrap();
    let words = async || {
        let instance = beds.process_manager("dozing").unwrap().instance("a").await.unwrap()?;
        Some(serde_json::from_value::<Dozing>(instance.state).unwrap().words)
    };
    for word in ["first", "late", "late", "next"] {
        soon(beds.dispatch(tell("a", word)).consistency(Strong).into_future()).await.unwrap();
    }
    assert_eq!(words().await.unwrap(), ["first", "late", "late", "next"]);
    clock.advance(std::time::Duration::from_secs(10));
    until(async || words().await.is_none().then_some(())).await;
    soon(beds.dispatch(tell("a", "late")).consistency(Strong).into_future()).await.unwrap();
    assert_eq!(words().await.unwrap(), ["late"]);
    beds.shutdown().await;
}

#[tokio::test]
async fn a_timer_with_a_name_that_no_database_keeps_is_a_failure_of_what_sets_it() {
    let site = Site::new().await;
    for (job, word) in [("a", "start:by=x\0/1000:do=1"), ("b", "start:in=x\0/1000/mail:do=1")] {
        site.tell_all(&[(job, word)]).await;
        let parked = site.foreman().handler().parked(None, 10).await.unwrap();
        let parked = parked.iter().find(|parked| parked.key == job).unwrap();
        assert!(parked.error.contains(r#""x\0" cannot name a deadline"#), "{}", parked.error);
        assert!(site.done(job).await.is_empty());
    }
    site.tell_all(&[("c", "start:cancel=x\0:by=y/1000:do=1")]).await;
    assert_eq!(site.done("c").await, ["1"], "there is no timer of that name to be cancelled");
    assert_eq!(site.foreman().timers(None, 10).await.unwrap().len(), 1);
}
