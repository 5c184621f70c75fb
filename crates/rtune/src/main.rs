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

fn main() -> ExitCode {
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
