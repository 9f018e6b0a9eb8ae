//! One JSON object a line, flat: the fields of an event and of the spans around it stand side by
//! side, so that `run_id` is found in the same place in every line. Where a name occurs twice, the
//! innermost value counts.
//!
//! It never fails the caller: a line that can't be written is lost.

use std::fmt;
use std::io::Write;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The layer that writes the lines.
#[derive(Debug)]
pub(super) struct JsonLines<W> {
    writer: W,
}

impl<W> JsonLines<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer }
    }
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut of_event = Fields::default();
        event.record(&mut of_event);

        let metadata = event.metadata();
        let mut line = Map::new();
        let now = Timestamp::now();
        line.insert("timestamp".into(), format!("{now:.3}").into());
        line.insert("level".into(), metadata.level().as_str().into());
        // The message stands where people look first.
        if let Some(message) = of_event.0.shift_remove("message") {
            line.insert("message".into(), message);
        }
        line.insert("target".into(), metadata.target().into());
        let spans = context.event_scope(event).map(|scope| scope.from_root());
        for span in spans.into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<Fields>() {
                line.extend(fields.0.clone());
            }
        }
        line.extend(of_event.0);

        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // One write, so that lines of several threads don't mix.
        let _ = self
            .writer
            .make_writer_for(metadata)
            .write_all(text.as_bytes());
    }
}

/// The recorded fields of a span or an event.
#[derive(Debug, Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        // Our errors never repeat their source, so the whole chain is the message.
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        self.set(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("a lock").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines_of(log: impl FnOnce()) -> Vec<Value> {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = JsonLines::new(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = sink.0.lock().expect("a lock").clone();
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.ends_with('\n'), "{text}");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    #[test]
    fn the_fields_of_spans_stand_beside_those_of_the_event() {
        let lines = lines_of(|| {
            let _run = tracing::info_span!("run", run_id = "r1", attempt = 1).entered();
            let state = tracing::info_span!("state", attempt = 2, state = tracing::field::Empty);
            let _state = state.enter();
            state.record("state", "signing_in");
            tracing::warn!(took_ms = 12_u64, slow = true, "the state took long");
        });
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        let mut line = line.as_object().expect("an object").clone();
        let names: Vec<&String> = line.keys().take(3).collect();
        assert_eq!(names, ["timestamp", "level", "message"]);
        let time = line.remove("timestamp").expect("a time");
        let time = time.as_str().expect("text");
        assert!(
            time.len() == 24 && time.parse::<Timestamp>().is_ok(),
            "{time}"
        );
        assert_eq!(
            Value::Object(line),
            serde_json::json!({
                "level": "WARN",
                "message": "the state took long",
                "target": "platform::telemetry::json_lines::tests",
                "run_id": "r1",
                "attempt": 2,
                "state": "signing_in",
                "took_ms": 12,
                "slow": true,
            })
        );
    }

    #[test]
    fn a_text_with_line_breaks_stays_in_one_line() {
        let lines = lines_of(|| tracing::info!(text = "a\n\"b\"", "one"));
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["text"], "a\n\"b\"");
    }

    #[test]
    fn an_error_is_logged_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("the claim failed")]
        struct Outer(#[source] io::Error);
        let error = Outer(io::Error::other("the table is away"));
        let lines = lines_of(|| {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::error!(error, "gave the run back");
        });
        assert_eq!(lines[0]["error"], "the claim failed: the table is away");
    }
}
