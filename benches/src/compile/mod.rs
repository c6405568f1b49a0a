//! How long code with the macros takes to compile, against the same code by hand.
//!
//! Two crates are generated, each with 10 aggregates of 10 commands and 10 events. They are built in the debug
//! profile without incremental compilation, so that each build does all of the crate's work; the dependencies
//! are built before.

mod generate;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime};

use crate::point::{BoxError, Metric, Subject, Value};

/// The generated workspace; it is deleted when this is dropped.
#[derive(Debug)]
pub(crate) struct Generated {
    folder: PathBuf,
}

const SUBJECTS: [Subject; 2] = [Subject::Macros, Subject::ByHand];

impl Generated {
    /// Writes the crates and builds what they depend on.
    pub(crate) fn prepare() -> Result<Self, BoxError> {
        let folder = std::env::temp_dir().join(format!("cqrs-benches-{}", std::process::id()));
        let generated = Self { folder };
        let facade = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        for subject in SUBJECTS {
            let source = generated.source(subject);
            fs::create_dir_all(source.parent().ok_or("a source has a folder")?)?;
            let manifest = source.with_file_name("../Cargo.toml");
            fs::write(manifest, generate::manifest(subject, &facade))?;
            fs::write(source, generate::source(subject))?;
        }
        let members = SUBJECTS.map(|subject| format!("{:?}", subject.to_string())).join(", ");
        let workspace = format!("[workspace]\nmembers = [{members}]\nresolver = \"3\"\n");
        fs::write(generated.folder.join("Cargo.toml"), workspace)?;
        // The same versions as here, without asking the registry.
        fs::copy(facade.join("Cargo.lock"), generated.folder.join("Cargo.lock"))?;
        for subject in SUBJECTS {
            generated.cargo_build(subject)?;
        }
        Ok(generated)
    }

    /// Builds a crate anew; gives how long that took.
    pub(crate) fn build(&self, subject: Subject) -> Result<Vec<Value>, BoxError> {
        File::options().append(true).open(self.source(subject))?.set_modified(SystemTime::now())?;
        let started = Instant::now();
        self.cargo_build(subject)?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(vec![Value::new(format_args!("{}-{subject}", Metric::Compile), seconds, "s")])
    }

    fn cargo_build(&self, subject: Subject) -> Result<(), BoxError> {
        let output = Command::new("cargo")
            .args(["build", "--offline", "--quiet", "--package", &subject.to_string()])
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            .env("CARGO_INCREMENTAL", "0")
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{subject} does not build: {}", String::from_utf8_lossy(&output.stderr)).into())
    }

    fn source(&self, subject: Subject) -> PathBuf {
        self.folder.join(subject.to_string()).join("src").join("lib.rs")
    }
}

impl Drop for Generated {
    fn drop(&mut self) {
        // What stays is in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
