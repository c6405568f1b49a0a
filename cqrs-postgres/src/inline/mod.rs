//! Appends in whose transactions the rows of projections are written.
//!
//! Such an append does not travel with others: its transaction is one of several calls, in between which the code of
//! projections runs. [`transaction`] is one try, [`append`] tries again and settles what a broken connection leaves open,
//! [`check`] finds out whether rows lie in the same database.

mod append;
mod check;
mod rows;
mod transaction;
