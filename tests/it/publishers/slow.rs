use super::domain::*;
use crate::support::gate::Gate;
use cqrs::handler::HandlerConsistency;
use cqrs::prelude::*;
use cqrs::publisher::{BatchLimits, Confirmed, Message, PublishFailure, Publisher};
use cqrs::testing::TestPublishError;

/// The way of one node to a broker: each batch waits at a gate before it is handed over.
#[derive(Clone)]
pub struct SlowWay {
    pub broker: Broker,
    pub gate: Gate,
}

impl SlowWay {
    pub fn to(broker: &Broker) -> Self {
        Self { broker: broker.clone(), gate: Gate::shut() }
    }
}

impl Publisher for SlowWay {
    const NAME: &'static str = NAME;
    const CONSISTENCY: HandlerConsistency = HandlerConsistency::Strong;
    type Event = Noted;
    type Error = TestPublishError;

    async fn publish(&self, messages: &[Message]) -> Result<Confirmed, TestPublishError> {
        self.gate.pass().await;
        self.broker.publish(messages).await
    }

    fn limits(&self) -> BatchLimits {
        Publisher::limits(&self.broker)
    }

    async fn on_error(&self, failure: &PublishFailure<TestPublishError>) -> ErrorAction {
        Publisher::on_error(&self.broker, failure).await
    }
}
