//! The invariants of `crates/README.md`, and the habits of the source text.
//!
//! - `dependencies.rs`: who may use which crate, read from the tables of `crates/README.md`
//! - `boundaries.rs`: printing, environment, sockets, flags in messages, dimensions
//! - `guides.rs`: paths and links in documents exist
//! - `style.rs`: lengths of lines, functions and files; beginnings of doc sentences
//! - `source.rs`: reads source files as lines and as tokens

#![expect(
    clippy::unwrap_used,
    reason = "a failure in a test's own work is the test's failure"
)]

mod boundaries;
mod dependencies;
mod guides;
mod source;
mod style;

/// Files that are not brought to the rules yet. Remove a line with the last finding in its files;
/// add none.
const UNFINISHED: &[&str] = &[];

/// Fails with all findings, one on each line.
fn none(rule: &str, findings: &[String]) {
    let finished = |finding: &&String| !UNFINISHED.iter().any(|file| finding.starts_with(file));
    let findings: Vec<&str> = findings
        .iter()
        .filter(finished)
        .map(|f| f.as_str())
        .collect();
    assert!(
        findings.is_empty(),
        "{} × {rule}:\n{}",
        findings.len(),
        findings.join("\n")
    );
}
