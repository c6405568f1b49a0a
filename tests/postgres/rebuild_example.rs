//! The example `rebuild` on Postgres, as a program.

use cqrs::postgres::testing::{TestDatabase, TestServer};

use crate::program::example;

#[tokio::test]
async fn new_rows_take_the_place_of_old_ones_and_nothing_is_left_behind() {
    let database = TestDatabase::new(TestServer::shared().await.unwrap()).await.unwrap();
    for _ in 0..2 {
        let output =
            example("rebuild").args(["--events", "2000", "--store", database.url()]).output().unwrap();
        let story = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{story}{}", String::from_utf8_lossy(&output.stderr));
        for fact in ["Readers see the new rows.", "generation 1 of version 1: Active"] {
            assert!(story.contains(fact), "{fact:?} is missing: {story}");
        }
    }
}
