use std::collections::HashMap;

/// The codes with which a client asks for encryption, before its start message.
const ASKS_FOR_ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];
/// The longest start message that a server takes.
const LONGEST_START: usize = 10_000;
const LONGEST_MESSAGE: usize = 1 << 30;

/// What a client asks of its server in one go: a query, or all up to a `Sync`.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// SQL, parameters, and the SQL of the prepared statements that are used.
    text: Vec<u8>,
    executes: bool,
}

impl Request {
    pub(crate) fn executes(&self) -> bool {
        self.executes
    }

    pub(crate) fn holds(&self, bytes: &[u8]) -> bool {
        bytes.is_empty() || self.text.windows(bytes.len()).any(|window| window == bytes)
    }
}

/// Finds the requests in what a client sends.
#[derive(Debug, Default)]
pub(crate) struct RequestReader {
    phase: Phase,
    message: Vec<u8>,
    request: Request,
    statements: HashMap<Vec<u8>, Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Phase {
    /// Messages have no type yet.
    #[default]
    Start,
    Open,
    /// What is sent is not the protocol, or is encrypted.
    Unreadable,
}

impl RequestReader {
    /// Reads as far as the end of a request, and tells how many bytes that are; without a request it has read
    /// all.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> (usize, Option<Request>) {
        let mut read = 0;
        while read < bytes.len() && self.phase != Phase::Unreadable {
            let missing = self.missing();
            let end = bytes.len().min(read + missing);
            self.message.extend_from_slice(&bytes[read..end]);
            read = end;
            if self.missing() == 0 && self.message_is_last() {
                return (read, Some(std::mem::take(&mut self.request)));
            }
        }
        (bytes.len(), None)
    }

    /// How many bytes the header or else the message still needs.
    fn missing(&mut self) -> usize {
        let header = if self.phase == Phase::Start { 4 } else { 5 };
        if self.message.len() < header {
            return header - self.message.len();
        }
        let length = number(&self.message[header - 4..]);
        let longest = if self.phase == Phase::Start { LONGEST_START } else { LONGEST_MESSAGE };
        if !(4..=longest).contains(&length) {
            self.phase = Phase::Unreadable;
            return usize::MAX;
        }
        header - 4 + length - self.message.len()
    }

    /// Takes the message that is complete; true for the last one of a request.
    fn message_is_last(&mut self) -> bool {
        let message = std::mem::take(&mut self.message);
        if self.phase == Phase::Start {
            let code = message.get(4..8).map_or(0, number);
            if !ASKS_FOR_ENCRYPTION.iter().any(|asks| *asks as usize == code) {
                self.phase = Phase::Open;
            }
            return false;
        }
        let (kind, body) = (message[0], &message[5..]);
        self.take(kind, body);
        matches!(kind, b'Q' | b'S' | b'F')
    }

    fn take(&mut self, kind: u8, body: &[u8]) {
        self.request.executes |= matches!(kind, b'Q' | b'E' | b'F');
        if matches!(kind, b'Q' | b'P' | b'B' | b'F') {
            self.request.text.extend_from_slice(body);
        }
        let mut strings = body.split(|byte| *byte == 0);
        match kind {
            b'P' => {
                let (name, sql) = (strings.next().unwrap_or_default(), strings.next().unwrap_or_default());
                self.statements.insert(name.to_vec(), sql.to_vec());
            }
            b'B' => {
                let statement = strings.nth(1).and_then(|name| self.statements.get(name));
                self.request.text.extend(statement.into_iter().flatten());
            }
            b'C' => {
                let statement = strings.next().and_then(|name| name.strip_prefix(b"S"));
                statement.and_then(|name| self.statements.remove(name));
            }
            _ => {}
        }
    }
}

fn number(bytes: &[u8]) -> usize {
    bytes[..4].iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::{Request, RequestReader};

    fn message(kind: &str, body: &str) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [kind.as_bytes(), &length, body.as_bytes()].concat()
    }

    fn start() -> Vec<u8> {
        message("", "\0\x03\0\0user\0ada\0\0")
    }

    /// What the reader finds when it gets so many bytes at a time.
    fn requests(bytes: &[u8], at_a_time: usize) -> Vec<Request> {
        let mut reader = RequestReader::default();
        let mut found = Vec::new();
        for mut chunk in bytes.chunks(at_a_time) {
            while !chunk.is_empty() {
                let (read, request) = reader.read(chunk);
                assert!(request.is_some() || read == chunk.len());
                found.extend(request);
                chunk = &chunk[read..];
            }
        }
        found
    }

    #[test]
    fn requests_are_found_however_they_arrive() {
        let asks_for_encryption = [0, 0, 0, 8, 4, 210, 22, 47];
        let bytes = [
            asks_for_encryption.to_vec(),
            start(),
            message("p", "secret\0"),
            message("Q", "COMMIT\0"),
            message("P", "s1\0SELECT append($1)\0\0\0"),
            message("D", "Ss1\0"),
            message("S", ""),
            message("B", "\0s1\0\0\0\0\x01account-1"),
            message("E", "\0\0\0\0\0"),
            message("S", ""),
            message("X", ""),
        ]
        .concat();
        for at_a_time in [1, 2, 3, 7, bytes.len()] {
            let found = requests(&bytes, at_a_time);
            let [commit, prepare, append] = &found[..] else { panic!("{found:?}") };
            assert!(commit.executes() && commit.holds(b"COMMIT") && !commit.holds(b"secret"));
            assert!(!prepare.executes() && prepare.holds(b"append("));
            assert!(append.executes() && append.holds(b"append(") && append.holds(b"account-1"));
        }
    }

    #[test]
    fn a_closed_statement_is_forgotten() {
        let bytes = [
            start(),
            message("P", "s1\0SELECT one\0\0\0"),
            message("C", "Ss1\0"),
            message("B", "\0s1\0"),
            message("E", "\0"),
            message("S", ""),
        ];
        let mut reader = RequestReader::default();
        reader.read(&bytes.concat());
        assert!(reader.statements.is_empty());
    }

    #[test]
    fn what_is_encrypted_has_no_requests() {
        let bytes = [&[0, 0, 0, 8, 4, 210, 22, 47], &[22, 3, 1, 2, 0, 1, 0, 1][..], &[0; 100]].concat();
        assert!(requests(&bytes, 5).is_empty());
    }
}
