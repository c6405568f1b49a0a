//! All names are in the tables of the documentation, and nothing else is there.

use std::collections::BTreeMap;

use cqrs::telemetry::{METRICS, SPANS};

use crate::domain::SECRET;
use crate::recorder::{Heard, all_heard};
use crate::story::story;
use crate::table::{self, MetricNames, SpanNames};

const INSTRUMENTS: [&str; 3] = ["histogram", "monotonic_counter", "gauge"];

/// Instrument and name of a field that is a metric.
fn metric(field: &str) -> Option<(&str, &str)> {
    field.split_once('.').filter(|(instrument, _)| INSTRUMENTS.contains(instrument))
}

fn spans_of(heard: &[Heard]) -> BTreeMap<String, SpanNames> {
    let spans = heard.iter().filter(|heard| heard.is_span && heard.target == SPANS);
    let names = spans.map(|span| {
        let names = SpanNames {
            level: span.level.as_str().to_lowercase(),
            kind: span.value("otel.kind").unwrap_or_default().to_owned(),
            fields: span.fields.iter().map(|field| (*field).to_owned()).collect(),
        };
        (span.name.to_owned(), names)
    });
    names.collect()
}

fn metrics_of(heard: &[Heard]) -> BTreeMap<String, MetricNames> {
    let mut found: BTreeMap<String, MetricNames> = BTreeMap::new();
    for event in heard.iter().filter(|heard| heard.target == METRICS) {
        let labels = event.fields.iter().filter(|field| metric(field).is_none());
        for (instrument, name) in event.values.keys().filter_map(|field| metric(field)) {
            let names = found.entry(name.to_owned()).or_default();
            names.instrument = instrument.to_owned();
            names.labels.extend(labels.clone().map(|label| (*label).to_owned()));
        }
    }
    found
}

#[tokio::test(start_paused = true)]
async fn what_is_told_is_what_the_tables_say_and_never_content() {
    story().await;
    let heard = all_heard();
    let (told, tables) = (spans_of(&heard), table::spans());
    for name in told.keys().chain(tables.keys()) {
        assert_eq!(told.get(name), tables.get(name), "span {name}: what is told, and the table");
    }
    let (told, tables) = (metrics_of(&heard), table::metrics());
    for name in told.keys().chain(tables.keys()) {
        assert_eq!(told.get(name), tables.get(name), "metric {name}: what is told, and the table");
    }
    let metrics = heard.iter().filter(|heard| heard.target == METRICS);
    for metric in metrics {
        assert_eq!(metric.level, tracing::Level::DEBUG);
        assert!(!metric.fields.contains(&"message"), "it would be a label: {metric:?}");
    }
    for heard in heard {
        let telling = heard.values.iter().find(|(_, value)| value.contains(SECRET));
        assert_eq!(telling, None, "{} of {} tells what a note contains", heard.name, heard.target);
    }
}

#[test]
fn labels_are_fields_with_few_values() {
    let fields = table::fields();
    for (name, metric) in table::metrics() {
        for label in metric.labels {
            let is_wide = fields.get(&label).unwrap_or_else(|| panic!("{name}: {label} is in no table"));
            assert!(!is_wide, "{name}: {label} has many values");
        }
    }
}
