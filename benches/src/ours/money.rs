//! The rules of the example `bank`, with its transfers.

#![expect(unreachable_pub, reason = "the example's modules read like those of a library")]

pub(super) mod application {
    use cqrs::prelude::*;

    #[derive(Router)]
    pub struct BankRouter;
}

#[path = "../../../examples/bank/domain.rs"]
pub(super) mod domain;
#[path = "../../../examples/bank/transfer.rs"]
pub(super) mod transfer;
