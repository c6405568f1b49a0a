//! There is no way from a projection to its application.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Rows(MemoryRows<String, u64>);

application! {
    pub struct Bank {
        routers: [BankRouter],
    }
}

#[projection(name = "rows", interested_in = [Opened])]
impl Rows {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.0
    }

    async fn on_opened(&self, _: &Opened, context: &ProjectionContext) {
        let bank = context.app::<Bank>();
    }
}

fn main() {}
