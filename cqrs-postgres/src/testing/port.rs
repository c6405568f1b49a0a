use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use crate::testing::HarnessError;

/// Below the range from which operating systems take ports for clients, so that nobody gets the port of a
/// server while it restarts.
const RANGE: Range<u16> = 15_000..30_000;
const ATTEMPTS: usize = 10;

/// A port of 127.0.0.1 on which nobody listens.
pub(crate) fn free_port() -> io::Result<u16> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..1_000 {
        let port = fastrand::u16(RANGE);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Starts a program on a free port, and on another one when somebody has been faster.
pub(crate) fn on_free_port<T>(
    mut start: impl FnMut(u16) -> Result<T, HarnessError>,
) -> Result<T, HarnessError> {
    let mut attempts = 1..=ATTEMPTS;
    loop {
        let port = free_port().map_err(HarnessError::io("find a free port"))?;
        match start(port) {
            Err(HarnessError::Failed { output, .. })
                if output.contains("Address already in use") && attempts.next().is_some() => {}
            started => return started,
        }
    }
}
