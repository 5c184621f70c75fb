//! The `rtune` command: flags, wiring, printing, exit codes.

mod advice;
mod cache;
mod calibration;
mod census;
mod checkpoint_reference;
mod cli;
mod commands;
mod config_file;
mod console;
mod data;
mod exit;
mod flags;
mod inspection;
mod interrupt;
mod machine;
mod predictor;
mod quantization;
mod runtime;
mod source;
mod verification;

use clap::Parser as _;
use std::process::ExitCode;

/// Keeps candle from a pool of threads of its own, which would wait in a busy loop for work beside
/// rayon's. candle reads the variable when it first computes; a value of the user's stays.
#[expect(
    unsafe_code,
    reason = "no other thread runs yet, so none reads the environment meanwhile"
)]
fn share_one_pool() {
    const VARIABLE: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: called first thing in `main`, while the process has one thread.
        unsafe { std::env::set_var(VARIABLE, "1") };
    }
}

fn main() -> ExitCode {
    share_one_pool();
    let (arguments, config) = match config_file::expand(std::env::args_os().collect()) {
        Ok(expanded) => expanded,
        Err(error) => return exit::report(&error),
    };
    let cli = match cli::Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return exit::usage_error(&error, config.as_deref()),
    };
    match cli.command.run() {
        Ok(code) => code,
        Err(error) => exit::report(&error),
    }
}
