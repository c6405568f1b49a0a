use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

use crate::event::EventRegistry;
use crate::schema::{EventLock, LockError};

/// What [`check_file`] may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockMode {
    /// Nothing.
    Check,
    /// A file that does not exist.
    Create,
    /// A file that does not exist, and changes that leave stored events readable.
    Write,
    /// Everything.
    Overwrite,
}

/// What [`check_file`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockOutcome {
    /// The file has the shapes of the program.
    UpToDate,
    /// The file was written.
    Written,
}

impl LockMode {
    /// The mode of the environment: `CQRS_EVENTS_LOCK`, or else [`LockMode::Check`] where `CI` is set, to something else
    /// than `false`, and [`LockMode::Create`] elsewhere.
    ///
    /// # Errors
    /// When the variable means nothing.
    pub fn of_environment() -> Result<Self, LockError> {
        Self::of(std::env::var_os("CQRS_EVENTS_LOCK").as_deref(), std::env::var_os("CI").as_deref())
    }

    fn of(mode: Option<&OsStr>, ci: Option<&OsStr>) -> Result<Self, LockError> {
        let is_ci = ci.is_some_and(|ci| !ci.is_empty() && ci != "false");
        match mode {
            Some(mode) => mode.to_string_lossy().parse(),
            None if is_ci => Ok(Self::Check),
            None => Ok(Self::Create),
        }
    }
}

impl FromStr for LockMode {
    type Err = LockError;

    fn from_str(mode: &str) -> Result<Self, LockError> {
        match mode {
            "check" => Ok(Self::Check),
            "create" => Ok(Self::Create),
            "write" => Ok(Self::Write),
            "overwrite" => Ok(Self::Overwrite),
            other => Err(LockError::UnknownMode { value: other.to_owned() }),
        }
    }
}

/// Compares registered events with a file, and writes it where the mode says so. [`check!`](crate::schema::check) calls
/// it with the events of the program; call it with those of an application when some are registered by hand.
///
/// # Errors
/// When the file is missing, out of date, or has shapes that the program cannot read any more; when it cannot be read or
/// written; when the events contradict each other.
///
/// ```
/// use cqrs_core::event::EventRegistry;
/// use cqrs_core::schema::{LockMode, LockOutcome, check_file};
///
/// # let folder = std::env::temp_dir().join(format!("events-lock-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("events.lock");
/// let events = EventRegistry::of_program();
/// assert_eq!(check_file(&path, &events, LockMode::Create)?, LockOutcome::Written);
/// assert_eq!(check_file(&path, &events, LockMode::Check)?, LockOutcome::UpToDate);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check_file(
    path: impl AsRef<Path>,
    events: &EventRegistry,
    mode: LockMode,
) -> Result<LockOutcome, LockError> {
    let path = path.as_ref();
    if !events.faults().is_empty() {
        let faults = events.faults().to_vec();
        return Err(LockError::Registry { path: path.to_owned(), faults });
    }
    let program = EventLock::of(events);
    if mode == LockMode::Overwrite {
        return write(path, &program);
    }
    let Some(committed) = read(path)? else {
        return match mode {
            LockMode::Check => Err(LockError::Missing { path: path.to_owned() }),
            LockMode::Create | LockMode::Write | LockMode::Overwrite => write(path, &program),
        };
    };
    let faults = committed.faults_of(&program);
    if !faults.is_empty() {
        return Err(LockError::Incompatible { path: path.to_owned(), faults });
    }
    if committed == program {
        return Ok(LockOutcome::UpToDate);
    }
    if mode == LockMode::Write {
        return write(path, &program);
    }
    let updates = committed.updates_of(&program);
    Err(LockError::OutOfDate { path: path.to_owned(), updates })
}

fn read(path: &Path) -> Result<Option<EventLock>, LockError> {
    match fs::read_to_string(path) {
        Ok(text) => {
            text.parse().map(Some).map_err(|source| LockError::Syntax { path: path.to_owned(), source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LockError::Io { path: path.to_owned(), source }),
    }
}

/// Tests of several binaries may write and read the file at the same time, so that it appears whole.
fn write(path: &Path, lock: &EventLock) -> Result<LockOutcome, LockError> {
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let written = fs::write(&draft, lock.to_string()).and_then(|()| fs::rename(&draft, path));
    written.map_err(|source| LockError::Io { path: path.to_owned(), source })?;
    Ok(LockOutcome::Written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_on_the_mode() {
        let of =
            |mode: Option<&str>, ci: Option<&str>| LockMode::of(mode.map(OsStr::new), ci.map(OsStr::new));
        assert_eq!(of(None, None).unwrap(), LockMode::Create);
        assert_eq!(of(None, Some("true")).unwrap(), LockMode::Check);
        assert_eq!(of(None, Some("false")).unwrap(), LockMode::Create);
        assert_eq!(of(Some("write"), Some("true")).unwrap(), LockMode::Write);
        assert_eq!(of(Some("overwrite"), None).unwrap(), LockMode::Overwrite);
        let error = of(Some("yes"), None).unwrap_err();
        assert!(error.to_string().contains("\"yes\""), "{error}");
    }
}
