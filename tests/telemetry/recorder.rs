//! The subscriber of all tests: it writes down what it hears.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock};

use cqrs::telemetry::{METRICS, Propagator, SPANS, TraceContext};
use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Span, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// A span, a metric or a line of a log.
#[derive(Clone, Debug)]
pub struct Heard {
    pub name: &'static str,
    pub target: String,
    pub level: Level,
    pub is_span: bool,
    /// The names of all fields, whether they have a value or not.
    pub fields: Vec<&'static str>,
    pub values: BTreeMap<&'static str, String>,
    /// Its place, and those of the spans that it lies in and follows from.
    pub place: usize,
    pub parent: Option<usize>,
    pub follows: Vec<usize>,
    pub links: Vec<TraceContext>,
}

#[derive(Default)]
struct Book {
    heard: Vec<Heard>,
    /// The places of the spans that are open; their ids are used again.
    open: HashMap<u64, usize>,
}

struct Recorder {
    book: Mutex<Book>,
    changes: watch::Sender<()>,
}

static RECORDER: OnceLock<&'static Recorder> = OnceLock::new();

/// Hears everything from now on.
pub fn listen() {
    recorder();
}

/// What was heard so far of an application, in its order.
pub fn heard_of(application: &str) -> Vec<Heard> {
    let is_of = |heard: &&Heard| heard.value("cqrs.application") == Some(application);
    recorder().lock().heard.iter().filter(is_of).cloned().collect()
}

/// All that was heard so far.
pub fn all_heard() -> Vec<Heard> {
    recorder().lock().heard.clone()
}

/// Waits until that was heard of an application.
pub async fn until_heard(application: &str, is_it: impl Fn(&Heard) -> bool) -> Heard {
    let mut changes = recorder().changes.subscribe();
    loop {
        changes.mark_unchanged();
        if let Some(heard) = heard_of(application).into_iter().find(&is_it) {
            return heard;
        }
        changes.changed().await.expect("the recorder stays");
    }
}

impl Heard {
    pub fn value(&self, field: &str) -> Option<&str> {
        self.values.get(field).map(String::as_str)
    }

    pub fn is_span_of(&self, name: &str, field: &str, value: &str) -> bool {
        self.is_span && self.name == name && self.value(field) == Some(value)
    }

    /// Its place in the traces of these tests.
    pub fn trace_context(&self) -> TraceContext {
        let number = self.place + 1;
        TraceContext::new(format!("00-{number:032x}-{number:016x}-01")).unwrap()
    }
}

/// Knows spans by their places in the book.
#[derive(Debug)]
pub struct TestPropagator;

impl Propagator for TestPropagator {
    fn trace_context(&self, span: &Span) -> Option<TraceContext> {
        let book = recorder().lock();
        let place = *book.open.get(&span.id()?.into_u64())?;
        Some(book.heard[place].trace_context())
    }

    fn link(&self, span: &Span, to: &TraceContext) {
        let mut book = recorder().lock();
        let place = book.open[&span.id().expect("a span that is open").into_u64()];
        book.heard[place].links.push(to.clone());
    }
}

fn recorder() -> &'static Recorder {
    RECORDER.get_or_init(|| {
        let recorder =
            Box::leak(Box::new(Recorder { book: Mutex::default(), changes: watch::Sender::new(()) }));
        let subscriber = tracing_subscriber::registry().with(Listener(recorder));
        tracing::subscriber::set_global_default(subscriber).expect("it is the only one");
        recorder
    })
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    fn hear(
        &self,
        metadata: &'static Metadata<'static>,
        values: Values,
        parent: Option<usize>,
    ) -> Option<usize> {
        let target = metadata.target();
        if ![SPANS, METRICS].contains(&target) && !target.starts_with("cqrs_") && target != "test" {
            return None;
        }
        let mut book = self.lock();
        let place = book.heard.len();
        book.heard.push(Heard {
            name: metadata.name(),
            target: target.to_owned(),
            level: *metadata.level(),
            is_span: metadata.is_span(),
            fields: metadata.fields().iter().map(|field| field.name()).collect(),
            values: values.0,
            place,
            parent,
            follows: Vec::new(),
            links: Vec::new(),
        });
        Some(place)
    }
}

struct Listener(&'static Recorder);

impl Listener {
    fn place(&self, id: &Id) -> Option<usize> {
        self.0.lock().open.get(&id.into_u64()).copied()
    }
}

impl<S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>> Layer<S> for Listener {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut values = Values::default();
        attributes.record(&mut values);
        let current = context.lookup_current().map(|span| span.id()).filter(|_| attributes.is_contextual());
        let parent = attributes.parent().cloned().or(current).and_then(|parent| self.place(&parent));
        if let Some(place) = self.0.hear(attributes.metadata(), values, parent) {
            self.0.lock().open.insert(id.into_u64(), place);
        }
        self.0.changes.send_replace(());
    }

    fn on_record(&self, id: &Id, record: &tracing::span::Record<'_>, _context: Context<'_, S>) {
        let mut values = Values::default();
        record.record(&mut values);
        if let Some(place) = self.place(id) {
            self.0.lock().heard[place].values.extend(values.0);
        }
        self.0.changes.send_replace(());
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _context: Context<'_, S>) {
        if let (Some(place), Some(follows)) = (self.place(id), self.place(follows)) {
            self.0.lock().heard[place].follows.push(follows);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut values = Values::default();
        event.record(&mut values);
        let parent = context.lookup_current().and_then(|span| self.place(&span.id()));
        self.0.hear(event.metadata(), values, parent);
        self.0.changes.send_replace(());
    }

    fn on_close(&self, id: Id, _context: Context<'_, S>) {
        self.0.lock().open.remove(&id.into_u64());
    }
}

#[derive(Default)]
struct Values(BTreeMap<&'static str, String>);

impl Visit for Values {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
