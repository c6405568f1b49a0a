use crate::publisher::Message;

/// How many messages are published at once.
///
/// ```
/// use cqrs_core::publisher::BatchLimits;
///
/// let limits = BatchLimits::new().messages(10).bytes(256 * 1024);
/// # let _ = limits;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct BatchLimits {
    messages: usize,
    bytes: usize,
}

/// What a message counts beside its payload, in bytes.
const OVERHEAD: usize = 256;

impl Default for BatchLimits {
    fn default() -> Self {
        Self { messages: 100, bytes: 1024 * 1024 }
    }
}

impl BatchLimits {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many messages, at least 1; 100 unless set.
    pub fn messages(mut self, messages: usize) -> Self {
        self.messages = messages.max(1);
        self
    }

    /// How many bytes of payload, 256 counted for each message beside its own; 1 MiB unless set. A message that is larger
    /// goes alone.
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// How many of these messages go at once.
    pub(super) fn count(&self, messages: &[Message]) -> usize {
        let mut bytes = 0_usize;
        let fits = |message: &&Message| {
            bytes = bytes.saturating_add(message.payload.len() + OVERHEAD);
            bytes <= self.bytes
        };
        let fitting = messages.iter().take(self.messages).take_while(fits).count();
        fitting.max(1).min(messages.len())
    }

    /// Whether there is no need of more.
    pub(super) fn is_reached(&self, messages: &[Message]) -> bool {
        let bytes: usize = messages.iter().map(|message| message.payload.len() + OVERHEAD).sum();
        messages.len() >= self.messages || bytes >= self.bytes
    }
}
