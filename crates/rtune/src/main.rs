//! The `rtune` command: flags, wiring, printing, exit codes.

mod cli;
mod commands;
mod config_file;
mod console;
mod data;
mod exit;
mod interrupt;
mod predictor;
mod runtime;
mod source;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match config_file::expand(std::env::args_os().collect()) {
        Ok(arguments) => arguments,
        Err(error) => return exit::report(&error),
    };
    // clap itself prints help and usage errors, and exits with 0 and 2.
    let cli = cli::Cli::parse_from(arguments);
    match cli.command.run() {
        Ok(code) => code,
        Err(error) => exit::report(&error),
    }
}
