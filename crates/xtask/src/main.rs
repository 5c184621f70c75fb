//! Development tasks: `cargo xtask fetch`, `quickstart`, `test`, `matrix`, `check`, `recipe`,
//! `hf-check`, `report-check`, `cuda-build`, `gpu-check`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for developers, whose output is text"
)]

mod artifacts;
mod check;
mod cuda;
mod fetch;
mod gpu;
mod hf;
mod process;
mod quickstart;
mod recipe;
mod report;
mod reviews;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask TASK

  fetch               fetch the ONNX Runtime library, all-MiniLM-L6-v2 and the reviews
  quickstart [--full] fetch, build, fine-tune, export, verify, quantize, evaluate, predict
  test                formatting, lints, documentation, fetch, then all tests
  test ARGUMENT...    fetch, then `cargo test` with the arguments, such as `test -- export`
  matrix              test each family of encoders in each stage, and write the table in README.md
  check               licenses and sources of dependencies with cargo-deny, then `test`
  recipe [OPTION]...  train ordinal and classification models on made sets, and print their metrics
  report-check RUN OUTPUT  look at the page of a run in Chromium, and read its TensorBoard events
  hf-check [OPTION].. compare models of each family with Hugging Face's transformers, in Python
  cuda-build          compile with --features cuda, without a GPU, with a toolkit from pip
  gpu-check [OPTION].. train on a GPU and on the processor, compare, and measure beside PyTorch

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
        ["test"] => check::test(),
        ["matrix"] => check::matrix(),
        ["test", arguments @ ..] => check::tests(arguments),
        ["check"] => check::check(),
        ["recipe", "--help" | "-h"] => {
            println!("{}", recipe::USAGE);
            return ExitCode::SUCCESS;
        }
        ["recipe", arguments @ ..] => recipe::recipe(arguments),
        ["report-check", run, output] => report::report_check(run, output),
        ["report-check", ..] => {
            println!("{}", report::USAGE);
            return ExitCode::from(2);
        }
        ["hf-check", "--help" | "-h"] => {
            println!("{}", hf::USAGE);
            return ExitCode::SUCCESS;
        }
        ["hf-check", arguments @ ..] => hf::hf_check(arguments),
        ["cuda-build"] => cuda::build().map(|_| ()),
        ["gpu-check", "--help" | "-h"] => {
            println!("{}", gpu::USAGE);
            return ExitCode::SUCCESS;
        }
        ["gpu-check", arguments @ ..] => match gpu::gpu_check(arguments) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
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
