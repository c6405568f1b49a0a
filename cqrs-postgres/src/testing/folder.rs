use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::testing::account::Account;
use crate::testing::watchdog::Watchdog;

/// A folder for one server, gone with it.
#[derive(Debug)]
pub(crate) struct Folder {
    // Dropped in this order: the watchdog ends the server and removes the folder, and if somebody has killed
    // the watchdog, the folder goes all the same.
    watchdog: Watchdog,
    path: TempDir,
}

impl Folder {
    /// A new folder in `parent` that belongs to the account. The watchdog sends the signal to the server,
    /// which has ended when its lock file, relative to the folder, is gone.
    pub(crate) fn create(parent: &Path, account: Account, lock: &str, signal: &str) -> io::Result<Self> {
        let path = tempfile::Builder::new().prefix("cqrs-postgres-").tempdir_in(parent)?;
        account.give(path.path())?;
        let watchdog = Watchdog::over(path.path(), &path.path().join(lock), signal)?;
        Ok(Self { watchdog, path })
    }

    /// Where temporary folders go by default.
    pub(crate) fn default_parent() -> PathBuf {
        std::env::temp_dir()
    }

    pub(crate) fn path(&self) -> &Path {
        self.path.path()
    }

    pub(crate) fn watch(&mut self, process: u32) -> io::Result<()> {
        self.watchdog.watch(process)
    }

    pub(crate) fn forget(&mut self) -> io::Result<()> {
        self.watchdog.forget()
    }
}
