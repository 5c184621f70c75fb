//! The checks that a change must pass.
//!
//! Every step runs in the release profile, so lints, documentation and tests share the checked
//! dependencies, and program and tests share the compiled ones.

use crate::fetch::fetch;
use crate::process::{cargo, cargo_with, is_installed};
use anyhow::Result;

/// Checks formatting, lints and documentation, and runs all tests.
pub(crate) fn test() -> Result<()> {
    cargo(&["fmt", "--all", "--", "--check"])?;
    let clippy = "clippy --release --workspace --all-targets -- --deny warnings";
    cargo(&clippy.split(' ').collect::<Vec<_>>())?;
    cargo_with(
        &["doc", "--release", "--workspace", "--no-deps"],
        &[("RUSTDOCFLAGS", "--deny warnings".as_ref())],
    )?;
    tests(&["--no-fail-fast"])
}

/// Runs tests. The program is built by the same command, because `crates/rtune/tests/program.rs`
/// needs it; a selection of test files is therefore extended by that one.
pub(crate) fn tests(arguments: &[&str]) -> Result<()> {
    fetch()?;
    let mut command = vec!["test", "--release", "--workspace"];
    if arguments.contains(&"--test") {
        command.extend(["--test", "program"]);
    }
    command.extend(arguments);
    cargo(&command)
}

/// Writes the table of families and stages in README.md, every cell of which is a test's result.
pub(crate) fn matrix() -> Result<()> {
    fetch()?;
    let command = "test --release --workspace --test program --test encoders matrix";
    let command: Vec<&str> = command.split(' ').collect();
    cargo_with(&command, &[("RTUNE_BLESS", "1".as_ref())])
}

/// [`test()`], and the rules of `deny.toml` if cargo-deny is installed.
pub(crate) fn check() -> Result<()> {
    if is_installed("cargo-deny") {
        cargo(&["deny", "check"])?;
    } else {
        eprintln!(
            "warning: cargo-deny is not installed, so deny.toml is not checked; \
             run `cargo install cargo-deny`"
        );
    }
    test()
}
