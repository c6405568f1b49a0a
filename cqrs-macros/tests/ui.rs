//! What the compiler refuses, and what it says. The texts belong to the compiler in `rust-toolchain.toml`;
//! write them anew with `TRYBUILD=overwrite cargo test -p cqrs-macros --test ui`, and read the difference. They name types of the libraries that are
//! compiled in, so that they are tested here, where no store's driver is.

#[test]
fn refused() {
    trybuild::TestCases::new().compile_fail("tests/ui/*/*.rs");
}
