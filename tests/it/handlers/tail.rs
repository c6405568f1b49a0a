//! How often the log is read for all handlers.

use std::convert::Infallible;
use std::time::Duration;

use cqrs::application::Config;
use cqrs::prelude::*;
use cqrs::testing::settle;

use super::domain::*;
use crate::support::store::ScriptedStore;

struct Reader;

#[event_handler(name = "reader", interested_in = [Noted])]
impl Reader {
    fn on_noted(&self, _event: &Noted) -> Result<(), Infallible> {
        Ok(())
    }
}

/// What was just read up to the head is not asked for once more.
#[tokio::test]
async fn a_stretch_of_the_log_is_read_once() {
    let store = ScriptedStore::default();
    let config = Config::new().poll_interval(Duration::from_secs(3_600));
    let desk = Desk::builder(store.clone()).config(config).event_handler(Reader).start().await.unwrap();
    desk.dispatch(note("a", "first")).await.unwrap();
    settle(&desk).await;
    let before = store.pages();
    for number in 0..10 {
        desk.dispatch(note("a", number.to_string())).await.unwrap();
        settle(&desk).await;
    }
    assert_eq!(store.pages() - before, 10);
}
