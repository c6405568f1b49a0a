//! A publisher that is cut off at each step that it takes, one after the other: the broker gets everything, in order,
//! and what it gets twice it knows again.

use std::time::Duration;

use super::domain::*;
use crate::support::mortal::{MortalStore, each_death};
use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::testing::{TestClock, settle};

const TEXTS: [&str; 9] = ["a:1", "b:2", "a:3", "c:4", "a:5", "b:6", "c:7", "a:8", "b:9"];

#[tokio::test(start_paused = true)]
async fn whatever_step_it_is_cut_off_at_each_message_arrives_in_order_under_one_id() {
    let steps = each_death(async |fate| {
        let clock = TestClock::new();
        let store = MemoryStore::builder().clock(std::sync::Arc::new(clock.clone())).build();
        noted(&store, &TEXTS[..7]).await;
        let broker = broker_of(2);
        broker.confirm_first(1).fail_before("away").fail_after("lost").confirm_first(0);
        let mortal = MortalStore::new(&store, &fate);
        // A step for each batch, so that the checkpoint is in every place once.
        let config = Config::new().checkpoint_every(1).tail_page(3);
        let life = async {
            let builder = Desk::builder(mortal).node("mortal").config(config);
            let desk = builder.publisher(broker.clone()).start().await.unwrap();
            settle(&desk).await;
        };
        fate.live(life).await;
        // Long enough for the next one to take over.
        clock.advance(Duration::from_secs(3_600));
        let desk = desk(store.clone(), &broker).await;
        note_all(&desk, &TEXTS[7..]).await;
        settle(&desk).await;
        check_messages(&broker, &TEXTS);
        let handed_over = broker.messages().len();
        assert!(handed_over <= 9 + 12, "{fate:?}: {handed_over} messages came");
        desk.shutdown().await;
    });
    let steps = steps.await;
    assert!(steps > 20, "there were {steps} steps only");
}
