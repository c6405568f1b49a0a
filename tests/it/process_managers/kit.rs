//! The testing kit for process managers: given events, when something happens, then commands, timers and states.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use cqrs::aggregate::ReplayError;
use cqrs::dispatch::{Rejection, TimeoutOutcome};
use cqrs::id::CommandId;
use cqrs::prelude::*;
use cqrs::process_manager::{ProcessError, Role};
use cqrs::store::{AppendError, StoreError, StreamId};
use cqrs::testing::{GivenProcess, given_log};
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};

use super::domain::*;

fn told(word: &str) -> Told {
    Told { job: "a".to_owned(), word: word.to_owned() }
}

fn run(what: &str) -> Do {
    Do { task: "a".to_owned(), what: what.to_owned() }
}

fn too_slow() -> DispatchError<Rejection> {
    DispatchError::Timeout {
        command: "Do",
        command_id: CommandId::new(),
        limit: SECOND,
        outcome: TimeoutOutcome::DidNotRun,
    }
}

const SECOND: Duration = Duration::from_secs(1);

async fn given(words: &[&str]) -> GivenProcess<Foreman> {
    given_log().events("job-a", words.iter().map(|word| told(word))).process("a").await
}

/// What the test would fail with.
async fn message(scenario: impl Future) -> String {
    let failed = AssertUnwindSafe(scenario).catch_unwind().await;
    let Err(panic) = failed else { panic!("the scenario went well") };
    *panic.downcast::<String>().unwrap()
}

#[tokio::test]
async fn events_lead_to_commands_and_states() {
    given(&["start"])
        .await
        .then_running()
        .then_state(|foreman| assert_eq!(foreman.words, ["start"]))
        .when_event("job-a", told("go:do=x:do=y"))
        .await
        .then_commands([run("x"), run("y")])
        .then_state(|foreman| assert_eq!(foreman.words.len(), 2))
        .when_event("job-a", told("go"))
        .await
        .then_no_commands();
}

#[tokio::test]
async fn roles_say_what_an_event_does() {
    given(&["none", "go"])
        .await
        .then_ended()
        .when_event("job-a", told("go!"))
        .await
        .then_error_matches(|error| matches!(error, ProcessError::NotStarted))
        .then_action(ProcessAction::Park)
        .when_event("job-a", told("start:do=x"))
        .await
        .then_commands((run("x"),))
        .when_event("job-a", told("start:do=y"))
        .await
        .then_passed_by()
        .when_event("job-a", told("start!"))
        .await
        .then_error_matches(|error| matches!(error, ProcessError::AlreadyStarted))
        .when_event("job-a", told("stop:do=z"))
        .await
        .then_commands([run("z")])
        .then_ended();
}

#[tokio::test]
async fn events_of_others_pass_by() {
    let other = Told { job: "b+c".to_owned(), word: "any:do=x".to_owned() };
    let given = given(&[]).await.when_event("job-b", other).await.then_passed_by();
    let done = Done { task: "a".to_owned(), what: "x".to_owned() };
    given.when_event("task-a", done).await.then_passed_by().then_ended();
}

#[tokio::test]
async fn an_event_that_fails_leaves_nothing_behind() {
    break_it("x");
    given(&["start"])
        .await
        .when_event("job-a", told("go:do=y:by=late/1000:may=x"))
        .await
        .then_error(Broken("x".to_owned()))
        .then_state(|foreman| assert_eq!(foreman.words, ["start"]))
        .then_no_timers()
        .when_event("job-a", told("go:panic=x"))
        .await
        .then_error_matches(|error| matches!(error, ProcessError::Panicked(_)));
}

#[tokio::test]
async fn what_on_error_wants_counts() {
    break_it("x");
    on_error(|failure, process| {
        assert_eq!(failure.attempt, 3);
        process.send(run("plan-b"));
        ProcessAction::Skip
    });
    given(&["start"])
        .await
        .attempt(3)
        .when_event("job-a", told("go:may=x"))
        .await
        .then_commands([run("plan-b")])
        .then_action(ProcessAction::Skip);
}

