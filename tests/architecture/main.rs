//! The invariants of `crates/README.md`, and the habits of the source text.
//!
//! - `advice.rs`: cases of `tests/cli` follow the advice in messages
//! - `dependencies.rs`: who may use which crate, read from the tables of `crates/README.md`
//! - `boundaries.rs`: printing, environment, sockets, flags in messages, dimensions
//! - `guides.rs`: paths and links in documents exist
//! - `style.rs`: lengths of lines, functions and files; beginnings of doc sentences
//! - `source.rs`: reads source files as lines and as tokens

#![expect(
    clippy::unwrap_used,
    reason = "a failure in a test's own work is the test's failure"
)]

mod advice;
mod boundaries;
mod dependencies;
mod guides;
mod source;
mod style;

/// Fails with all findings, one on each line.
fn none(rule: &str, findings: &[String]) {
    assert!(
        findings.is_empty(),
        "{} × {rule}:\n{}",
        findings.len(),
        findings.join("\n")
    );
}
