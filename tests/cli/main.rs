//! The messages of the program: each `NAME.txt` in this folder is a test case. It holds the set-up
//! (see `setup.rs`), commands, and for each command the exit code and the messages on stderr. A
//! command may be followed by changes, directives of the set-up behind `> `, and another command.
//! Of the progress of training, only the lines with `note: ` are held. Lines with `warning: `,
//! which have metrics in them, are not. Results on stdout and files that a command writes are shown
//! on request; see `case.rs`. A command that fails leaves no file that the case does not show.
//!
//! `matrix.rs` adds a trial for each bad input of each path that a command takes.
//!
//! `cargo xtask test --test cli flag_` runs the cases whose names start so.
//! `RTUNE_BLESS=1 cargo xtask test --test cli` writes what the program says into the files;
//! read the difference before you commit it.

#![expect(
    clippy::unwrap_used,
    reason = "a failure in a test's own work is the test's failure"
)]

mod case;
mod graph;
mod matrix;
mod setup;

use case::Case;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rtune_testkit::{blessing, difference, root};
use setup::Prepared;
use std::path::Path;
use std::sync::Arc;

const NEEDS_PROGRAM: &str = "needs a program, such as a C compiler";

fn main() {
    let mut arguments = Arguments::from_args();
    // The set-up of some cases trains a model; they wait for it together.
    arguments.test_threads.get_or_insert(2);
    let prepared = Arc::new(Prepared::default());
    let mut trials = Vec::new();
    for entry in std::fs::read_dir(root().join("tests/cli")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "txt") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let prepared = Arc::clone(&prepared);
            trials.push(Trial::ignorable_test(name, move || check(&path, &prepared)));
        }
    }
    assert!(trials.len() > 80, "cases are missing");
    trials.extend(matrix::trials(&prepared));
    trials.sort_by(|a, b| a.name().cmp(b.name()));
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The prepared folders are deleted here; `exit` would leave them.
    drop(prepared);
    conclusion.exit();
}

/// Runs the commands of a case and compares exit codes and messages. No command that fails may
/// leave a file behind, but one that it shows.
fn check(path: &Path, prepared: &Prepared) -> Result<Completion, Failed> {
    let expected = std::fs::read_to_string(path)?;
    let case = Case::parse(&expected)?;
    let folder = tempfile::tempdir()?;
    let Some(mut environment) = setup::apply(&case.directives, folder.path(), prepared)? else {
        return Ok(Completion::ignored_with(NEEDS_PROGRAM));
    };
    let mut found = case.header.to_owned();
    for step in &case.steps {
        if !setup::change(&step.directives, folder.path(), prepared, &mut environment)? {
            return Ok(Completion::ignored_with(NEEDS_PROGRAM));
        }
        let before = listing(folder.path());
        let (text, is_success) = case::run(step.command, folder.path(), &environment)?;
        case::check_flags(step.command, &text)?;
        found += &(step.changes.clone() + &text);
        let mut after = listing(folder.path());
        // Predictions that are all errors are written, and the case shows them.
        if let Some(file) = case::shown(step.command) {
            after.retain(|path| *path != folder.path().join(&file) || before.contains(path));
        }
        if !is_success && after != before {
            return Err(format!("`{}` left something behind", step.command).into());
        }
    }
    if blessing() {
        std::fs::write(path, &found)?;
    } else if found != expected {
        let lines = difference(&expected, &found);
        return Err(format!("- expected, + found; RTUNE_BLESS=1 accepts it:\n{lines}").into());
    }
    Ok(Completion::Completed)
}

fn listing(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            paths.extend(listing(&path));
        }
        paths.push(path);
    }
    paths.sort();
    paths
}
