use std::fs;
use std::io;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

/// A process, as the operating system lists it.
struct Process {
    id: i32,
    parent: i32,
    /// The first letter of its state: `T` is stopped, `Z` dead and not yet collected.
    state: char,
}

/// Stops a process and its children where they are, and gives the children.
///
/// The parent comes first, so that the list of its children is final.
pub(crate) fn freeze(parent: i32) -> io::Result<Vec<i32>> {
    until_all(&[parent], Signal::SIGSTOP, &['T', 't', 'Z', 'X'])?;
    let children = children(parent)?;
    until_all(&children, Signal::SIGSTOP, &['T', 't', 'Z', 'X'])?;
    Ok(children)
}

/// Lets a frozen process and its children go on.
pub(crate) fn thaw(parent: i32) -> io::Result<()> {
    for child in children(parent)? {
        send(child, Signal::SIGCONT)?;
    }
    send(parent, Signal::SIGCONT)
}

/// Kills processes, and waits until nothing of them is left but what their parents have to collect.
pub(crate) fn kill_all(processes: &[i32]) -> io::Result<()> {
    until_all(processes, Signal::SIGKILL, &['Z', 'X'])
}

/// Sends a signal; a process that is gone is no error.
pub(crate) fn send(process: i32, signal: Signal) -> io::Result<()> {
    match kill(Pid::from_raw(process), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn children(parent: i32) -> io::Result<Vec<i32>> {
    let children = list()?.into_iter().filter(|process| process.parent == parent);
    Ok(children.map(|process| process.id).collect())
}

/// A signal is under way for a moment: repeats it until every process is in one of the states, or gone.
fn until_all(processes: &[i32], signal: Signal, states: &[char]) -> io::Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let listed = list()?.into_iter().filter(|process| processes.contains(&process.id));
        let missing: Vec<_> = listed.filter(|process| !states.contains(&process.state)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{signal} had no effect")));
        }
        for process in missing {
            send(process.id, signal)?;
        }
        thread::sleep(PAUSE);
    }
}

/// All processes: from `/proc` where there is one, since `ps` is not installed everywhere.
fn list() -> io::Result<Vec<Process>> {
    if fs::exists("/proc/self/stat")? { from_proc() } else { from_ps() }
}

fn from_proc() -> io::Result<Vec<Process>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(id) = entry?.file_name().to_string_lossy().parse() else { continue };
        // A process may end between the two looks.
        let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        processes.extend(parse_stat(id, &stat));
    }
    Ok(processes)
}

/// `id (name) state parent ...`, where the name may hold spaces and parentheses.
fn parse_stat(id: i32, stat: &str) -> Option<Process> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some(Process { id, parent, state })
}

fn from_ps() -> io::Result<Vec<Process>> {
    let output = Command::new("ps").args(["-A", "-o", "pid=", "-o", "ppid=", "-o", "stat="]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(parse_ps).collect())
}

fn parse_ps(line: &str) -> Option<Process> {
    let mut fields = line.split_whitespace();
    let id = fields.next()?.parse().ok()?;
    let parent = fields.next()?.parse().ok()?;
    let state = fields.next()?.chars().next()?;
    Some(Process { id, parent, state })
}

#[cfg(test)]
mod tests {
    use super::{parse_ps, parse_stat};

    #[test]
    fn a_name_may_hold_parentheses() {
        let process = parse_stat(7, "7 (a) b (c) S 42 1 1").unwrap();
        assert_eq!((process.id, process.parent, process.state), (7, 42, 'S'));
    }

    #[test]
    fn ps_prints_three_columns() {
        let process = parse_ps("  7    42 Ss+ ").unwrap();
        assert_eq!((process.id, process.parent, process.state), (7, 42, 'S'));
    }
}
