//! A node that stands still for longer than its lease lasts, while another one takes over, and then goes on where it was:
//! nothing that it writes counts, no command is carried out twice, and nothing comes twice in time.

use std::sync::Arc;
use std::time::Duration;

use super::domain::*;
use crate::handlers::domain::until;
use crate::leases::domain::{Call, Fault, FaultyStore, TTL, store_with_clock};
use crate::support::log::sound_log;
use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::clock::Clock as _;
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::process_manager::ProcessManagerHandle;
use cqrs::schedule::{Schedule, Scheduler};
use cqrs::store::{CheckpointStore as _, HandlerRecord, RecordedEvent};
use cqrs::testing::TestClock;
use tokio::sync::Notify;
use tokio::time::Instant;

application! {
    struct Haunted {
        routers: [JobRouter],
        process_managers: [Foreman, Scheduler],
    }
}

/// Two nodes; the first one owns everything, and has a way of its own to the store.
struct Site {
    store: MemoryStore,
    /// The store's, by which leases run out.
    lease_clock: TestClock,
    clock: TestClock,
    way: FaultyStore,
    zombie: Haunted,
    heir: Haunted,
}

fn handle<'a>(node: &'a Haunted, name: &str) -> ProcessManagerHandle<'a> {
    node.process_manager(name).unwrap()
}

async fn until_state(node: &Haunted, name: &str, state: HandlerState) {
    until(async || {
        let status = handle(node, name).handler().status().await.unwrap();
        (status.state == state).then_some(())
    })
    .await;
}

impl Site {
    async fn new() -> Self {
        let (store, lease_clock) = store_with_clock();
        let (way, clock) = (FaultyStore::on(&store), TestClock::new());
        let zombie = Haunted::builder(way.clone()).node("zombie").clock(clock.clone());
        let zombie = zombie.start().await.unwrap();
        let heir = Haunted::builder(store.clone()).node("heir").clock(clock.clone()).start().await.unwrap();
        for name in ["foreman", Scheduler::NAME] {
            until_state(&zombie, name, HandlerState::Running).await;
            until_state(&heir, name, HandlerState::Passive).await;
        }
        Self { store, lease_clock, clock, way, zombie, heir }
    }

    async fn tell(&self, job: &str, word: &str) {
        self.heir.dispatch(tell(job, word)).await.unwrap();
    }

    /// Has an instance set a deadline and schedule a command for a second from now.
    async fn set_timers(&self) {
        self.tell("a", "start:by=x/1000:in=y/1000/mail").await;
        until(async || {
            let timers = handle(&self.zombie, "foreman").timers(None, 10).await.unwrap();
            (timers.len() == 2).then_some(())
        })
        .await;
    }

    /// Has the first node stand still at its next call of this kind; it goes on when it is notified.
    fn stop_at(&self, call: Call) -> StandStill {
        let go_on = Arc::new(Notify::new());
        self.way.fail(call, Fault::Hold(Arc::clone(&go_on)), 1);
        StandStill { call, before: self.way.calls(call), go_on }
    }

    /// Waits until it stands there, and the other node has taken over.
    async fn take_over(&self, stands: &StandStill) {
        self.way.fail(Call::RenewLeases, Fault::Hang, usize::MAX);
        until(async || (self.way.calls(stands.call) > stands.before).then_some(())).await;
        self.lease_clock.advance(TTL);
        for name in ["foreman", Scheduler::NAME] {
            until_state(&self.heir, name, HandlerState::Running).await;
        }
    }

    /// Waits until nothing is left to be done for those who are told something or are due by now.
    async fn until_done(&self, job: &str, count: usize) -> Vec<String> {
        let done = until(async || {
            let done = done(&self.store, job).await;
            (done.len() >= count).then_some(done)
        })
        .await;
        until(async || {
            let pending = self.store.records("foreman", "command", None, 1).await.unwrap();
            let scheduled = self.store.records(Scheduler::NAME, "command", None, 1).await.unwrap();
            (pending.is_empty() && scheduled.is_empty()).then_some(())
        })
        .await;
        done
    }

