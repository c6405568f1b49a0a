use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::testing::account::Account;
use crate::testing::binaries::find_postgres;
use crate::testing::daemon::Daemon;
use crate::testing::folder::Folder;
use crate::testing::port::on_free_port;
use crate::testing::{HarnessError, StopMode, TestServerBuilder};

/// The longest path that every operating system takes for the folder of a socket.
const SOCKET_FOLDER_LIMIT: usize = 80;

/// A throwaway Postgres cluster in a folder of its own. All of this blocks.
#[derive(Debug)]
pub(crate) struct Cluster {
    // Dropped before the folder is.
    server: Option<Daemon>,
    folder: Folder,
    programs: PathBuf,
    account: Account,
    port: u16,
    was_killed: bool,
}

impl Cluster {
    pub(crate) fn create(options: &TestServerBuilder) -> Result<Self, HarnessError> {
        let programs = options.programs.clone().map_or_else(find_postgres, Ok)?;
        let account = Account::choose()?;
        let in_parent = format!("create a folder in {}", options.parent.display());
        let folder = Folder::create(&options.parent, account, "data/postmaster.pid", "QUIT");
        let folder = folder.map_err(HarnessError::io(in_parent))?;
        let mut cluster = Self { server: None, folder, programs, account, port: 0, was_killed: false };
        cluster.initialize()?;
        cluster.configure(&options.settings)?;
        on_free_port(|port| {
            cluster.port = port;
            cluster.start()
        })?;
        Ok(cluster)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the server; without effect while it runs.
    pub(crate) fn start(&mut self) -> Result<(), HarnessError> {
        if self.server.is_some() {
            return Ok(());
        }
        let mut command = self.account.command(&self.programs.join("postgres"));
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]).env("LC_ALL", "C");
        let server = Daemon::start("postgres", &mut command, &mut self.folder)?;
        let lock = self.lock();
        self.server.insert(server).await_ready(|| is_ready(&lock)).inspect_err(|_| drop(self.kill()))?;
        self.was_killed = false;
        Ok(())
    }

    /// Stops the server; without effect when it does not run.
    pub(crate) fn stop(&mut self, mode: StopMode) -> Result<(), HarnessError> {
        let signal = match mode {
            StopMode::Fast => Signal::SIGINT,
            StopMode::Immediate => Signal::SIGQUIT,
        };
        let stopped = self.server.take().map_or(Ok(()), |server| server.stop(signal));
        self.forget().and(stopped)
    }

    /// Kills the server; without effect when it does not run.
    pub(crate) fn kill(&mut self) -> Result<(), HarnessError> {
        let killed = self.server.take().map_or(Ok(()), |server| {
            self.was_killed = true;
            server.kill()
        });
        self.forget().and(killed)
    }

    pub(crate) fn pause(&mut self) -> Result<(), HarnessError> {
        self.server.as_mut().map_or(Ok(()), Daemon::freeze)
    }

    pub(crate) fn resume(&mut self) -> Result<(), HarnessError> {
        self.server.as_mut().map_or(Ok(()), Daemon::thaw)
    }

    /// What is left of a killed server names a process that is gone; its number may be another's soon.
    fn forget(&mut self) -> Result<(), HarnessError> {
        self.folder.forget().map_err(HarnessError::io("tell the watchdog"))?;
        match fs::remove_file(self.lock()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(HarnessError::io("remove the server's lock file")(error))
            }
            _ => Ok(()),
        }
    }

    fn initialize(&self) -> Result<(), HarnessError> {
        let mut command = self.account.command(&self.programs.join("initdb"));
        command.arg("-D").arg(self.data());
        command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        command.env("LC_ALL", "C").current_dir(self.folder.path()).stdin(Stdio::null());
        let start = format!("start `initdb` in {} as {}", self.folder.path().display(), self.account);
        let output = command.output().map_err(HarnessError::io(start))?;
        if output.status.success() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(HarnessError::Failed { program: "initdb", status: output.status, output: errors })
    }

    fn configure(&self, settings: &[(String, String)]) -> Result<(), HarnessError> {
        let sockets = self.folder.path().display().to_string();
        let sockets = if sockets.len() > SOCKET_FOLDER_LIMIT { String::new() } else { sockets };
        let mut lines =
            format!("listen_addresses = '127.0.0.1'\nunix_socket_directories = {}\n", quote(&sockets));
        for (name, value) in settings {
            lines.push_str(&format!("{name} = {}\n", quote(value)));
        }
        let path = self.data().join("postgresql.conf");
        let append = || fs::File::options().append(true).open(&path)?.write_all(lines.as_bytes());
        append().map_err(HarnessError::io(format!("write {}", path.display())))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn lock(&self) -> PathBuf {
        self.data().join("postmaster.pid")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A killed server leaves shared memory behind, which only its successor removes.
        if self.was_killed {
            drop(self.start());
        }
        // The watchdog does what fails here.
        if self.stop(StopMode::Immediate).is_err() {
            drop(self.kill());
        }
    }
}

/// The eighth line of the server's lock file is its state.
fn is_ready(lock: &Path) -> bool {
    fs::read_to_string(lock)
        .is_ok_and(|text| text.lines().nth(7).is_some_and(|state| state.trim() == "ready"))
}

/// A value as `postgresql.conf` takes it.
fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_value_may_hold_quotes_and_backslashes() {
        assert_eq!(quote(r"it's a \ b"), r"'it''s a \\ b'");
    }
}
