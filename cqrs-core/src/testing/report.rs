use std::fmt;
use std::fmt::Write as _;

/// Shows events, each on lines of its own.
pub(crate) fn list<E: fmt::Debug>(events: &[E]) -> String {
    let mut text = match events.len() {
        0 => return "no event".to_owned(),
        1 => "1 event:".to_owned(),
        count => format!("{count} events:"),
    };
    for event in events {
        let shown = format!("{event:#?}").replace('\n', "\n    ");
        // Writing to a string does not fail.
        let _ = write!(text, "\n    {shown}");
    }
    text
}

/// Shows both lists, and where they begin to differ.
pub(crate) fn compare<E: fmt::Debug + PartialEq>(expected: &[E], emitted: &[E]) -> String {
    let same = expected.iter().zip(emitted).take_while(|(expected, emitted)| expected == emitted).count();
    format!("expected {}\nemitted {}\nthey differ from event {} on", list(expected), list(emitted), same + 1)
}
