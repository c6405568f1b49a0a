//! What the compiler refuses, and what it says. The texts belong to the compiler in `rust-toolchain.toml`;
//! write them anew with `TRYBUILD=overwrite cargo test --test ui`, and read the difference.

#[test]
fn refused() {
    trybuild::TestCases::new().compile_fail("tests/ui/*/*.rs");
}
