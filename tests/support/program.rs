//! Examples as programs.

use std::path::PathBuf;
use std::process::Command;

/// An example of this package, as it was built with the tests.
#[track_caller]
pub fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("a test binary");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("it lies in target/profile/deps");
    let program: PathBuf = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "{} is missing: `cargo test` builds it, one test does after `cargo build --example {name}`",
        program.display()
    );
    let mut command = Command::new(program);
    command.env_remove("RUST_LOG");
    command
}
