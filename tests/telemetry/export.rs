//! The example `telemetry`, as a program that exports to a collector.

use std::net::TcpListener;
use std::process::Output;

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::collector::Collector;
use crate::program::example;

fn run(endpoint: &str) -> String {
    let Output { status, stdout, stderr } =
        example("telemetry").env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).output().expect("the example runs");
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{stdout}\n{stderr}");
    stdout
}

#[test]
fn traces_and_metrics_arrive_at_a_collector() {
    let collector = Collector::start();
    let told = run(&collector.endpoint());
    assert!(told.contains("traces and metrics were exported"), "{told}");
    let received = collector.received();

    let spans: Vec<Span> = received
        .traces
        .into_iter()
        .flat_map(|request| request.resource_spans)
        .flat_map(|of_resource| of_resource.scope_spans)
        .flat_map(|of_scope| of_scope.spans)
        .collect();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let (request, dispatches, handled) =
        (named("request"), named("send PlaceOrder"), named("process OrderPlaced"));
    assert_eq!((request.len(), dispatches.len(), handled.len()), (1, 4, 3));
    assert!(dispatches.iter().all(|dispatch| dispatch.parent_span_id == request[0].span_id));
    for handle in handled {
        assert!(handle.parent_span_id.is_empty(), "a trace of its own");
        let [link] = &handle.links[..] else { panic!("one link: {handle:?}") };
        assert!(dispatches.iter().any(|dispatch| dispatch.span_id == link.span_id));
        assert_eq!(link.trace_id, request[0].trace_id);
        assert!(named("send SendParcel").iter().any(|inside| inside.parent_span_id == handle.span_id));
    }

    let metrics: Vec<String> = received
        .metrics
        .into_iter()
        .flat_map(|request| request.resource_metrics)
        .flat_map(|of_resource| of_resource.scope_metrics)
        .flat_map(|of_scope| of_scope.metrics)
        .map(|metric| metric.name)
        .collect();
    for expected in ["messaging.client.sent.messages", "messaging.process.duration", "cqrs.append.events"] {
        assert!(metrics.iter().any(|name| name == expected), "{expected} is missing in {metrics:?}");
    }
}

#[test]
fn without_a_collector_the_program_says_so_and_ends() {
    // Nobody listens there any more.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let told = run(&format!("http://{address}"));
    assert!(told.contains("stopped") || told.contains("clean"), "{told}");
    assert!(told.contains("not everything was exported"), "{told}");
}
