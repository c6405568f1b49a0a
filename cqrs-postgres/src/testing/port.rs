use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Below the range from which operating systems take ports for clients, so that nobody gets the port of a
/// server while it restarts.
const RANGE: std::ops::Range<u16> = 15_000..30_000;

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
