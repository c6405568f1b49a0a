//! Measurements in processes of their own, and how they tell their values.

use std::io::Write as _;
use std::process::Stdio;

use tokio::process::Command;
use url::Url;

use crate::point::{BoxError, Point, Value};

/// What a line on standard error begins with when it holds a value.
const RESULT: &str = "result\t";

/// The child's side: tells what it measured. Standard output is thrown away, since a peer prints with each command.
pub(crate) fn tell(values: Vec<Value>) -> Result<(), BoxError> {
    let mut out = std::io::stderr().lock();
    for Value { metric, value, unit } in values {
        writeln!(out, "{RESULT}{metric}\t{value}\t{unit}")?;
    }
    Ok(())
}

/// Measures a point in memory.
pub(crate) async fn measure(point: Point, quick: bool) -> Result<Vec<Value>, BoxError> {
    let mut child = Command::new(std::env::current_exe()?);
    child.arg("measure").args([
        point.metric.to_string(),
        point.subject.to_string(),
        point.callers.to_string(),
    ]);
    if quick {
        child.arg("--quick");
    }
    let values = values(child).await;
    values.map_err(|error| format!("{} of {} failed: {error}", point.metric, point.subject).into())
}

/// A process that plays a role on a database.
pub(crate) fn role(name: &str, url: &Url, arguments: &[String]) -> Result<Command, BoxError> {
    let mut child = Command::new(std::env::current_exe()?);
    child.args(["play", name, url.as_str()]).args(arguments);
    Ok(child)
}

/// What a process measures that plays a role on a database.
pub(crate) async fn run_role(name: &str, url: &Url, arguments: &[String]) -> Result<Vec<Value>, BoxError> {
    values(role(name, url, arguments)?).await
}

async fn values(mut child: Command) -> Result<Vec<Value>, BoxError> {
    let output = child.stdout(Stdio::null()).output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(said.into());
    }
    said.lines().filter_map(|line| line.strip_prefix(RESULT)).map(parse).collect()
}

fn parse(line: &str) -> Result<Value, BoxError> {
    let fields: Vec<_> = line.split('\t').collect();
    let [metric, value, unit] = fields[..] else {
        return Err(format!("not a value: {line:?}").into());
    };
    Ok(Value::new(metric, value.parse()?, unit))
}
