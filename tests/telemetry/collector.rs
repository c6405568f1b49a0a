//! A collector of OpenTelemetry's protocol over HTTP, as small as it can be.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

/// What was received.
#[derive(Debug, Default)]
pub struct Received {
    pub traces: Vec<ExportTraceServiceRequest>,
    pub metrics: Vec<ExportMetricsServiceRequest>,
}

/// Receives for as long as the test runs.
pub struct Collector {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::<Mutex<Received>>::default();
        let book = Arc::clone(&received);
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let book = Arc::clone(&book);
                thread::spawn(move || serve(&connection, &book));
            }
        });
        Self { address, received }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn received(&self) -> Received {
        std::mem::take(&mut *self.received.lock().unwrap())
    }
}

/// Answers the requests of a connection, one after the other.
fn serve(mut connection: &TcpStream, book: &Mutex<Received>) {
    let mut reader = BufReader::new(connection);
    while let Some((path, body)) = request(&mut reader) {
        match &*path {
            "/v1/traces" => {
                book.lock().unwrap().traces.push(ExportTraceServiceRequest::decode(&*body).unwrap());
            }
            "/v1/metrics" => {
                book.lock().unwrap().metrics.push(ExportMetricsServiceRequest::decode(&*body).unwrap());
            }
            other => panic!("nobody sends to {other}"),
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        connection.write_all(answer.as_bytes()).unwrap();
    }
}

/// Path and body of the next request; `None` when the connection is closed.
fn request(reader: &mut BufReader<&TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0).map(|_| line.trim_end().to_owned())
    };
    let path = line()?.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let header = line()?.to_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}
