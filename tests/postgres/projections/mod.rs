//! Projections whose rows lie in Postgres: each event takes effect once, whatever happens meanwhile.

mod basics;
mod bulk;
mod crash_points;
mod domain;
mod faults;
mod inline;
mod killed;
mod partitions;
mod rebuild;
mod versions;
