use std::cmp::Reverse;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::testing::HarnessError;

/// Folders that hold one folder a version, as packages install them: where, how the version's folder begins,
/// and where its programs are.
const PACKAGED: &[(&str, &str, &str)] = &[
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ("/usr/local", "pgsql", "bin"),
];

/// The folder with `initdb` and `postgres`: from `PATH`, from `pg_config`, or the newest that a package has
/// installed.
pub(crate) fn find_postgres() -> Result<PathBuf, HarnessError> {
    let searched: Vec<_> = path().into_iter().chain(pg_config()).chain(packaged()).collect();
    let complete = |folder: &&PathBuf| folder.join("initdb").is_file() && folder.join("postgres").is_file();
    match searched.iter().find(complete) {
        Some(folder) => Ok(folder.clone()),
        None => Err(HarnessError::PostgresNotInstalled { searched: with_packages(searched) }),
    }
}

/// The program `pgbouncer`, from `PATH` or from where packages install it.
pub(crate) fn find_pgbouncer() -> Result<PathBuf, HarnessError> {
    let packaged = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/usr/local/bin"].map(PathBuf::from);
    let searched: Vec<_> = path().into_iter().chain(packaged).collect();
    let found = searched.iter().map(|folder| folder.join("pgbouncer")).find(|program| program.is_file());
    found.ok_or(HarnessError::PgBouncerNotInstalled { searched })
}

fn path() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| folder.trim().into())
}

/// All installed versions, the newest of each place first.
fn packaged() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for (parent, prefix, programs) in PACKAGED {
        let mut versions = versions(Path::new(parent), prefix);
        versions.sort_by_key(|(version, _)| Reverse(version.clone()));
        folders.extend(versions.into_iter().map(|(_, folder)| folder.join(programs)));
    }
    folders
}

fn versions(parent: &Path, prefix: &str) -> Vec<(Vec<u32>, PathBuf)> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let versioned = entries.filter_map(|entry| {
        let name = entry.file_name();
        let version = version(name.to_str()?.strip_prefix(prefix)?);
        Some((version, entry.path()))
    });
    versioned.collect()
}

/// The numbers of `@17` or `9.6`.
fn version(text: &str) -> Vec<u32> {
    text.split(|letter: char| !letter.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// A message that says where packages would be, although nothing is there.
fn with_packages(mut searched: Vec<PathBuf>) -> Vec<PathBuf> {
    searched.extend(PACKAGED.iter().map(|(parent, prefix, _)| Path::new(parent).join(format!("{prefix}*"))));
    searched
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(version("9.6") < version("10"));
        assert!(version("@9") < version("@17"));
        assert!(version("") < version("@17"));
    }
}
