//! Development tasks: `cargo xtask fetch`, `quickstart`, `test`, `check`.

#![allow(clippy::print_stdout, clippy::print_stderr)] // A program for developers.

mod artifacts;
mod cuda;
mod fetch;
mod process;
mod quickstart;
mod reviews;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask TASK

  fetch               bring the ONNX Runtime library, all-MiniLM-L6-v2 and the reviews into the cache
  quickstart [--full] fetch, build, fine-tune, export, verify, quantize, verify, predict
  test                fetch, then all tests
  check               formatting, lints, documentation, then all tests
  cuda-build          compile with --features cuda against a toolkit from Python packages; needs no GPU

The cache is $RTUNE_CACHE, or rtune in the user's cache folder.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["fetch"] => fetch::fetch(),
        ["quickstart"] => quickstart::quickstart(false),
        ["quickstart", "--full"] => quickstart::quickstart(true),
        ["test", rest @ ..] => test(rest),
        ["check"] => check(),
        ["cuda-build"] => cuda::build(),
        [] | ["--help" | "-h" | "help"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprintln!("error: unknown task `{}`\n\n{USAGE}", other.join(" "));
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One profile for program and tests, so that nothing is built twice.
fn test(rest: &[&str]) -> anyhow::Result<()> {
    fetch::fetch()?;
    // The command line's tests run the program itself.
    process::cargo(&["build", "--release", "--package", "rtune"])?;
    let mut arguments = vec!["test", "--release", "--workspace"];
    arguments.extend(rest);
    process::cargo(&arguments)
}

fn check() -> anyhow::Result<()> {
    process::cargo(&["fmt", "--all", "--", "--check"])?;
    process::cargo(&[
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ])?;
    process::cargo_with(
        &["doc", "--release", "--workspace", "--no-deps"],
        &[("RUSTDOCFLAGS", "--deny warnings".as_ref())],
    )?;
    test(&[])
}