#[tokio::test]
async fn commands_wait_until_something_is_known_of_them() {
    given(&["start:do=x:do=y"])
        .await
        .when_carried_out()
        .await
        .then_no_commands()
        .when_refused(Broken("y".to_owned()))
        .await
        .then_error_matches(|error| match error {
            ProcessError::Command { command, .. } => command.command::<Do>() == Some(run("y")),
            _ => false,
        })
        .then_action(ProcessAction::Park)
        .carried_out()
        .await
        .then_running();
    assert_eq!(seen(), ["a start:do=x:do=y", "a after x", "a after y"]);
}

#[tokio::test]
async fn a_command_that_is_tried_again_goes_on_waiting() {
    on_error(|failure, _| {
        assert_eq!(failure.command().unwrap().command::<Do>(), Some(run("x")));
        assert_eq!(failure.pending.len(), 1, "those behind it have not been sent");
        match failure.attempt {
            1 => ProcessAction::Retry,
            2 => ProcessAction::RetryAfter(SECOND),
            _ => ProcessAction::DiscardPending,
        }
    });
    given(&["start:do=x:do=y"])
        .await
        .when_refused(Broken("x".to_owned()))
        .await
        .then_action(ProcessAction::Retry)
        .when_failed(too_slow())
        .await
        .then_action(ProcessAction::RetryAfter(SECOND))
        .when_refused(Broken("x".to_owned()))
        .await
        .then_no_commands()
        .then_action(ProcessAction::DiscardPending)
        .carried_out()
        .await;
    assert_eq!(seen(), ["a start:do=x:do=y"], "nothing was left to be carried out");
}

fn unplugged() -> StoreError {
    StoreError::Unavailable("the network is down".into())
}

fn store_error(source: AppendError) -> DispatchError<Rejection> {
    DispatchError::Store { command_id: CommandId::new(), stream_id: task_stream(), source: Box::new(source) }
}

fn task_stream() -> StreamId {
    StreamId::new("task-a").unwrap()
}

/// As in an application: the store is to blame, and the process manager does not hear of it. What the store has lost sight
/// of may be carried out, and giving it up would leave it at that.
#[tokio::test]
async fn a_command_that_the_store_does_not_take_goes_on_waiting() {
    on_error(|_, _| panic!("nobody is to be asked"));
    let (command, command_id, stream_id) = ("Do", CommandId::new(), task_stream());
    let source = Box::new(AppendError::OutcomeUnknown { append_id: command_id, source: "lost".into() });
    for error in [
        store_error(unplugged().into()),
        DispatchError::Replay {
            command_id,
            stream_id: stream_id.clone(),
            source: Box::new(ReplayError::Store(unplugged())),
        },
        DispatchError::OutcomeUnknown { command_id, stream_id, source },
        DispatchError::Timeout { command, command_id, limit: SECOND, outcome: TimeoutOutcome::Unknown },
    ] {
        given(&["start:do=x"])
            .await
            .when_failed(error)
            .await
            .then_no_commands()
            .when_carried_out()
            .await
            .then_no_commands();
    }
}

/// No store will ever take it: waiting would be for ever.
#[tokio::test]
async fn a_command_to_a_deleted_stream_is_refused() {
    let stream_id = task_stream();
    given(&["start:do=x"])
        .await
        .when_failed(store_error(AppendError::StreamDeleted { stream_id }))
        .await
        .then_error_matches(|error| matches!(error, ProcessError::Command { .. }))
        .then_action(ProcessAction::Park);
}

