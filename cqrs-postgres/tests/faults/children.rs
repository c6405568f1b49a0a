use std::env;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::support::in_time;
use crate::{killed, leases};

/// A process of its own, which does what its part says, told and telling line by line.
pub(crate) struct ChildProcess {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

const PART: &str = "FAULTS_PART";
const URL: &str = "FAULTS_URL";
const SCHEMA: &str = "FAULTS_SCHEMA";
/// Begins what a child tells its parent.
const TELLS: &str = "child: ";

impl ChildProcess {
    pub(crate) fn start(part: &str, url: &str, schema: &str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "children::in_a_child_process", "--nocapture"]).kill_on_drop(true);
        command.env(PART, part).env(URL, url).env(SCHEMA, schema);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, input, output }
    }

    /// What the child tells next.
    pub(crate) async fn hear(&mut self) -> String {
        in_time(async {
            loop {
                let line = self.output.next_line().await.unwrap().expect("the child goes on");
                if let Some(told) = line.strip_prefix(TELLS) {
                    return told.to_owned();
                }
            }
        })
        .await
    }

    pub(crate) async fn tell(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    pub(crate) fn send(&self, signal: Signal) {
        let id = i32::try_from(self.process.id().expect("it is not over")).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }

    /// Waits until it is gone.
    pub(crate) async fn end(mut self) {
        in_time(self.process.wait()).await.unwrap();
    }
}

/// Tells the parent.
#[expect(clippy::print_stdout, reason = "the output is how a child tells")]
pub(crate) fn tell(line: &str) {
    println!("\n{TELLS}{line}");
}

/// What the parent tells next; nothing when it is gone.
pub(crate) async fn hear() -> Option<String> {
    // One at a time: nobody else reads the input.
    let read = || std::io::stdin().lines().next().map(Result::unwrap);
    tokio::task::spawn_blocking(read).await.unwrap()
}

/// Not a test, but what the children of tests run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_child_process() {
    let Ok(part) = env::var(PART) else { return };
    let (url, schema) = (env::var(URL).unwrap(), env::var(SCHEMA).unwrap());
    match part.as_str() {
        "writer" => killed::write(&url, &schema).await,
        "owner" => leases::own(&url, &schema).await,
        other => panic!("no part is named {other}"),
    }
}
