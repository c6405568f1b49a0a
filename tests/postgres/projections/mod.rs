//! Projections whose rows lie in Postgres: each event takes effect once, whatever happens meanwhile.

mod basics;
mod crash_points;
mod domain;
mod faults;
mod rebuild;
mod versions;
