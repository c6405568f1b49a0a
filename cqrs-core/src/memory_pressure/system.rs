use std::fs;

use crate::memory_pressure::{MemoryMeter, MemoryUse, cgroup};

/// The memory of this process, as Linux tells it.
///
/// | there is | in use | limit |
/// |---|---|---|
/// | a limit of the control group, v2 or v1 | what the group uses, without the file cache that is not active | the one of the group, or of those around it, that is closest |
/// | none | the resident memory of the process | the memory of the machine |
///
/// A look reads a few small files that the kernel makes up. On other systems nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemMemory;

impl MemoryMeter for SystemMemory {
    fn measure(&self) -> Option<MemoryUse> {
        measure(&|path| fs::read_to_string(path).ok())
    }
}

/// Measures by files; `read` gives what is in one.
fn measure(read: &cgroup::Read<'_>) -> Option<MemoryUse> {
    let machine = kilobytes(&read("/proc/meminfo")?, "MemTotal:")?;
    let of_group = cgroup::measure(read, machine);
    of_group.or_else(|| {
        let used = kilobytes(&read("/proc/self/status")?, "VmRSS:")?;
        Some(MemoryUse { used, limit: machine })
    })
}

/// A line such as `MemTotal:   16384 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &[(&str, &str)] = &[
        ("/proc/meminfo", "MemTotal:       1000 kB\nMemFree:        500 kB\n"),
        ("/proc/self/status", "Name:\tbank\nVmRSS:\t     200 kB\n"),
    ];

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: Option<(u64, u64)>) {
        let read = |path: &str| {
            let mut all = files.iter().chain(MACHINE);
            all.find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned())
        };
        let expected = expected.map(|(used, limit)| MemoryUse { used, limit });
        assert_eq!(measure(&read), expected);
    }

    #[test]
    fn n_27_without_a_limit_of_its_own_the_process_has_the_machine() {
        check(&[], Some((204_800, 1_024_000)));
        check(
            &[("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/memory.max", "max\n")],
            Some((204_800, 1_024_000)),
        );
        check(&[("/proc/meminfo", "nothing of that sort")], None);
        check(&[("/proc/self/status", "")], None);
    }

    #[test]
    fn n_27_a_control_group_has_a_limit() {
        check(
            &[
                ("/proc/self/cgroup", "0::/bank.slice\n"),
                ("/sys/fs/cgroup/bank.slice/memory.max", "9000\n"),
                ("/sys/fs/cgroup/bank.slice/memory.current", "5000\n"),
                ("/sys/fs/cgroup/bank.slice/memory.stat", "anon 1\ninactive_file 2000\nactive_file 9\n"),
            ],
            Some((3_000, 9_000)),
        );
    }

    /// In a container that sees no path but its own, files lie at the root.
    #[test]
    fn n_27_of_several_limits_the_closest_counts() {
        check(
            &[
                ("/proc/self/cgroup", "0::/pod/bank\n"),
                ("/sys/fs/cgroup/pod/bank/memory.max", "9000\n"),
                ("/sys/fs/cgroup/pod/bank/memory.current", "3000\n"),
                ("/sys/fs/cgroup/pod/memory.max", "10000\n"),
                ("/sys/fs/cgroup/pod/memory.current", "9500\n"),
                ("/sys/fs/cgroup/memory.max", "max\n"),
            ],
            Some((9_500, 10_000)),
        );
        let at_root = [
            ("/proc/self/cgroup", "0::/kubepods/x\n"),
            ("/sys/fs/cgroup/memory.max", "9000\n"),
            ("/sys/fs/cgroup/memory.current", "3000\n"),
        ];
        check(&at_root, Some((3_000, 9_000)));
    }

    #[test]
    fn n_27_the_first_version_of_control_groups_is_read_too() {
        let group = [
            ("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/bank\n0::/\n"),
            ("/sys/fs/cgroup/memory/bank/memory.limit_in_bytes", "9000\n"),
            ("/sys/fs/cgroup/memory/bank/memory.usage_in_bytes", "5000\n"),
            ("/sys/fs/cgroup/memory/bank/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "9000000\n"),
        ];
        check(&group, Some((4_500, 9_000)));
        check(&[group[0], group[4], group[5]], Some((204_800, 1_024_000)));
    }
}