#[tokio::test]
async fn a_process_that_is_given_up_undoes_what_was_carried_out() {
    on_error(|_, process| {
        process.send(run("tell"));
        ProcessAction::Compensate
    });
    given(&["start:undo=x/un-x:undo=y/un-y", "go:do=z:do=never"])
        .await
        .when_carried_out()
        .await
        .then_no_commands()
        .when_carried_out()
        .await
        .then_no_commands()
        .when_refused(Broken("z".to_owned()))
        .await
        .then_commands([run("un-y"), run("un-x"), run("tell")])
        .then_compensating()
        .when_event("job-a", told("go:do=more"))
        .await
        .then_passed_by()
        .carried_out()
        .await
        .then_ended();
}

/// As in an application: what is not carried out needs no undoing, and the instance is gone at once.
#[tokio::test]
async fn a_process_with_nothing_to_undo_ends_at_once() {
    on_error(|_, _| ProcessAction::Compensate);
    break_it("x");
    given(&["start:undo=y/un-y:by=late/1000"])
        .await
        .when_event("job-a", told("go:may=x"))
        .await
        .then_no_commands()
        .then_ended()
        .then_no_timers()
        .when_event("job-a", told("go!"))
        .await
        .then_action(ProcessAction::Park);
}

#[tokio::test]
async fn time_passes_and_what_is_due_comes_in_order() {
    given(&["start:in=later/3000/x:by=soon/1000:by=never/9000"])
        .await
        .then_deadline_in("soon", SECOND)
        .then_scheduled_in("later", run("x"), 3 * SECOND)
        .when_time_passes(SECOND / 2)
        .await
        .then_no_commands()
        .then_deadline_in("soon", SECOND / 2)
        .when_event("job-a", told("go:cancel=never"))
        .await
        .then_no_commands()
        .when_time_passes(3 * SECOND)
        .await
        .then_commands([run("late-soon"), run("x")])
        .then_no_timers();
    assert_eq!(seen().last().unwrap(), "a deadline soon");
}

#[tokio::test]
async fn time_passes_until_a_deadline_is_due() {
    break_it("soon");
    on_error(|failure, _| match failure.attempt {
        1 => ProcessAction::RetryAfter(SECOND),
        _ => ProcessAction::Park,
    });
    given(&["start:by=soon/1000"])
        .await
        .when_due("soon")
        .await
        .then_action(ProcessAction::RetryAfter(SECOND))
        .then_deadline_in("soon", SECOND)
        .when_due("soon")
        .await
        .then_error(Broken("soon".to_owned()))
        .then_action(ProcessAction::Park)
        .then_no_timers();
}

#[tokio::test]
async fn a_process_that_ends_has_no_timers() {
    given(&["start:by=soon/1000"])
        .await
        .when_event("job-a", told("go:do=x:end"))
        .await
        .then_commands([run("x")])
        .then_ended()
        .then_no_timers()
        .when_time_passes(9 * SECOND)
        .await
        .then_no_commands();
}

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
struct Sleeper {
    ticks: u32,
    actor: String,
}

#[process_manager(name = "sleeper", interested_in = [Told], idle_timeout = "1m")]
impl Sleeper {
    #[on(with = by_job)]
    fn told(&mut self, event: &Told, process: &mut Process) {
        assert!(process.app::<Jobs>().is_none());
        self.actor = process.metadata().get("actor").map(ToString::to_string).unwrap_or_default();
        if event.word == "for ever" {
            process.deadline_in("again", Duration::ZERO);
        }
    }

    fn on_deadline(&mut self, _name: &str, process: &mut Process) {
        process.deadline_in("again", Duration::ZERO);
    }

    fn on_idle(&mut self, process: &mut Process) {
        self.ticks += 1;
        if self.ticks == 3 {
            process.stop();
        }
    }
}

fn by_job(event: &Told, _context: &EventContext) -> Interest {
    Interest::of(Role::StartOrContinue, [&event.job])
}

