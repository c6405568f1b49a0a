//! Control groups, which limit the memory of containers and services.

use std::iter;

use crate::memory_pressure::MemoryUse;

/// Gives what is in a file.
pub(crate) type Read<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A version of control groups: where it lies, and how its files are called.
struct Version {
    root: &'static str,
    limit: &'static str,
    used: &'static str,
    /// What can be had back at once, in `memory.stat`.
    cache: &'static str,
}

const V2: Version =
    Version { root: "/sys/fs/cgroup", limit: "memory.max", used: "memory.current", cache: "inactive_file " };

const V1: Version = Version {
    root: "/sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cache: "total_inactive_file ",
};

/// The closest limit of the group that the process belongs to, and of those around it. One that is beyond the memory of
/// the machine is none.
pub(crate) fn measure(read: &Read<'_>, machine: u64) -> Option<MemoryUse> {
    let groups = read("/proc/self/cgroup")?;
    let measured = groups.lines().filter_map(version).flat_map(|(version, path)| {
        around(path).filter_map(move |path| version.measure(read, path, machine))
    });
    measured.max_by_key(MemoryUse::percent)
}

/// A line such as `4:memory:/path`; that of the second version has no name.
fn version(line: &str) -> Option<(&'static Version, &str)> {
    let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
    match controllers {
        "" => Some((&V2, path)),
        _ if controllers.split(',').any(|controller| controller == "memory") => Some((&V1, path)),
        _ => None,
    }
}

/// A path without a slash at its end, and those above it up to the root, which is empty. A container may see itself as
/// the root, whatever its path is.
fn around(path: &str) -> impl Iterator<Item = &str> {
    iter::successors(Some(path.trim_end_matches('/')), |path| Some(path.rsplit_once('/')?.0))
}

impl Version {
    fn measure(&self, read: &Read<'_>, path: &str, machine: u64) -> Option<MemoryUse> {
        let file = |name: &str| read(&format!("{}{path}/{name}", self.root));
        let number = |name: &str| file(name)?.trim().parse::<u64>().ok();
        let limit = number(self.limit).filter(|limit| *limit < machine)?;
        let used = number(self.used)?;
        let stat = file("memory.stat").unwrap_or_default();
        let cache = stat.lines().find_map(|line| line.strip_prefix(self.cache)?.trim().parse().ok());
        Some(MemoryUse { used: used.saturating_sub(cache.unwrap_or(0)), limit })
    }
}
