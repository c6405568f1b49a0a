use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::testing::HarnessError;
use crate::testing::family;
use crate::testing::folder::Folder;

const PAUSE: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_secs(60);

/// A server program that runs in a folder of its own.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: &'static str,
    process: Child,
    log: PathBuf,
    frozen: bool,
}

impl Daemon {
    /// Starts the program, and tells the folder's watchdog.
    pub(crate) fn start(
        name: &'static str,
        command: &mut Command,
        folder: &mut Folder,
    ) -> Result<Self, HarnessError> {
        let log = folder.path().join("log");
        let mut start = || -> io::Result<Child> {
            let output = File::options().create(true).append(true).open(&log)?;
            let errors = output.try_clone()?;
            command.stdin(Stdio::null()).stdout(output).stderr(errors);
            // Out of reach of what ends the tests: the watchdog ends it in order.
            command.current_dir(folder.path()).process_group(0).spawn()
        };
        let process = start().map_err(HarnessError::io(format!("start `{name}`")))?;
        let daemon = Self { name, process, log, frozen: false };
        folder.watch(daemon.process.id()).map_err(HarnessError::io("tell the watchdog"))?;
        Ok(daemon)
    }

    /// Waits until it is ready.
    pub(crate) fn await_ready(&mut self, is_ready: impl Fn() -> bool) -> Result<(), HarnessError> {
        let deadline = Instant::now() + LIMIT;
        while !is_ready() {
            if let Some(status) = self.ended()? {
                return Err(HarnessError::Failed { program: self.name, status, output: self.last_words() });
            }
            if Instant::now() > deadline {
                return Err(self.timed_out("become ready"));
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Stops it, and waits for its end; what does not end is killed.
    pub(crate) fn stop(mut self, signal: Signal) -> Result<(), HarnessError> {
        let deadline = Instant::now() + LIMIT;
        self.thaw()?;
        family::send(self.id(), signal).map_err(HarnessError::io(format!("signal `{}`", self.name)))?;
        while self.ended()?.is_none() {
            if Instant::now() > deadline {
                let error = self.timed_out("stop");
                self.kill()?;
                return Err(error);
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Kills it and its children.
    pub(crate) fn kill(mut self) -> Result<(), HarnessError> {
        let mut kill = || -> io::Result<()> {
            let children = family::freeze(self.id())?;
            self.process.kill()?;
            self.process.wait()?;
            family::kill_all(&children)
        };
        kill().map_err(HarnessError::io(format!("kill `{}`", self.name)))
    }

    /// Stops it and its children where they are.
    pub(crate) fn freeze(&mut self) -> Result<(), HarnessError> {
        family::freeze(self.id()).map_err(HarnessError::io(format!("freeze `{}`", self.name)))?;
        self.frozen = true;
        Ok(())
    }

    /// Lets it go on.
    pub(crate) fn thaw(&mut self) -> Result<(), HarnessError> {
        if self.frozen {
            family::thaw(self.id()).map_err(HarnessError::io(format!("thaw `{}`", self.name)))?;
            self.frozen = false;
        }
        Ok(())
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, HarnessError> {
        self.process.try_wait().map_err(HarnessError::io(format!("wait for `{}`", self.name)))
    }

    fn id(&self) -> i32 {
        i32::try_from(self.process.id()).expect("process ids are positive and signed")
    }

    fn timed_out(&self, operation: &'static str) -> HarnessError {
        HarnessError::TimedOut { program: self.name, operation, limit: LIMIT, output: self.last_words() }
    }

    fn last_words(&self) -> String {
        tail(&self.log)
    }
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_else(|error| format!("(no log: {error})"));
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
