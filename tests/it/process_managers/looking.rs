//! What can be seen of instances.

use super::domain::*;
use cqrs::process_manager::ProcessPhase;

/// E-087: in the order in which it came, the latest last.
#[tokio::test]
async fn an_instance_shows_its_state_and_what_it_has_done() {
    let site = Site::new().await;
    site.tell_all(&[("a", "start:do=1:do=2"), ("a", "go"), ("b", "start")]).await;
    let instance = site.instance("a").await.unwrap();
    assert_eq!((instance.phase, instance.started), (ProcessPhase::Running, 1));
    let told: Vec<_> = instance.history.iter().filter(|step| step.what == "jobs.Told").collect();
    assert_eq!(told[0].sent, ["Do", "Do"]);
    assert!(told[1].sent.is_empty());
    assert!(instance.history.iter().is_sorted_by_key(|step| step.position), "{:?}", instance.history);
    let first = site.foreman().instances(None, 1).await.unwrap();
    assert_eq!(first[0].instance, "a");
    let rest = site.foreman().instances(Some("a"), 10).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].instance, "b");
}

#[tokio::test]
async fn pending_commands_show_why_they_are_stuck() {
    let site = Site::new().await;
    break_it("x");
    site.tell_all(&[("a", "start:do=x:do=y")]).await;
    let pending = site.foreman().pending_commands(None, 10).await.unwrap();
    assert_eq!(pending.iter().map(|command| &*command.name).collect::<Vec<_>>(), ["Do", "Do"]);
    assert!(pending[0].stuck.as_ref().unwrap().contains("x is broken"));
    assert_eq!(pending[0].data["what"], "x");
    assert_eq!(pending[1].stuck, None);
    assert!(site.jobs.process_manager("nobody").is_none());
}

#[tokio::test]
async fn the_history_is_bounded() {
    let site = Site::new().await;
    for _ in 0..60 {
        site.tell("a", "any").await;
    }
    site.settle().await;
    assert_eq!(site.instance("a").await.unwrap().history.len(), 50);
}
