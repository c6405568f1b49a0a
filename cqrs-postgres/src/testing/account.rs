use std::fmt;
use std::io;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Uid, User};

use crate::testing::HarnessError;

/// Who runs the servers, which refuse to be run by root.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Account {
    /// The user who runs the tests.
    Own,
    /// Somebody else, because root runs the tests.
    Other { user: u32, group: u32 },
}

impl Account {
    pub(crate) fn choose() -> Result<Self, HarnessError> {
        if !Uid::effective().is_root() {
            return Ok(Self::Own);
        }
        let user = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
        let user = user.ok_or(HarnessError::NoUnprivilegedUser)?;
        Ok(Self::Other { user: user.uid.as_raw(), group: user.gid.as_raw() })
    }

    /// A command that this user runs.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Self::Other { user, group } = self {
            command.uid(user).gid(group);
        }
        command
    }

    pub(crate) fn give(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::Other { user, group } => chown(path, Some(user), Some(group)),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => formatter.write_str("the user of the tests"),
            Self::Other { user, .. } => write!(formatter, "user {user}, in place of root"),
        }
    }
}