    /// All that is written: the log, and what the process managers keep.
    async fn written(&self) -> (Vec<RecordedEvent>, Vec<HandlerRecord>) {
        let mut records = Vec::new();
        for name in ["foreman", Scheduler::NAME] {
            for kind in ["instance", "command", "timer", "parked", "effect"] {
                records.extend(self.store.records(name, kind, None, 100).await.unwrap());
            }
        }
        (sound_log(&self.store).await, records)
    }

    /// The first node goes on, and must change nothing; the other one goes on, too.
    async fn awake(&self, stands: StandStill, name: &str) {
        let (before, began) = (self.written().await, Instant::now());
        stands.go_on.notify_one();
        until_state(&self.zombie, name, HandlerState::Passive).await;
        assert!(began.elapsed() < TTL / 3, "the first write has told it: {:?}", began.elapsed());
        assert_eq!(self.written().await, before);
        // Long enough for whatever it has left to do.
        tokio::time::sleep(TTL).await;
        assert_eq!(self.written().await, before);
        self.way.heal(Call::RenewLeases);
        self.tell("after", "any:do=it").await;
        assert_eq!(self.until_done("after", 1).await, ["it"]);
        self.heir.shutdown().await;
        self.zombie.shutdown().await;
    }
}

struct StandStill {
    call: Call,
    before: usize,
    go_on: Arc<Notify>,
}

/// Fault 17: it stands still while it writes what an event has come to.
#[tokio::test(start_paused = true)]
async fn pg_121_what_a_zombie_makes_of_an_event_is_not_written() {
    let site = Site::new().await;
    let stands = site.stop_at(Call::Commit);
    site.tell("a", "start:do=1:undo=2/-2:by=x/1000").await;
    site.take_over(&stands).await;
    assert_eq!(site.until_done("a", 2).await, ["1", "2"]);
    // What the other one has gone on with is not taken back.
    site.tell("a", "go:do=3:cancel=x").await;
    assert_eq!(site.until_done("a", 3).await, ["1", "2", "3"]);
    site.awake(stands, "foreman").await;
}

/// Fault 17: it stands still with a command on its way.
#[tokio::test(start_paused = true)]
async fn pg_121_what_a_zombie_sends_is_carried_out_once() {
    let site = Site::new().await;
    let stands = site.stop_at(Call::Append);
    site.tell("a", "start:do=1:do=2:do=3").await;
    site.take_over(&stands).await;
    assert_eq!(site.until_done("a", 3).await, ["1", "2", "3"]);
    site.awake(stands, "foreman").await;
}

/// Fault 17: it stands still while it writes that commands were carried out, and one was refused.
#[tokio::test(start_paused = true)]
async fn pg_121_what_a_zombie_has_heard_of_its_commands_is_not_written() {
    let site = Site::new().await;
    break_it("bad");
    on_error(|_, _| ProcessAction::Compensate);
    let sends = site.stop_at(Call::Append);
    site.tell("a", "start:undo=1/-1:do=bad").await;
    until(async || (site.way.calls(Call::Append) > sends.before).then_some(())).await;
    let stands = site.stop_at(Call::Commit);
    sends.go_on.notify_one();
    site.take_over(&stands).await;
    assert_eq!(site.until_done("a", 2).await, ["1", "-1"]);
    site.awake(stands, "foreman").await;
    assert_eq!(done(&site.store, "a").await, ["1", "-1"]);
}

/// Fault 17: it stands still while it writes what became due.
#[tokio::test(start_paused = true)]
async fn pg_121_what_is_due_comes_once_although_a_zombie_has_it_come_as_well() {
    let site = Site::new().await;
    site.set_timers().await;
    drop(seen());
    let stands = site.stop_at(Call::Commit);
    site.clock.advance(Duration::from_secs(1));
    site.take_over(&stands).await;
    let mut all = site.until_done("a", 2).await;
    all.sort_unstable();
    assert_eq!(all, ["late-x", "mail"]);
    let deadlines = seen().into_iter().filter(|seen| seen == "a deadline x").count();
    assert_eq!(deadlines, 2, "both were told of it, and what one of them made of it counts");
    site.awake(stands, "foreman").await;
}

