//! The example `rebuild`, as a program.

use crate::program::example;

#[test]
fn new_rows_take_the_place_of_old_ones_whatever_there_was_before() {
    for events in ["1", "20000"] {
        let output = example("rebuild").args(["--events", events]).output().expect("the example runs");
        let story = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success(), "{story}{}", String::from_utf8_lossy(&output.stderr));
        for fact in ["Readers see the new rows.", "(loose)", "generation 1 of version 1: Active"] {
            assert!(story.contains(fact), "{fact:?} is missing: {story}");
        }
    }
}
