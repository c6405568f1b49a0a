//! Every field that the sources name is in the table of the documentation, whichever line of a log it is for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::table::{self, Names};

const ROOTS: [&str; 4] = ["cqrs.", "otel.", "messaging.", "error."];

/// What is written before an equals sign, if it is the name of a field.
fn field(before: &str) -> Option<&str> {
    let word = before.rsplit(['(', ' ']).next()?;
    let is_name = word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'));
    (is_name && ROOTS.iter().any(|root| word.starts_with(root))).then_some(word)
}

fn collect(folder: &Path, found: &mut Names) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in lines {
                let parts: Vec<&str> = line.split(" = ").collect();
                let names = parts[..parts.len() - 1].iter().filter_map(|before| field(before));
                found.extend(names.map(str::to_owned));
            }
        }
    }
}

#[test]
fn the_fields_of_the_sources_are_those_of_the_table() {
    let mut found = Names::new();
    for folder in ["cqrs-core/src", "cqrs-memory/src", "cqrs-postgres/src"] {
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    let table: BTreeSet<String> = table::fields().into_keys().collect();
    let missing: Vec<_> = found.difference(&table).collect();
    let unknown: Vec<_> = table.difference(&found).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "not in the table: {missing:?}; nowhere else: {unknown:?}"
    );
}

#[test]
fn the_fields_of_spans_are_in_the_table() {
    let fields = table::fields();
    for (name, span) in table::spans() {
        for field in span.fields {
            assert!(fields.contains_key(&field), "span {name}: {field} is not in the table of fields");
        }
    }
}