/// Fault 17: it stands still with the commands on their way that became due.
#[tokio::test(start_paused = true)]
async fn pg_121_what_a_zombie_sends_in_time_is_carried_out_once() {
    let site = Site::new().await;
    site.set_timers().await;
    let stands = site.stop_at(Call::Append);
    site.clock.advance(Duration::from_secs(1));
    site.take_over(&stands).await;
    let mut all = site.until_done("a", 2).await;
    all.sort_unstable();
    assert_eq!(all, ["late-x", "mail"]);
    site.awake(stands, "foreman").await;
}

/// Fault 17: a command that nobody has decided on yet is taken back with the lease. The next owner was told that it is
/// refused, and has gone on without it.
#[tokio::test(start_paused = true)]
async fn pg_121_what_a_zombie_was_about_to_send_is_taken_back() {
    on_error(|_, _| ProcessAction::Skip);
    let ((store, lease_clock), go_on) = (store_with_clock(), Arc::new(Notify::new()));
    let way = FaultyStore::on(&store);
    // It gives up the lease before its command takes too long.
    let config = Config::new().lease_ttl(SHORT);
    let zombie = Haunted::builder(way.clone()).node("zombie").config(config.clone()).start().await.unwrap();
    until_state(&zombie, "foreman", HandlerState::Running).await;
    let heir = Haunted::builder(store.clone()).node("heir").config(config).start().await.unwrap();
    way.fail(Call::ReadStream, Fault::Hold(Arc::clone(&go_on)), 1);
    heir.dispatch(tell("a", "start:do=x:do=y")).await.unwrap();
    until(async || (way.calls(Call::ReadStream) > 0).then_some(())).await;
    break_it("x");
    way.fail(Call::RenewLeases, Fault::Hang, usize::MAX);
    lease_clock.advance(SHORT);
    until(async || (done(&store, "a").await == ["y"]).then_some(())).await;
    way.heal(Call::RenewLeases);
    until_state(&zombie, "foreman", HandlerState::Passive).await;
    mend("x");
    go_on.notify_one();
    tokio::time::sleep(TTL).await;
    assert_eq!(done(&store, "a").await, ["y"]);
    heir.shutdown().await;
    zombie.shutdown().await;
}

const SHORT: Duration = Duration::from_secs(3);

fn ring(bell: &str) -> Do {
    Do { task: bell.to_owned(), what: "ring".to_owned() }
}

/// Has one command scheduled for an hour from now, and one that recurs every hour, and lets the hour pass.
async fn schedule_and_stop_at(call: Call) -> (Site, StandStill) {
    let site = Site::new().await;
    let at = site.clock.now() + chrono::Duration::hours(1);
    let schedules = site.heir.schedules();
    schedules.add(Schedule::once(&ring("once"), at).name("once")).await.unwrap();
    schedules.add(Schedule::recurring(&ring("hourly"), "0 * * * *").unwrap().name("hourly")).await.unwrap();
    let stands = site.stop_at(call);
    site.clock.advance(Duration::from_secs(3_600));
    site.take_over(&stands).await;
    (site, stands)
}

async fn check_schedules(site: Site, stands: StandStill) {
    assert_eq!(site.until_done("once", 1).await, ["ring"]);
    assert_eq!(site.until_done("hourly", 1).await, ["ring"]);
    site.clock.advance(Duration::from_secs(3_600));
    assert_eq!(site.until_done("hourly", 2).await, ["ring", "ring"]);
    site.awake(stands, Scheduler::NAME).await;
    assert_eq!(done(&site.store, "once").await, ["ring"]);
    assert_eq!(done(&site.store, "hourly").await, ["ring", "ring"]);
}

/// Fault 17, T-445
#[tokio::test(start_paused = true)]
async fn t_445_scheduled_commands_that_a_zombie_takes_up_are_carried_out_once() {
    let (site, stands) = schedule_and_stop_at(Call::Commit).await;
    check_schedules(site, stands).await;
}

/// Fault 17, T-445
#[tokio::test(start_paused = true)]
async fn t_445_scheduled_commands_that_a_zombie_sends_are_carried_out_once() {
    let (site, stands) = schedule_and_stop_at(Call::Append).await;
    check_schedules(site, stands).await;
}
