use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::controls::{Controls, Weather};
use super::request::RequestReader;

const CHUNK: usize = 16 * 1024;
/// How many chunks are under way in each direction while they are delayed.
const UNDER_WAY: usize = 64;

/// What arrived, and when; nothing is the end.
type Arrival = (Instant, Vec<u8>);

#[derive(Clone, Copy, PartialEq)]
enum End {
    /// One side has closed the connection.
    Closed,
    /// The proxy was told to cut it.
    Cut,
    /// The answer has arrived and goes no further.
    AnswerLost,
}

/// Relays one connection to its end. Whatever the relay waits for, a cut drops it.
pub(crate) async fn serve(mut client: TcpStream, controls: &Controls, cut: &CancellationToken) {
    let end = tokio::select! {
        biased;
        () = cut.cancelled() => End::Cut,
        end = relay(&mut client, controls) => end,
    };
    // Counted before the client can notice.
    if end == End::AnswerLost {
        controls.count_lost_answer();
    }
    if end != End::Closed {
        controls.count_cut();
        // A reset, and not an end in order. A client that is gone does not need it.
        let _ = client.set_zero_linger();
    }
}

async fn relay(client: &mut TcpStream, controls: &Controls) -> End {
    controls.pass().await;
    // A delay of small packets would be one that the test did not ask for.
    let _ = client.set_nodelay(true);
    let Ok(mut server) = controls.connect().await else { return End::Closed };
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let (requests_in, requests) = mpsc::channel(UNDER_WAY);
    let (answers_in, answers) = mpsc::channel(UNDER_WAY);
    let losing = AtomicBool::new(false);
    let rest = async {
        let requests = forward_requests(requests, to_server, controls, &losing);
        tokio::join!(requests, receive(from_client, requests_in), receive(from_server, answers_in)).0
    };
    tokio::select! {
        end = forward_answers(answers, to_client, controls, &losing) => end,
        never = rest => match never {},
    }
}

/// Notes what arrives and when, so that a delay does not make a long answer slower than a short one.
async fn receive(mut from: ReadHalf<'_>, arrivals: Sender<Arrival>) {
    loop {
        let mut bytes = Vec::with_capacity(CHUNK);
        // A connection that was reset has ended.
        let read = from.read_buf(&mut bytes).await.unwrap_or(0);
        if arrivals.send((Instant::now(), bytes)).await.is_err() || read == 0 {
            return;
        }
    }
}

/// The next bytes, when they may go on; nothing at the end.
async fn next(
    arrivals: &mut Receiver<Arrival>,
    controls: &Controls,
    latency: impl Fn(Weather) -> Duration,
) -> Option<Vec<u8>> {
    let (arrived, bytes) = arrivals.recv().await?;
    sleep_until(arrived + latency(controls.weather())).await;
    controls.pass().await;
    (!bytes.is_empty()).then_some(bytes)
}

/// Never returns: the connection ends with the answers.
async fn forward_requests(
    mut requests: Receiver<Arrival>,
    mut server: WriteHalf<'_>,
    controls: &Controls,
    losing: &AtomicBool,
) -> Infallible {
    let mut reader = RequestReader::default();
    while let Some(bytes) = next(&mut requests, controls, |weather| weather.to_server).await {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (length, request) = reader.read(rest);
            let (lost, awaiting) = request.map_or_else(Default::default, |request| {
                let mut faults = controls.faults();
                (faults.strike(&request), faults.awaiting(&request))
            });
            // Before the server can answer.
            losing.fetch_or(lost, Ordering::Relaxed);
            let written = server.write_all(&rest[..length]).await;
            for told in awaiting {
                // Whoever does not wait any more need not be told.
                let _ = told.send(());
            }
            if written.is_err() || lost {
                return pending().await;
            }
            rest = &rest[length..];
        }
    }
    // The server may have answers still.
    let _ = server.shutdown().await;
    pending().await
}

async fn forward_answers(
    mut answers: Receiver<Arrival>,
    mut client: WriteHalf<'_>,
    controls: &Controls,
    losing: &AtomicBool,
) -> End {
    let mut lost = Vec::new();
    while let Some(bytes) = next(&mut answers, controls, |weather| weather.to_client).await {
        if losing.load(Ordering::Relaxed) {
            lost.extend(bytes);
            if is_complete(&lost) {
                return End::AnswerLost;
            }
        } else if client.write_all(&bytes).await.is_err() {
            return End::Closed;
        }
    }
    if losing.load(Ordering::Relaxed) { End::AnswerLost } else { End::Closed }
}

/// An answer ends when the server is ready for the next request, outside, inside or in a failed transaction.
fn is_complete(answer: &[u8]) -> bool {
    matches!(answer, [.., b'Z', 0, 0, 0, 5, b'I' | b'T' | b'E'])
}
