//! The rules of the example `bank`, for tests that need a domain with transfers.

#![allow(dead_code, reason = "the tests use a part of it")]

pub mod application {
    use cqrs::prelude::*;

    #[derive(Router)]
    pub struct BankRouter;
}

#[path = "../../examples/bank/domain.rs"]
pub mod domain;
#[path = "../../examples/bank/transfer.rs"]
pub mod transfer;
