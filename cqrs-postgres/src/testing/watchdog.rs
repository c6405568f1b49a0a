use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Each line names the process to end, or none any more. The end of the input means that whoever wrote has
/// ended, in whatever way: then the process gets the signal, ten seconds, and is killed. Postgres waits five
/// seconds for children that are stopped; where there is `pkill`, it need not.
///
/// Where nobody collects dead orphans, the process seems to live on; its lock file tells.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
folder=$1 lock=$2 signal=$3 process=
while read -r line; do process=$line; done
if [ -n "$process" ]; then
    pkill -CONT -P "$process"
    kill -s CONT "$process"
    kill -s "$signal" "$process"
    tries=0
    while [ -e "$lock" ] && kill -s 0 "$process" && [ "$tries" -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -s KILL "$process"
fi
tries=0
while [ -e "$folder" ] && [ "$tries" -lt 100 ]; do
    rm -rf "$folder" || sleep 0.1
    tries=$((tries + 1))
done
"#;

/// A shell that ends a server and removes its folder when this process is gone, even by `kill -9`.
///
/// It sits in a process group of its own, out of reach of what ends the tests.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    pub(crate) fn over(folder: &Path, lock: &Path, signal: &str) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "watchdog"]).arg(folder).arg(lock).arg(signal);
        command.current_dir("/").process_group(0);
        let shell = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { shell })
    }

    /// Watches this process from now on.
    pub(crate) fn watch(&mut self, process: u32) -> io::Result<()> {
        self.tell(&process.to_string())
    }

    /// Watches no process any more: its number may be another's soon.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        self.tell("")
    }

    fn tell(&mut self, line: &str) -> io::Result<()> {
        self.shell.stdin.as_ref().map_or(Ok(()), |mut input| writeln!(input, "{line}"))
    }
}

impl Drop for Watchdog {
    /// Waits until the folder is gone.
    fn drop(&mut self) {
        // `wait` closes the input. What fails here has no consequence for the test.
        let _ = self.shell.wait();
    }
}