#[tokio::test]
async fn an_instance_that_is_idle_is_told_so() {
    given_log()
        .metadata("actor", "u-7")
        .events("job-a", [told("x")])
        .process::<Sleeper>("a")
        .await
        .then_state(|sleeper| assert_eq!((sleeper.ticks, &*sleeper.actor), (0, "\"u-7\"")))
        .when_time_passes(59 * SECOND)
        .await
        .then_no_commands()
        .then_state(|sleeper| assert_eq!(sleeper.ticks, 0))
        .metadata("actor", "u-8")
        .when_event("job-a", told("x"))
        .await
        .then_no_commands()
        .when_time_passes(121 * SECOND)
        .await
        .then_no_commands()
        .then_state(|sleeper| assert_eq!((sleeper.ticks, &*sleeper.actor), (2, "\"u-8\"")))
        .when_time_passes(59 * SECOND)
        .await
        .then_no_commands()
        .then_ended();
}

#[tokio::test]
async fn failures_show_the_difference_and_where() {
    let went = given(&["start"]).await.when_event("job-a", told("go:do=x:do=y")).await;
    let text = message(async { went.then_commands([run("x"), run("z")]) }).await;
    assert!(text.contains("jobs.Told led to other commands than expected"), "{text}");
    assert!(
        text.contains("expected 2 commands:\n    Do {\n      \"task\": \"a\",\n      \"what\": \"x\""),
        "{text}"
    );
    assert!(text.contains("they differ from command 2 on"), "{text}");

    let passed = given(&[]).await.when_event("job-a", told("go")).await;
    let text = message(async { passed.then_no_commands() }).await;
    assert_eq!(text, "jobs.Told passed the instance by\nexpected no command");

    let refused = given(&["start:do=x"]).await.when_refused(Broken("x".to_owned())).await;
    let text = message(async { refused.then_no_commands() }).await;
    assert!(text.contains("failed, which leads to Park: the command Do was not carried out"), "{text}");
    assert!(text.contains("x is broken"), "{text}");

    let went = given(&["start:by=soon/1000:in=later/2000/x"]).await;
    let text = message(async { went.then_deadline_in("soon", 2 * SECOND) }).await;
    assert!(text.contains("deadline \"soon\" at 2000-01-01 00:00:01 UTC\n"), "{text}");
    assert!(text.contains("command \"later\" at 2000-01-01 00:00:02 UTC: Do {"), "{text}");
    assert!(text.ends_with("expected deadline \"soon\" at 2000-01-01 00:00:02 UTC"), "{text}");

    let text = message(async { given(&[]).await.then_state(|_| {}) }).await;
    assert_eq!(text, "instance \"a\" has ended, or has not begun");
    let text = message(async { given(&["start"]).await.then_ended() }).await;
    assert!(text.contains("is there (Running)"), "{text}");
    let text = message(async { given(&["start"]).await.when_carried_out().await }).await;
    assert_eq!(text, "no command of instance \"a\" waits to be carried out");
    let text = message(async { given(&["start"]).await.when_due("soon").await }).await;
    assert_eq!(text, "nothing is to come as \"soon\"; nothing is to come");
    let text = message(async { given(&["start"]).await.then_action(ProcessAction::Skip) }).await;
    assert_eq!(text, "nothing has failed, expected Skip");
}

#[tokio::test]
async fn what_nobody_looks_at_fails_the_test() {
    let text = message(async { drop(given(&[]).await.when_event("job-a", told("start")).await) }).await;
    assert!(text.contains("nothing was asserted of jobs.Told, that happened at"), "{text}");
    assert!(text.contains("kit.rs"), "{text}");
}

#[tokio::test]
async fn given_events_must_not_fail_and_time_must_not_stand_still() {
    let text = message(given(&["go!"])).await;
    assert!(text.contains("kit.rs") && text.contains("the instance has not been started"), "{text}");
    let sleeper = given_log().events("job-a", [told("for ever")]).process::<Sleeper>("a").await;
    let text = message(sleeper.when_time_passes(SECOND)).await;
    assert!(text.contains("more than 10000 deadlines"), "{text}");
}
